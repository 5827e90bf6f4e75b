//! The configuration files of the cluster's programs.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::{API_PORT, BRIDGE, BRIDGE_ADDRESS, Cluster, NETWORK, NODE, POD_NETWORK};
use crate::{run, tools::PAUSE_IMAGE};

/// Writes all files.
pub fn write(cluster: &Cluster) -> Result<()> {
    let folder = cluster.folder.as_path();
    for name in ["cni", "containerd", "etcd"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let tokens = format!("admin,admin,admin,system:masters\nnode,system:node:{NODE},{NODE},system:nodes\n");
    let files = [
        ("tokens.csv", tokens),
        ("admin.conf", kubeconfig(folder, "admin")),
        ("node.conf", kubeconfig(folder, "node")),
        ("cni/10-barnabas.conflist", network(folder)),
        ("containerd.toml", containerd(cluster)?),
        ("kubelet.yaml", kubelet(cluster)),
    ];
    for (name, content) in files {
        fs::write(folder.join(name), content).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

fn kubeconfig(folder: &Path, token: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: barnabas-test
  cluster: {{server: \"https://127.0.0.1:{API_PORT}\", certificate-authority: \"{}\"}}
users:
- name: {token}
  user: {{token: {token}}}
contexts:
- name: barnabas-test
  context: {{cluster: barnabas-test, user: {token}}}
current-context: barnabas-test
",
        folder.join("pki/ca.crt").display()
    )
}

fn network(folder: &Path) -> String {
    serde_json::json!({
        "cniVersion": "1.0.0",
        "name": NETWORK,
        "plugins": [{
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": true,
            // Pods reach this machine, and nothing beyond it.
            "ipMasq": false,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": folder.join("cni/addresses"),
                "ranges": [[{"subnet": POD_NETWORK}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
    .to_string()
}

fn containerd(cluster: &Cluster) -> Result<String> {
    let runc = run::find("runc").context("runc is not on this machine")?;
    let folder = cluster.folder.join("containerd");
    let path = |name: &str| folder.join(name).display().to_string();
    Ok(format!(
        "version = 3
root = '{root}'
state = '{state}'
[grpc]
  address = '{socket}'
[ttrpc]
  address = '{socket}.ttrpc'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  # Root inside a container or a sandbox often lacks the capability to lower the score.
  restrict_oom_score_adj = true
  # So that all mounts of the cluster are below its folder.
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{cni}']
  conf_dir = '{conf}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = '{runc}'
    Root = '{runc_root}'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.internal.v1.opt']
  path = '{opt}'
",
        root = path("root"),
        state = path("state"),
        opt = path("opt"),
        runc_root = path("runc"),
        socket = cluster.socket().display(),
        cni = cluster.tools.cni.display(),
        conf = cluster.folder.join("cni").display(),
        runc = runc.display(),
    ))
}

fn kubelet(cluster: &Cluster) -> String {
    let folder = cluster.folder.display();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {BRIDGE_ADDRESS}
port: 20250
healthzPort: 0
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: \"{folder}/pki/ca.crt\"}}
authorization: {{mode: Webhook}}
containerRuntimeEndpoint: \"unix://{socket}\"
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
# A nearly full disk is no reason to evict the pods of a test.
evictionHard: {{imagefs.available: \"0%\", nodefs.available: \"0%\", memory.available: \"50Mi\"}}
imageGCHighThresholdPercent: 100
makeIPTablesUtilChains: false
resolvConf: \"\"
clusterDNS: [\"{BRIDGE_ADDRESS}\"]
clusterDomain: cluster.local
podLogsDir: \"{folder}/pod-logs\"
volumePluginDir: \"{folder}/kubelet/volume-plugins\"
",
        socket = cluster.socket().display(),
    )
}
