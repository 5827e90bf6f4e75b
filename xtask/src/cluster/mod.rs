//! A local Kubernetes with Apache Kafka beside it: one node on this machine, real containers, no Docker.
//!
//! ```text
//! etcd <- kube-apiserver <- controller-manager, scheduler, kube-proxy, kubelet -> containerd -> runc
//!                                                                      pods on the bridge barnabas0, 10.244.0.0/24
//! Kafka: 127.0.0.1 for this machine, 10.244.0.1 for pods and this machine
//! ```
//!
//! There is one such cluster per machine. Its state lies in the cache folder's `cluster/`, and goes with it.

mod config;
pub mod pki;
mod play;
mod start;
mod stop;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

pub use play::{Command, main};
use stop::stop;

use crate::{
    cache,
    daemon::{self, Daemons},
    image, kafka, progress, registry,
    run::{self, program},
    tools::{PAUSE_IMAGE, Tools},
};

/// This machine's address on the pods' network.
pub const BRIDGE_ADDRESS: &str = "10.244.0.1";
const BRIDGE: &str = "barnabas0";
const POD_NETWORK: &str = "10.244.0.0/24";
const SERVICE_NETWORK: &str = "10.96.0.0/24";
/// The first address of the services' network, which Kubernetes gives to its own API.
const API_SERVICE: &str = "10.96.0.1";
const API_PORT: u16 = 16443;
const NODE: &str = "node1";
/// Name of the pods' network.
const NETWORK: &str = "barnabas-test";

/// Clients of the API: they stop first, so that nothing restarts what stops after them.
const CLIENTS: &[&str] = &["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "dns"];
const SERVERS: &[&str] = &["kafka", "containerd", "kube-apiserver", "etcd"];
/// What a test run may have started beside the cluster.
const GUESTS: &[&str] = &[registry::NAME];

/// Who stops the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The process that started it, at its end.
    ThisProcess,
    /// The user, with `cargo xtask cluster down`.
    User,
}

/// The cluster on this machine.
pub struct Cluster {
    folder: PathBuf,
    daemons: Daemons,
    tools: Tools,
}

impl Cluster {
    fn at(tools: Tools) -> Self {
        let folder = folder();
        Self { daemons: Daemons::new(&folder), folder, tools }
    }

    /// Starts the cluster. What an earlier run that was killed has left is removed first.
    pub fn start(owner: Owner) -> Result<Self> {
        let tools = Tools::get()?;
        let kafka = kafka::Files::get()?;
        let cluster = Self::at(tools);
        cluster.claim(owner)?;
        let started = cluster.bring_up(&kafka);
        if let Err(error) = started {
            // Its logs go with it, but the error holds the end of the one that matters.
            cluster.stop();
            return Err(error);
        }
        Ok(cluster)
    }

    /// The cluster that `cargo xtask cluster up` started.
    pub fn running() -> Result<Self> {
        let cluster = Self::at(Tools::get()?);
        if !cluster.folder.join("ready").is_file() {
            bail!("no cluster is up; start one with `cargo xtask cluster up`");
        }
        for name in CLIENTS.iter().chain(SERVERS) {
            cluster.daemons.check(name).with_context(|| {
                format!("the cluster is broken, start it anew with `cargo xtask cluster down` and `up` ({name})")
            })?;
        }
        Ok(cluster)
    }

    /// Takes the state folder, unless another cluster is using it.
    fn claim(&self, owner: Owner) -> Result<()> {
        check_free()?;
        let record = self.folder.join("owner");
        if self.folder.exists() {
            self.stop();
        }
        fs::create_dir_all(&self.folder)?;
        std::os::unix::fs::symlink(&self.tools.kube, self.folder.join("kube"))?;
        match owner {
            Owner::ThisProcess => daemon::write_record(&record, std::process::id()),
            Owner::User => Ok(fs::write(&record, "user\n")?),
        }
    }

