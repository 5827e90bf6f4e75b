//! What a cluster's clients need to reach a secured Kafka: Secrets of the folder as private files.
//!
//! Workers read credentials from files, because on Kubernetes Secrets are mounted. Here the files lie in memory
//! (`$XDG_RUNTIME_DIR` or `/dev/shm`), readable by their user alone, and go when the cluster does.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use barnabas_crds::{
    ConnectClusterSpec,
    cluster::{Authentication, AuthenticationType},
};
use barnabas_worker::config::Security;

use crate::manifests::{Folder, Key};

/// The files of one cluster, until [`Self::remove`].
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// Names the files.
    pub security: Security,
}

impl Files {
    /// The files for `spec`; `None` when its Kafka is reached in the clear.
    ///
    /// # Errors
    /// A sentence that names the Secret or key that is missing.
    pub fn of(spec: &ConnectClusterSpec, folder: &Folder, cluster: &Key) -> Result<Option<Self>, String> {
        if spec.tls.is_none() && spec.authentication.is_none() {
            return Ok(None);
        }
        let place = place(cluster).map_err(|error| format!("the folder for credentials cannot be made: {error}"))?;
        let mut files = Self { folder: place, security: Security::default() };
        for source in spec.tls.iter().flat_map(|tls| &tls.trusted_certificates) {
            let secret = secret(folder, cluster, &source.secret_name)?;
            let exact = source.certificate.as_deref();
            let pattern = source.pattern.as_deref();
            let mut names = secret.keys().filter(|name| {
                exact.is_some_and(|exact| exact == *name) || pattern.is_some_and(|pattern| matches(pattern, name))
            });
            let first = names.next().ok_or_else(|| {
                let wanted = exact.or(pattern).unwrap_or_default();
                format!("the Secret {:?} has no key {wanted:?}", source.secret_name)
            })?;
            for name in std::iter::once(first).chain(names) {
                let file = format!("ca-{}.crt", files.security.ca_files.len());
                let path = files.write(&file, &secret[name])?;
                files.security.ca_files.push(path);
            }
        }
        let sasl = match &spec.authentication {
            Some(authentication) => files.authenticate(authentication, folder, cluster)?,
            None => false,
        };
        // A client certificate can be shown over TLS only.
        let tls = spec.tls.is_some() || files.security.cert_file.is_some();
        files.security.protocol = Some(
            match (sasl, tls) {
                (true, true) => "SASL_SSL",
                (true, false) => "SASL_PLAINTEXT",
                (false, true) => "SSL",
                (false, false) => "PLAINTEXT",
            }
            .to_owned(),
        );
        Ok(Some(files))
    }

    /// Says whether SASL is used.
    fn authenticate(
        &mut self,
        authentication: &Authentication,
        folder: &Folder,
        cluster: &Key,
    ) -> Result<bool, String> {
        if let Some(mechanism) = authentication.type_.sasl_mechanism() {
            self.security.sasl_mechanism = Some(mechanism.to_owned());
            self.security.username.clone_from(&authentication.username);
            if let Some(password) = &authentication.password_secret {
                let value = entry(folder, cluster, &password.secret_name, &password.password)?;
                self.security.password_file = Some(self.write("password", &value)?);
            }
            return Ok(true);
        }
        match (authentication.type_, &authentication.certificate_and_key) {
            (AuthenticationType::Tls, Some(pair)) => {
                let certificate = entry(folder, cluster, &pair.secret_name, &pair.certificate)?;
                let key = entry(folder, cluster, &pair.secret_name, &pair.key)?;
                self.security.cert_file = Some(self.write("client.crt", &certificate)?);
                self.security.key_file = Some(self.write("client.key", &key)?);
                Ok(false)
            }
            (AuthenticationType::Custom, _) => Ok(authentication.sasl == Some(true)),
            _ => Ok(false),
        }
    }

    fn write(&self, name: &str, value: &[u8]) -> Result<PathBuf, String> {
        let path = self.folder.join(name);
        let write = || -> io::Result<()> {
            let fresh = self.folder.join(format!(".{name}"));
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(value)?;
            // In one step: a client that is being built reads the old value or the new one.
            fs::rename(fresh, &path)
        };
        write().map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(path)
    }
}

