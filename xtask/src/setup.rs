//! Makes sure that the programs of other people that the tasks need are there.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{
    kafka, maven, progress,
    run::{self, find, program},
    tools,
};

/// A program and the Debian package that brings it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

/// To compile: librdkafka and OpenSSL are built from source.
const BUILD: &[Needed] = &[
    Needed { program: "cc", package: "build-essential" },
    Needed { program: "c++", package: "build-essential" },
    Needed { program: "make", package: "build-essential" },
    Needed { program: "perl", package: "perl" },
];

/// For Apache Kafka and Kafka Connect.
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

/// What unit, property and compatibility tests need.
pub fn unit() -> Result<()> {
    components()?;
    packages(&[BUILD, JAVA])?;
    maven::connect()?;
    Ok(())
}

/// What the cluster needs besides.
pub fn cluster() -> Result<()> {
    packages(&[BUILD, JAVA, CLUSTER])?;
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
    kafka::Files::get()?;
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
    if !std::path::Path::new(CA_BUNDLE).is_file() {
        names.push("ca-certificates");
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let list = names.join(" ");
    if find("apt-get").is_none() || !rustix::process::geteuid().is_root() {
        let programs = missing().map(|needed| needed.program).collect::<Vec<_>>().join(", ");
        bail!("missing on this machine: {programs}. On Debian or Ubuntu: apt-get install {list}");
    }
    progress::step(&format!("installing packages {list}"), || {
        let apt = || {
            let mut command = program("apt-get");
            command.env("DEBIAN_FRONTEND", "noninteractive");
            command
        };
        run::quiet("apt-get update", apt().arg("update"))?;
        run::quiet("apt-get install", apt().args(["install", "--yes", "--no-install-recommends"]).args(&names))
    })
}

/// From 1.21 on, Go fetches the exact toolchain that a module names; older ones cannot.
fn check_go() -> Result<()> {
    let version = run::output(program("go").args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local"))?;
    let minor =
        version.trim().strip_prefix("go1.").and_then(|rest| rest.split(['.', 'r', 'b', '-']).next()?.parse().ok());
    let minor: u32 = minor.with_context(|| format!("cannot read the version of Go from {version:?}"))?;
    if minor < 21 {
        bail!("Go {} is too old to build the cluster: install Go 1.21 or newer (go.dev/doc/install)", version.trim());
    }
    Ok(())
}

/// A `go` command, free of the caller's module settings.
pub fn go() -> Command {
    let mut command = program("go");
    command.env("CGO_ENABLED", "0").env("GOWORK", "off").env_remove("GOFLAGS").env_remove("GOOS").env_remove("GOARCH");
    command
}
