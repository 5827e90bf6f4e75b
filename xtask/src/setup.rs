//! Makes sure that the programs of other people that the tasks need are there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use crate::{
    cache::Artifact,
    kafka, maven, progress, registry,
    run::{self, find, program},
    tools,
};

/// A program and the Debian package that brings it.
#[derive(Clone, Copy)]
struct Needed {
    program: &'static str,
    package: &'static str,
}

/// To compile: librdkafka is built from source, OpenSSL only where its static library is missing.
const BUILD: &[Needed] = &[
    Needed { program: "cc", package: "build-essential" },
    Needed { program: "c++", package: "build-essential" },
    Needed { program: "make", package: "build-essential" },
    Needed { program: "perl", package: "perl" },
];

/// For Apache Kafka, Kafka Connect and the schema registry.
const JAVA: &[Needed] = &[
    Needed { program: "java", package: "default-jdk-headless" },
    Needed { program: "javac", package: "default-jdk-headless" },
    Needed { program: "mvn", package: "maven" },
];

/// For the cluster.
const CLUSTER: &[Needed] = &[
    Needed { program: "go", package: "golang-go" },
    Needed { program: "runc", package: "runc" },
    Needed { program: "iptables", package: "iptables" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "openssl", package: "openssl" },
    Needed { program: "strip", package: "binutils" },
    Needed { program: "ldd", package: "libc-bin" },
];

/// A file that the image takes from the machine.
pub const CA_BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Without them OpenSSL is built from source (`openssl/build.rs`), which takes five minutes of a core, and works.
const OPENSSL: &[&str] = &["libssl-dev", "pkg-config"];

/// What unit, property and compatibility tests need.
pub fn unit() -> Result<()> {
    components()?;
    packages(&[BUILD, JAVA])?;
    spare_openssl();
    maven::connect()?;
    Ok(())
}

/// What Kafka Connect's own classes need.
pub fn java() -> Result<()> {
    packages(&[JAVA])
}

/// What the cluster needs besides.
pub fn cluster() -> Result<()> {
    packages(&[BUILD, JAVA, CLUSTER])?;
    spare_openssl();
    check_go()?;
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the cluster runs real containers and needs root (namespaces, mounts, a network bridge): \
             run this task as root; `cargo xtask test unit` works without"
        );
    }
    Ok(())
}

/// Everything that any task needs.
pub fn everything() -> Result<()> {
    unit()?;
    cluster()?;
    cluster_programs()
}

/// The programs of the cluster, Kafka and a schema registry among them.
pub fn cluster_programs() -> Result<()> {
    kafka::Files::get()?;
    registry::files()?;
    tools::Tools::get()?;
    Ok(())
}

/// rustfmt and clippy.
fn components() -> Result<()> {
    let missing = ["rustfmt", "clippy"]
        .into_iter()
        .filter(|name| {
            let tool = if *name == "clippy" { "clippy" } else { "fmt" };
            !run::succeeds(run::cargo().args([tool, "--version"]))
        })
        .collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(());
    }
    progress::step("adding Rust components", || {
        run::quiet("rustup", program("rustup").args(["component", "add"]).args(&missing))
    })
}

