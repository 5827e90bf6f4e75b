//! TLS from PEM, in files or in the configuration itself.

use std::sync::Arc;

use barnabas_connect::{Error, Result};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::config::{PemSource, TlsSettings};

/// Of the agent. Files are read now.
pub fn config(settings: &TlsSettings) -> Result<TlsConfig> {
    let mut builder = TlsConfig::builder();
    if let Some(source) = &settings.trust {
        let text = read(source)?;
        let certificates = certificates(source, &text)?;
        builder = builder.root_certs(RootCerts::Specific(Arc::new(certificates)));
    }
    if let Some(source) = &settings.identity {
        let text = read(source)?;
        let chain = certificates(source, &text)?;
        let key = private_key(source, &text)?;
        builder = builder.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(builder.build())
}

fn read(source: &PemSource) -> Result<String> {
    match source {
        PemSource::Text { text, .. } => Ok(text.expose().to_owned()),
        PemSource::File { key, path } => std::fs::read_to_string(path)
            .map_err(|error| Error::config(format!("Invalid value {path} for configuration {key}: {error}"))),
    }
}

fn certificates(source: &PemSource, text: &str) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(text.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| not_pem(source, &error))? {
            found.push(certificate.to_owned());
        }
    }
    if found.is_empty() {
        return Err(Error::config(format!("{} holds no certificate in PEM form.", source.key())));
    }
    Ok(found)
}

fn private_key(source: &PemSource, text: &str) -> Result<PrivateKey<'static>> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Error::config(format!(
            "{} holds an encrypted private key, which is not supported; decrypt it (openssl pkcs8 -topk8 -nocrypt) and keep it in a Secret.",
            source.key()
        )));
    }
    for item in parse_pem(text.as_bytes()) {
        if let PemItem::PrivateKey(key) = item.map_err(|error| not_pem(source, &error))? {
            return Ok(key);
        }
    }
    Err(Error::config(format!("{} holds no private key in PEM form.", source.key())))
}

fn not_pem(source: &PemSource, error: &ureq::Error) -> Error {
    Error::config(format!("{} is not PEM: {error}", source.key()))
}