/// The folder that `up`'s process keeps for `cluster`: the same every time, so that an edit elsewhere changes nothing.
fn place(cluster: &Key) -> io::Result<PathBuf> {
    let memory = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let memory = memory.or_else(|| Some(PathBuf::from("/dev/shm")).filter(|dir| dir.is_dir()));
    let name = format!("barnabas-{}-{}-{}", std::process::id(), cluster.namespace, cluster.name);
    let place = memory.unwrap_or_else(std::env::temp_dir).join(name);
    match fs::DirBuilder::new().mode(0o700).create(&place) {
        // Ours from before: nobody else can have made a folder that only we may write to.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            use std::os::unix::fs::MetadataExt as _;
            let (found, own) = (fs::symlink_metadata(&place)?, fs::metadata("/proc/self")?);
            if found.is_dir() && found.uid() == own.uid() && found.mode() & 0o077 == 0 { Ok(place) } else { Err(error) }
        }
        made => made.map(|()| place),
    }
}

impl Files {
    /// Removes the files now.
    pub fn remove(self) {
        // A folder in memory that is left over holds nothing once it is empty, and goes with the machine.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn secret<'a>(
    folder: &'a Folder,
    cluster: &Key,
    name: &str,
) -> Result<&'a std::collections::BTreeMap<String, Vec<u8>>, String> {
    let key = Key::new(&cluster.namespace, name);
    let secret = folder.secrets.get(&key);
    secret
        .map(|secret| &secret.resource.0)
        .ok_or_else(|| format!("the folder has no Secret {name:?} in namespace {:?}", cluster.namespace))
}

fn entry(folder: &Folder, cluster: &Key, name: &str, key: &str) -> Result<Vec<u8>, String> {
    let secret = secret(folder, cluster, name)?;
    secret.get(key).cloned().ok_or_else(|| format!("the Secret {name:?} has no key {key:?}"))
}

/// Whether `name` fits a pattern with `*` in it.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            (0..=name.len()).filter(|at| name.is_char_boundary(*at)).any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{os::unix::fs::MetadataExt as _, path::Path};

    use serde_json::json;

    use super::*;
    use crate::manifests::Reader;

    fn folder(dir: &Path) -> Folder {
        let text =
            "{apiVersion: v1, kind: Secret, metadata: {name: kafka}, stringData: {pw: hidden, ca.crt: CA, b.crt: B}}";
        fs::write(dir.join("a.yaml"), text).unwrap();
        Reader::new(dir).unwrap().read().unwrap().unwrap()
    }

    #[test]
    fn secrets_become_files_that_only_their_user_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let spec: ConnectClusterSpec = serde_json::from_value(json!({"bootstrapServers": "k:9093",
            "tls": {"trustedCertificates": [{"secretName": "kafka", "pattern": "*.crt"}]},
            "authentication": {"type": "scram-sha-512", "username": "me",
                "passwordSecret": {"secretName": "kafka", "password": "pw"}}}))
        .unwrap();
        let files = Files::of(&spec, &folder, &Key::new("default", "c1")).unwrap().unwrap();
        assert_eq!(files.security.protocol.as_deref(), Some("SASL_SSL"));
        assert_eq!(files.security.ca_files.len(), 2);
        let password = files.security.password_file.clone().unwrap();
        assert_eq!(fs::read_to_string(&password).unwrap(), "hidden");
        assert_eq!(fs::metadata(&password).unwrap().mode() & 0o077, 0);
        assert!(!format!("{files:?}").contains("hidden"));
        files.remove();
        assert!(!password.exists());
    }

    #[test]
    fn a_missing_secret_or_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let error = |name: &str, key: &str| {
            let spec: ConnectClusterSpec = serde_json::from_value(json!({"bootstrapServers": "k:9093",
                "authentication": {"type": "plain", "username": "me",
                    "passwordSecret": {"secretName": name, "password": key}}}))
            .unwrap();
            Files::of(&spec, &folder, &Key::new("default", "c2")).unwrap_err()
        };
        assert!(error("nope", "pw").contains("no Secret \"nope\""));
        assert!(error("kafka", "nope").contains("no key \"nope\""));
    }

    #[test]
    fn patterns_match_as_strimzi_means_them() {
        assert!(matches("*.crt", "ca.crt") && matches("ca*", "ca.crt") && matches("*", "x") && matches("a*c*", "abcd"));
        assert!(!matches("*.crt", "ca.key") && !matches("ca", "ca.crt"));
    }
}
