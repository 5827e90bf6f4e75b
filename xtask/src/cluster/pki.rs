//! Throw-away certificates, made by openssl.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::run::{self, program};

const CURVE: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// A certificate authority: `ca.crt` and `ca.key` in a folder, beside what it issues.
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes the authority, and its folder.
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let authority = Self { folder: folder.to_owned() };
        authority.request("ca", &format!("/CN={name}"), "critical,CA:TRUE", "keyCertSign,cRLSign", None)?;
        Ok(authority)
    }

    /// Issues `NAME.crt` with `NAME.key` for servers and clients; `names` are subject alternative names
    /// as openssl writes them (`IP:127.0.0.1,DNS:localhost`).
    pub fn issue(&self, name: &str, subject: &str, names: Option<&str>) -> Result<()> {
        self.request(name, subject, "critical,CA:FALSE", "digitalSignature", names)
    }

    fn request(&self, name: &str, subject: &str, constraints: &str, usage: &str, names: Option<&str>) -> Result<()> {
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}"));
        // The machine's own openssl.cnf would make authorities of all certificates.
        let mut config = format!(
            "[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=extensions\n[name]\n[extensions]\n\
             basicConstraints={constraints}\nkeyUsage=critical,{usage}\nsubjectKeyIdentifier=hash\n"
        );
        if name != "ca" {
            config.push_str("authorityKeyIdentifier=keyid\nextendedKeyUsage=serverAuth,clientAuth\n");
        }
        if let Some(names) = names {
            config.push_str(&format!("subjectAltName={names}\n"));
        }
        fs::write(file("cnf"), config)?;
        let mut command = program("openssl");
        command.args(["req", "-x509", "-nodes", "-days", "3650", "-subj", subject]).args(CURVE);
        command.arg("-config").arg(file("cnf")).arg("-keyout").arg(file("key")).arg("-out").arg(file("crt"));
        if name != "ca" {
            command.arg("-CA").arg(self.folder.join("ca.crt")).arg("-CAkey").arg(self.folder.join("ca.key"));
        }
        run::output(&mut command)?;
        fs::remove_file(file("cnf"))?;
        Ok(())
    }

    /// Makes a key pair without a certificate: `NAME.key` and `NAME.pub`.
    pub fn key_pair(&self, name: &str) -> Result<()> {
        let (key, public) = (self.folder.join(format!("{name}.key")), self.folder.join(format!("{name}.pub")));
        let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out"];
        run::output(program("openssl").args(curve).arg(&key))?;
        run::output(program("openssl").args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public))?;
        Ok(())
    }
}