/// Installs the packages of the programs that are missing.
fn packages(groups: &[&[Needed]]) -> Result<()> {
    let missing = || groups.iter().copied().flatten().filter(|needed| find(needed.program).is_none());
    let mut names = missing().map(|needed| needed.package).collect::<Vec<_>>();
    if !Path::new(CA_BUNDLE).is_file() {
        names.push("ca-certificates");
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    if !may_install() {
        let programs = missing().map(|needed| needed.program).collect::<Vec<_>>().join(", ");
        bail!("missing on this machine: {programs}. On Debian or Ubuntu: apt-get install {}", names.join(" "));
    }
    install(&names)
}

/// Debian or Ubuntu, and root.
fn may_install() -> bool {
    find("apt-get").is_some() && rustix::process::geteuid().is_root()
}

fn install(names: &[&str]) -> Result<()> {
    static UPDATED: OnceLock<()> = OnceLock::new();
    progress::step(&format!("installing packages {}", names.join(" ")), || {
        let apt = || {
            let mut command = program("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        if UPDATED.get().is_none() {
            run::quiet("apt-get update", apt().arg("update"))?;
            UPDATED.get_or_init(|| ());
        }
        run::quiet("apt-get install", apt().args(["install", "--yes", "--no-install-recommends"]).args(names))
    })
}

/// Installs what spares building OpenSSL, where that is possible. Nothing fails for lack of it.
fn spare_openssl() {
    static TRIED: OnceLock<()> = OnceLock::new();
    let names = openssl_packages(system_openssl(), may_install());
    if TRIED.set(()).is_err() || names.is_empty() {
        return;
    }
    if let Err(error) = install(names) {
        progress::say(format!("OpenSSL will be built from source: {error:#}"));
    }
}

/// What is to be installed for OpenSSL's sake.
fn openssl_packages(is_there: bool, may_install: bool) -> &'static [&'static str] {
    if is_there || !may_install { &[] } else { OPENSSL }
}

/// Whether the build finds a static OpenSSL, as `openssl/build.rs` looks for it, or is told not to look.
fn system_openssl() -> bool {
    if std::env::var_os("OPENSSL_NO_VENDOR").is_some_and(|choice| choice == "0") {
        return true;
    }
    let mut ask = program("pkg-config");
    run::output(ask.args(["--variable=libdir", "openssl"]))
        .is_ok_and(|folder| has_static_openssl(Path::new(folder.trim())))
}

fn has_static_openssl(folder: &Path) -> bool {
    ["libssl.a", "libcrypto.a"].iter().all(|library| folder.join(library).is_file())
}

/// The Go that compiles on machines whose own is too old.
const GO: &str = "1.26.8";

static GO_PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Makes sure of a Go that can compile the cluster. From 1.21 on, Go fetches the exact toolchain that a module names.
/// An older one, as Debian has it, does not, but it can fetch a newer Go, which is published as a module, too.
fn check_go() -> Result<()> {
    let own = find("go").context("there is no go")?;
    let version = run::output(Command::new(&own).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"))?;
    let minor = version.trim().strip_prefix("go1.");
    let minor = minor.and_then(|rest| rest.split(['.', 'r', 'b', '-', ' ']).next()?.parse::<u32>().ok());
    let minor = minor.with_context(|| format!("cannot read the version of Go from {version:?}"))?;
    let go = if minor >= 21 { own } else { newer_go(&own)? };
    GO_PROGRAM.get_or_init(|| go);
    Ok(())
}

fn newer_go(own: &Path) -> Result<PathBuf> {
    let architecture = run::output(Command::new(own).args(["env", "GOARCH"]))?;
    let module = format!("golang.org/toolchain@v0.0.1-go{GO}.linux-{}", architecture.trim());
    let folder = Artifact::new(format!("go-{GO}")).input(&module).get(&format!("fetching Go {GO}"), |folder| {
        let mut download = Command::new(own);
        download.args(["mod", "download", "-modcacherw", &module]).current_dir(folder).env("GOMODCACHE", folder);
        run::quiet("go mod download", &mut download)?;
        // Modules have no executable files.
        let home = folder.join(&module);
        make_executable(&home.join("bin"))?;
        make_executable(&home.join("pkg/tool"))
    })?;
    Ok(folder.join(module).join("bin/go"))
}

fn make_executable(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            make_executable(&path)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// A `go` command, free of the caller's module settings.
pub fn go() -> Command {
    let mut command = GO_PROGRAM.get().map_or_else(|| program("go"), Command::new);
    command.env("CGO_ENABLED", "0").env("GOWORK", "off");
    for name in ["GOFLAGS", "GOOS", "GOARCH", "GOROOT"] {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn packages_that_only_save_time_are_installed_where_that_is_possible_and_never_demanded() {
        assert_eq!(openssl_packages(false, true), ["libssl-dev", "pkg-config"]);
        // Not root, or no Debian: it is built from source.
        assert!(openssl_packages(false, false).is_empty());
        assert!(openssl_packages(true, true).is_empty());
        for package in OPENSSL {
            let demanded = [BUILD, JAVA, CLUSTER].concat().iter().any(|needed| needed.package == *package);
            assert!(!demanded, "{package}");
        }
    }

    #[test]
    fn a_shared_openssl_alone_does_not_serve() {
        let folder = std::env::temp_dir().join(format!("barnabas-openssl-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for name in ["libssl.so", "libcrypto.so", "libssl.a"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert!(!has_static_openssl(&folder));
        fs::write(folder.join("libcrypto.a"), "").unwrap();
        assert!(has_static_openssl(&folder));
        fs::remove_dir_all(folder).unwrap();
    }
}
