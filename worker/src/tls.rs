//! The control port's mTLS: files read again when they change, one client allowed.

use std::{
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use rustls::{
    DistinguishedName, RootCertStore, ServerConfig,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio_rustls::TlsAcceptor;

use crate::config::ControlTls;

/// The only client that may connect.
pub const OPERATOR_CN: &str = "barnabas-operator";
/// How often the files are looked at. A Secret's update takes the kubelet about a minute anyway.
const LOOK: Duration = Duration::from_secs(5);

/// Accepts connections with the certificate that is in the files now.
#[derive(Clone)]
pub struct Reloading {
    acceptor: Arc<RwLock<TlsAcceptor>>,
}

impl Reloading {
    /// Reads the files, and again whenever they change. Fails when they cannot be used now.
    pub fn start(files: ControlTls) -> io::Result<Self> {
        let mut seen = modified(&files);
        let acceptor = Arc::new(RwLock::new(load(&files)?));
        let weak = Arc::downgrade(&acceptor);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(acceptor) = weak.upgrade() else { return };
                let now = modified(&files);
                if now == seen {
                    continue;
                }
                match load(&files) {
                    Ok(new) => {
                        *acceptor.write() = new;
                        seen = now;
                        tracing::info!("Read the control port's certificates again.");
                    }
                    // Half of a rotation: the old ones are good until the new ones are complete.
                    Err(error) => tracing::warn!(%error, "The control port's new certificates cannot be used yet."),
                }
            }
        });
        Ok(Self { acceptor })
    }

    /// For the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().clone()
    }
}

/// When each file was last written; symlinks as the kubelet uses them are followed.
fn modified(files: &ControlTls) -> Vec<Option<(SystemTime, u64)>> {
    [&files.ca, &files.cert, &files.key]
        .map(|path| fs::metadata(path).and_then(|m| Ok((m.modified()?, m.len()))).ok())
        .to_vec()
}

fn load(files: &ControlTls) -> io::Result<TlsAcceptor> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| unusable(&files.ca, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| unusable(&files.ca, error))?;
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&files.cert, error))?
        .with_client_cert_verifier(Arc::new(OperatorOnly { chain: verifier }))
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&files.cert, error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let list: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| unusable(path, error))?;
    if list.is_empty() { Err(unusable(path, "it holds no certificate")) } else { Ok(list) }
}

fn unusable(path: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}

/// A chain of the cluster's authority is not enough: the workers' own certificate has one, too.
#[derive(Debug)]
struct OperatorOnly {
    chain: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for OperatorOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let general = |why: String| rustls::Error::General(why);
        let (_, certificate) =
            x509_parser::parse_x509_certificate(end_entity).map_err(|error| general(error.to_string()))?;
        let name = certificate.subject().iter_common_name().next().and_then(|cn| cn.as_str().ok()).unwrap_or_default();
        if name == OPERATOR_CN {
            Ok(verified)
        } else {
            Err(general(format!("the client is `{name}`; only `{OPERATOR_CN}` may connect")))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