    /// What a test, or a shell, must know to use the cluster.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let path = |path: PathBuf| path.display().to_string();
        BTreeMap::from([
            ("KUBECONFIG", path(self.folder.join("admin.conf"))),
            ("BARNABAS_TEST_STATE", path(self.folder.clone())),
            ("BARNABAS_TEST_REPOSITORY", path(cache::repository())),
            ("BARNABAS_TEST_KUBECTL", path(self.tools.kubectl.clone())),
            ("BARNABAS_TEST_HELM", path(self.tools.helm.clone())),
            ("BARNABAS_TEST_CTR", path(self.tools.containerd.join("ctr"))),
            ("BARNABAS_TEST_CONTAINERD", path(self.socket())),
            ("BARNABAS_TEST_CORPUS", path(self.tools.corpus.clone())),
            ("BARNABAS_TEST_PAUSE_IMAGE", PAUSE_IMAGE.to_owned()),
            ("BARNABAS_TEST_IMAGE", image::NAME.to_owned()),
            ("BARNABAS_TEST_IMAGE_2", image::NAME_2.to_owned()),
            ("BARNABAS_TEST_KAFKA", kafka::address("HOST")),
            ("BARNABAS_TEST_KAFKA_PODS", kafka::address("PODS")),
            ("BARNABAS_TEST_KAFKA_TLS", kafka::address("TLS")),
            ("BARNABAS_TEST_KAFKA_MTLS", kafka::address("MTLS")),
            ("BARNABAS_TEST_KAFKA_SASL_TLS", kafka::address("SASL_TLS")),
            ("BARNABAS_TEST_KAFKA_SASL", kafka::address("SASL")),
            ("BARNABAS_TEST_KAFKA_CERTS", path(self.folder.join("kafka/certs"))),
            ("BARNABAS_TEST_KAFKA_USER", kafka::USER.to_owned()),
            ("BARNABAS_TEST_KAFKA_PASSWORD", kafka::PASSWORD.to_owned()),
        ])
    }

    /// The programs beside it, recorded with its own, so that they end with it also when this process is killed.
    pub fn daemons(&self) -> &Daemons {
        &self.daemons
    }

    /// The file that sets the environment in a shell: `. FILE`.
    fn write_environment(&self) -> Result<PathBuf> {
        let file = self.folder.join("env");
        let lines = self.environment().into_iter().map(|(name, value)| format!("export {name}='{value}'\n"));
        fs::write(&file, lines.collect::<String>())?;
        Ok(file)
    }

    /// Stops everything and removes its state.
    pub fn stop(&self) {
        stop(&self.folder);
    }

    fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// A `kubectl` command on this cluster.
    pub fn kubectl(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.tools.kubectl);
        command.env("KUBECONFIG", self.folder.join("admin.conf"));
        command
    }

    /// A `helm` command on this cluster.
    pub fn helm(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.tools.helm);
        command.env("KUBECONFIG", self.folder.join("admin.conf"));
        command
    }

    fn ctr(&self) -> std::process::Command {
        let mut command = std::process::Command::new(self.tools.containerd.join("ctr"));
        command.arg("--address").arg(self.socket()).args(["--namespace", "k8s.io"]);
        command
    }

    /// Saves the programs' logs from the end of the cluster: `logs/cluster` in the cache folder.
    pub fn keep_logs(&self) {
        let kept = cache::root().join("logs/cluster");
        fs::remove_dir_all(&kept).ok();
        fs::create_dir_all(cache::root().join("logs")).ok();
        if fs::rename(self.folder.join("logs"), &kept).is_ok() {
            progress::say(format!("the cluster's logs are in {}", kept.display()));
        }
    }

    /// Gives the node an image from an OCI archive.
    pub fn load_image(&self, archive: &Path) -> Result<()> {
        run::output(self.ctr().args(["image", "import", "--local"]).arg(archive))?;
        Ok(())
    }
}

/// Fails when this machine's cluster is in use. What a killed run has left is not in use.
pub fn check_free() -> Result<()> {
    let folder = folder();
    let record = folder.join("owner");
    if let Some(pid) = daemon::read_record(&record) {
        bail!("a test run (process {pid}) is using the cluster of this machine; wait for its end");
    }
    let daemons = Daemons::new(&folder);
    let up = fs::read_to_string(&record).is_ok_and(|text| text == "user\n");
    if up && CLIENTS.iter().chain(SERVERS).all(|name| daemons.alive(name)) {
        bail!(
            "a cluster is up already: run the tests on it with `cargo xtask test e2e NAME --reuse`, \
             or end it with `cargo xtask cluster down`"
        );
    }
    Ok(())
}

/// The cluster's state.
fn folder() -> PathBuf {
    cache::root().join("cluster")
}

/// Where containerd listens.
fn socket(folder: &Path) -> PathBuf {
    folder.join("containerd/containerd.sock")
}

/// The `ip` program.
fn ip(arguments: &[&str]) -> bool {
    run::succeeds(program("ip").args(arguments))
}
