//! The programs that the cluster consists of, built from their Go modules.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    cache::{self, Artifact},
    corpus, oci, run,
    setup::go,
};

const CONTAINERD: &str = "v2.2.1";
const CNI: &str = "v1.9.1";
const HELM: &str = "v3.22.0";
/// Without debug information: smaller, and faster to link.
const SMALL: &str = "-s -w";

/// The image that holds a pod's namespaces, and the smallest thing that a test can run in a pod.
pub const PAUSE_IMAGE: &str = "localhost/pause:test";

/// Where each program is.
pub struct Tools {
    /// All of Kubernetes: `kube COMPONENT`.
    pub kube: PathBuf,
    /// `kubectl`, a link to `kube`.
    pub kubectl: PathBuf,
    /// Folder of `containerd`, `containerd-shim-runc-v2` and `ctr`.
    pub containerd: PathBuf,
    /// Folder of the CNI plugins.
    pub cni: PathBuf,
    /// The Helm program.
    pub helm: PathBuf,
    /// The pause image, an OCI archive.
    pub pause: PathBuf,
    /// A large real text: 1,000,000 distinct lines.
    pub corpus: PathBuf,
}

impl Tools {
    /// Returns the tools; builds those that are missing.
    pub fn get() -> Result<Self> {
        let module = cache::repository().join("tests/cluster");
        let kube = kubernetes(&module)?;
        let containerd = install(
            "containerd",
            CONTAINERD,
            "github.com/containerd/containerd/v2",
            &["cmd/containerd", "cmd/containerd-shim-runc-v2", "cmd/ctr"],
            SMALL,
            "2 min",
        )?;
        let cni = install(
            "cni-plugins",
            CNI,
            "github.com/containernetworking/plugins",
            &["plugins/main/bridge", "plugins/main/loopback", "plugins/ipam/host-local"],
            SMALL,
            "10 s",
        )?;
        // `helm template` has no server to ask for its version.
        let (major, minor) = major_minor(&required_version(&module, "k8s.io/kubernetes")?)?;
        let package = "helm.sh/helm/v3";
        let mut flags = format!("{SMALL} -X {package}/internal/version.version={HELM}");
        for part in ["pkg/chartutil", "pkg/lint/rules"] {
            flags +=
                &format!(" -X {package}/{part}.k8sVersionMajor={major} -X {package}/{part}.k8sVersionMinor={minor}");
        }
        let helm = install("helm", HELM, package, &["cmd/helm"], &flags, "2 min")?;
        Ok(Self {
            kubectl: kube.join("kubectl"),
            pause: kube.join("pause.tar"),
            kube: kube.join("kube"),
            containerd,
            cni,
            helm: helm.join("helm"),
            corpus: corpus::get(&module)?,
        })
    }
}

/// Builds the module's own programs, `kube` and the pause image.
fn kubernetes(module: &Path) -> Result<PathBuf> {
    let version = required_version(module, "k8s.io/kubernetes")?;
    let (major, minor) = major_minor(&version)?;
    // Clients parse the server's version, so it must be a real one.
    let package = "k8s.io/component-base/version";
    let flags = format!(
        "{SMALL} -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
         -X {package}.gitTreeState=clean"
    );
    let artifact = Artifact::new("kubernetes")
        .input(&flags)
        .file(&module.join("go.mod"))?
        .file(&module.join("go.sum"))?
        .file(&module.join("cmd"))?;
    artifact.get(&format!("building Kubernetes {version} (10 min the first time)"), |folder| {
        let build = |name: &str, flags: &str| {
            run::quiet(
                &format!("go build {name}"),
                go().current_dir(module)
                    .args(["build", "-trimpath", "-ldflags", flags, "-o"])
                    .arg(folder.join(name))
                    .arg(format!("./cmd/{name}")),
            )
        };
        build("kube", &flags)?;
        build("pause", SMALL)?;
        std::os::unix::fs::symlink("kube", folder.join("kubectl"))?;
        let mut layer = oci::Layer::new();
        layer.program(&folder.join("pause"), "pause")?;
        let image = oci::Image::new(PAUSE_IMAGE).entrypoint(&["/pause"]).user("65535:65535").layer(layer)?;
        fs::write(folder.join("pause.tar"), image.archive()?)?;
        Ok(())
    })
}

/// The version that the module's `go.mod` requires of another module.
fn required_version(module: &Path, of: &str) -> Result<String> {
    let file = module.join("go.mod");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut lines = text.lines().map(str::trim);
    let version = lines.find_map(|line| line.trim_start_matches("require ").strip_prefix(of)?.strip_prefix(" v"));
    let version = version.and_then(|rest| rest.split(' ').next());
    version.map(|version| format!("v{version}")).with_context(|| format!("{} requires no {of}", file.display()))
}

/// `1` and `36` of `v1.36.3`.
fn major_minor(version: &str) -> Result<(String, String)> {
    let mut parts = version.trim_start_matches('v').split('.').map(str::to_owned);
    parts.next().zip(parts.next()).with_context(|| format!("the version {version:?} is not like v1.2.3"))
}

/// `go install` of some commands of a published module.
fn install(name: &str, version: &str, module: &str, commands: &[&str], flags: &str, duration: &str) -> Result<PathBuf> {
    let artifact = Artifact::new(format!("{name}-{version}")).input(module).input(commands.join(" ")).input(flags);
    artifact.get(&format!("building {name} {version} ({duration} the first time)"), |folder| {
        let packages = commands.iter().map(|command| format!("{module}/{command}@{version}"));
        run::quiet(
            &format!("go install {name}"),
            go().env("GOBIN", folder).args(["install", "-trimpath", "-ldflags", flags]).args(packages),
        )
    })
}
