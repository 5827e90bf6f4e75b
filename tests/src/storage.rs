//! Files that this machine shares with pods.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::json;

use crate::{Cluster, Namespace};

/// A folder of this machine behind a PersistentVolumeClaim, so that a file connector in a pod reads and writes files
/// that the test sees.
///
/// Mount it as a user would, through the resource's `template`:
///
/// ```yaml
/// template:
///   pod:
///     volumes: [{name: files, persistentVolumeClaim: {claimName: NAME}}]
///   connectContainer:
///     volumeMounts: [{name: files, mountPath: /mnt/files}]
/// ```
pub struct HostFolder {
    cluster: Cluster,
    volume: String,
    claim: String,
    path: PathBuf,
}

impl HostFolder {
    /// Makes the folder, a PersistentVolume on it, and a claim of the given name bound to that.
    pub fn create(namespace: &Namespace, claim: &str) -> Result<Self> {
        let cluster = namespace.cluster();
        let volume = format!("{}-{claim}", namespace.name());
        let path = cluster.testbed().path("BARNABAS_TEST_STATE").join("shared").join(&volume);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        // Pods run as a user of their own.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        let folder = Self { cluster, volume, claim: claim.to_owned(), path };
        let size = json!({"storage": "10Gi"});
        cluster.apply(
            namespace.name(),
            &json!({
                "apiVersion": "v1",
                "kind": "List",
                "items": [{
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": folder.volume},
                    "spec": {
                        "accessModes": ["ReadWriteMany"],
                        "capacity": size,
                        "claimRef": {"namespace": namespace.name(), "name": claim},
                        "hostPath": {"path": folder.path, "type": "Directory"},
                        "persistentVolumeReclaimPolicy": "Retain",
                        "storageClassName": "",
                    },
                }, {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": claim},
                    "spec": {
                        "accessModes": ["ReadWriteMany"],
                        "resources": {"requests": size},
                        "storageClassName": "",
                        "volumeName": folder.volume,
                    },
                }],
            })
            .to_string(),
        )?;
        Ok(folder)
    }

    /// The folder on this machine.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The claim's name.
    pub fn claim(&self) -> &str {
        &self.claim
    }
}

impl Drop for HostFolder {
    fn drop(&mut self) {
        // The claim goes with its namespace; a volume in use would be waited for.
        self.cluster.kubectl(["delete", "persistentvolume", &self.volume, "--ignore-not-found", "--wait=false"]).ok();
        if std::env::var_os("BARNABAS_TEST_KEEP").is_none() {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}
