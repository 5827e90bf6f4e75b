//! Bringing the cluster up.

use std::{fs, net::TcpListener, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

use super::{
    API_PORT, BRIDGE, BRIDGE_ADDRESS, Cluster, NODE, POD_NETWORK, SERVICE_NETWORK, config, ip, pki::Authority,
};
use crate::{kafka, progress, run};

const ETCD: &str = "http://127.0.0.1:12379";
const ETCD_PEER: &str = "http://127.0.0.1:12380";
const LIMIT: Duration = Duration::from_secs(120);

impl Cluster {
    pub(super) fn bring_up(&self, kafka: &kafka::Files) -> Result<()> {
        progress::step("starting Kubernetes and Kafka", || {
            self.check_machine()?;
            self.bridge()?;
            self.certificates()?;
            config::write(self)?;
            self.start_etcd()?;
            self.start_containerd()?;
            self.start_apiserver()?;
            kafka.start(&self.daemons, &self.folder.join("kafka"))?;

            self.until("containerd", "containerd", || run::succeeds(self.ctr().arg("version")))?;
            self.load_image(&self.tools.pause)?;
            self.until("the Kubernetes API", "kube-apiserver", || {
                run::succeeds(self.kubectl().args(["get", "--raw", "/readyz"]))
            })?;
            self.start_controllers()?;
            self.start_kubelet()?;
            // Pods made before the default service account exists fail.
            let account = ["get", "serviceaccount", "default", "--namespace", "default"];
            self.until("the default service account", "kube-controller-manager", || {
                run::succeeds(self.kubectl().args(account))
            })?;
            let node = format!("node/{NODE}");
            self.until("a ready node", "kubelet", || {
                run::succeeds(self.kubectl().args(["wait", "--for=condition=Ready", "--timeout=5s", &node]))
            })?;
            kafka::wait(&self.daemons)?;
            self.write_environment()?;
            fs::write(self.folder.join("ready"), "")?;
            Ok(())
        })
    }

    fn until(&self, what: &str, daemon: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
        let mut dead = false;
        run::wait_for(
            what,
            LIMIT,
            || {
                dead = !self.daemons.alive(daemon);
                dead || ready()
            },
            || run::tail(&self.daemons.log(daemon), 25),
        )?;
        self.daemons.check(daemon)
    }

    /// A foreign program on one of our ports would make for puzzling failures later.
    fn check_machine(&self) -> Result<()> {
        for port in [API_PORT, 12379, 12380, 19091, 19092] {
            if let Err(error) = TcpListener::bind(("127.0.0.1", port)) {
                bail!("port {port} of 127.0.0.1, which the test cluster uses, is taken: {error}");
            }
        }
        // Its iptables rules and control groups would be in our way, and go with ours.
        if TcpListener::bind(("0.0.0.0", 10250)).is_err() {
            bail!("another kubelet runs on this machine (port 10250): the test cluster cannot share a machine with it");
        }
        // The limit of a unix socket's path is 107 bytes.
        let socket = self.socket();
        if socket.as_os_str().len() > 90 {
            bail!("{} is too long for a socket: set XDG_CACHE_HOME to a shorter path", socket.display());
        }
        Ok(())
    }

    /// Made before anything binds to its address; the CNI plugin would make it with the first pod only.
    fn bridge(&self) -> Result<()> {
        let address = format!("{BRIDGE_ADDRESS}/24");
        ip(&["link", "add", BRIDGE, "type", "bridge"]);
        ip(&["address", "add", &address, "dev", BRIDGE]);
        if !ip(&["link", "set", BRIDGE, "up"]) || TcpListener::bind((BRIDGE_ADDRESS, 0)).is_err() {
            bail!("cannot make the network bridge {BRIDGE} with the address {address}; is this a user who may?");
        }
        Ok(())
    }

    fn certificates(&self) -> Result<()> {
        let authority = Authority::create(&self.folder.join("pki"), "barnabas-test-kubernetes")?;
        let names = format!(
            "IP:127.0.0.1,IP:{},IP:{BRIDGE_ADDRESS},DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,\
             DNS:kubernetes.default.svc.cluster.local",
            super::API_SERVICE
        );
        authority.issue("apiserver", "/CN=kube-apiserver", Some(&names))?;
        // By this the API server may read logs from the kubelet, and run programs in containers.
        authority.issue("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", None)?;
        authority.key_pair("service-account")
    }

    /// A command of the one Kubernetes binary, in the state folder.
    fn component(&self, name: &str) -> Command {
        let mut command = Command::new(&self.tools.kube);
        command.arg(name).current_dir(&self.folder);
        command
    }

    fn start_etcd(&self) -> Result<()> {
        let mut etcd = self.component("etcd");
        etcd.args(["--data-dir=etcd", "--unsafe-no-fsync", "--log-level=warn"]);
        etcd.arg(format!("--listen-client-urls={ETCD}")).arg(format!("--advertise-client-urls={ETCD}"));
        etcd.arg(format!("--listen-peer-urls={ETCD_PEER}")).arg(format!("--initial-advertise-peer-urls={ETCD_PEER}"));
        etcd.arg(format!("--initial-cluster=default={ETCD_PEER}"));
        self.daemons.start("etcd", &mut etcd)
    }

    fn start_apiserver(&self) -> Result<()> {
        let mut apiserver = self.component("kube-apiserver");
        apiserver.args([
            "--tls-cert-file=pki/apiserver.crt",
            "--tls-private-key-file=pki/apiserver.key",
            "--client-ca-file=pki/ca.crt",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=Node,RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=pki/service-account.pub",
            "--service-account-signing-key-file=pki/service-account.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-client-certificate=pki/kubelet-client.crt",
            "--kubelet-client-key=pki/kubelet-client.key",
            "--allow-privileged",
        ]);
        apiserver.arg(format!("--etcd-servers={ETCD}")).arg(format!("--secure-port={API_PORT}"));
        // Pods reach the API at this address through the service `kubernetes`.
        apiserver.arg(format!("--advertise-address={BRIDGE_ADDRESS}"));
        apiserver.arg(format!("--service-cluster-ip-range={SERVICE_NETWORK}"));
        self.daemons.start("kube-apiserver", &mut apiserver)
    }

    fn start_containerd(&self) -> Result<()> {
        let mut containerd = Command::new(self.tools.containerd.join("containerd"));
        containerd.arg("--config").arg(self.folder.join("containerd.toml")).current_dir(&self.folder);
        // containerd looks for its shim on the PATH.
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.tools.containerd.clone(), "/usr/sbin".into(), "/sbin".into()];
        let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path)))?;
        self.daemons.start("containerd", containerd.env("PATH", path))
    }

    fn start_controllers(&self) -> Result<()> {
        let mut manager = self.component("kube-controller-manager");
        manager.args([
            "--kubeconfig=admin.conf",
            "--secure-port=0",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            "--service-account-private-key-file=pki/service-account.key",
            "--root-ca-file=pki/ca.crt",
            "--cluster-signing-cert-file=pki/ca.crt",
            "--cluster-signing-key-file=pki/ca.key",
        ]);
        self.daemons.start("kube-controller-manager", &mut manager)?;

        let mut scheduler = self.component("kube-scheduler");
        scheduler.args(["--kubeconfig=admin.conf", "--secure-port=0", "--leader-elect=false"]);
        self.daemons.start("kube-scheduler", &mut scheduler)?;

        let mut proxy = self.component("kube-proxy");
        proxy.args([
            "--kubeconfig=admin.conf",
            "--proxy-mode=iptables",
            // Pods talk to each other over the bridge, past iptables; only a masqueraded answer comes back through it.
            "--masquerade-all",
            "--conntrack-max-per-core=0",
            "--healthz-bind-address=127.0.0.1:20256",
            "--metrics-bind-address=127.0.0.1:20249",
        ]);
        proxy.arg(format!("--hostname-override={NODE}")).arg(format!("--cluster-cidr={POD_NETWORK}"));
        self.daemons.start("kube-proxy", with_sbin(&mut proxy))?;

        let mut dns = self.component("dns");
        dns.arg("--kubeconfig=admin.conf").arg(format!("--listen={BRIDGE_ADDRESS}:53"));
        self.daemons.start("dns", &mut dns)
    }

    fn start_kubelet(&self) -> Result<()> {
        let mut kubelet = self.component("kubelet");
        kubelet.args(["--config=kubelet.yaml", "--kubeconfig=node.conf"]);
        kubelet.arg(format!("--hostname-override={NODE}")).arg(format!("--node-ip={BRIDGE_ADDRESS}"));
        let folder = self.folder.join("kubelet");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        kubelet.arg(format!("--root-dir={}", folder.display()));
        kubelet.arg(format!("--cert-dir={}", folder.join("pki").display()));
        self.daemons.start("kubelet", with_sbin(&mut kubelet))
    }
}

/// Both call iptables and mount, which a plain user's `PATH` may not reach.
fn with_sbin(command: &mut Command) -> &mut Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"))
}
