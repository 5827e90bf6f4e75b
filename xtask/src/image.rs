//! The image with both programs, assembled as an OCI archive without Docker.
//!
//! Its content is that of the `Dockerfile` at the root: the two programs, the C library that they are linked with,
//! the certificate authorities, and a user who is not root.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    cache,
    cluster::Cluster,
    oci, progress,
    run::{self, program},
    setup::{self, CA_BUNDLE},
};

/// The image that the tests run.
pub const NAME: &str = "localhost/barnabas:test";
/// The same programs in a different image, for upgrades.
pub const NAME_2: &str = "localhost/barnabas:test2";

const PROGRAMS: [(&str, &str); 2] =
    [("barnabas-operator", "barnabas-operator"), ("barnabas-worker", "barnabas-worker")];
const USER: &str = "65532:65532";

/// How to build the image.
#[derive(Args, Clone)]
pub struct Options {
    /// Cargo profile of the programs (default: dist); `dev` compiles faster, and its programs are several times slower.
    #[arg(long)]
    profile: Option<String>,
}

impl Options {
    /// As it is for users.
    pub fn release() -> Self {
        Self { profile: None }
    }

    fn image_profile(&self) -> &str {
        self.profile.as_deref().unwrap_or("dist")
    }
}

/// Where cargo puts what it builds.
fn folder(profile: &str) -> PathBuf {
    cache::target().join(if profile == "dev" { "debug" } else { profile })
}

/// The built archives.
pub struct Images {
    archives: [PathBuf; 2],
}

impl Images {
    /// Gives the images to the cluster's node.
    pub fn load(&self, cluster: &Cluster) -> Result<()> {
        progress::step("loading the images", || {
            self.archives.iter().try_for_each(|archive| cluster.load_image(archive))
        })
    }
}

/// `cargo xtask image`
pub fn main(options: &Options) -> Result<bool> {
    setup::unit()?;
    let images = build(options)?;
    for archive in images.archives {
        println!("{}", archive.display());
    }
    Ok(true)
}

/// Builds the programs and packs them.
pub fn build(options: &Options) -> Result<Images> {
    let profile = options.image_profile();
    progress::step(&format!("building the programs ({profile})"), || compile(profile))?;
    progress::step("assembling the image", || assemble(&folder(profile)))
}

/// Builds the program `barnabas`, with its embedded broker. Its tests ask what it does and not how fast; so it is
/// not optimised, unless asked for, which saves many minutes on the broker's crates.
pub fn build_barnabas(options: &Options) -> Result<PathBuf> {
    let profile = options.profile.as_deref().unwrap_or("dev");
    progress::step(&format!("building the program barnabas ({profile})"), || {
        let build = ["build", "--package", "barnabas", "--bin", "barnabas", "--profile", profile];
        if !run::shown(run::cargo().args(build))? {
            bail!("the program barnabas does not compile");
        }
        Ok(folder(profile).join("barnabas"))
    })
}

fn compile(profile: &str) -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["build", "--profile", profile]);
    for (package, binary) in PROGRAMS {
        cargo.args(["--package", package, "--bin", binary]);
    }
    if !run::shown(&mut cargo)? {
        bail!("the programs do not compile");
    }
    Ok(())
}

fn assemble(compiled: &Path) -> Result<Images> {
    let folder = cache::folder("image")?;
    let mut layer = oci::Layer::new();
    for name in ["etc", "etc/ssl", "etc/ssl/certs", "usr", "usr/local", "usr/local/bin", "home", "lib", "lib64"] {
        layer.folder(name, 0o755)?;
    }
    layer.folder("tmp", 0o1777)?;
    layer.text("etc/passwd", "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home:/sbin/nologin\n")?;
    layer.text("etc/group", "root:x:0:\nnonroot:x:65532:\n")?;
    // Without it the C library does not look into /etc/hosts.
    layer.text("etc/nsswitch.conf", "hosts: files dns\n")?;
    layer.file(Path::new(CA_BUNDLE), "etc/ssl/certs/ca-certificates.crt")?;
    let mut libraries = BTreeSet::new();
    for (_, name) in PROGRAMS {
        let stripped = folder.join(name);
        run::output(program("strip").arg("-o").arg(&stripped).arg(compiled.join(name)))?;
        libraries.extend(shared_libraries(&stripped)?);
        layer.program(&stripped, &format!("usr/local/bin/{name}"))?;
    }
    // The name service's part for DNS is loaded at run time, so `ldd` does not see it.
    let c_library = libraries.iter().find(|path| path.ends_with("libc.so.6")).context("not linked with glibc")?.clone();
    for name in ["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"] {
        let path = c_library.with_file_name(name);
        if path.is_file() {
            libraries.insert(path);
        }
    }
    for library in &libraries {
        layer.program(library, &library.display().to_string())?;
    }
    let image = oci::Image::new(NAME)
        .entrypoint(&["/usr/local/bin/barnabas-operator"])
        .user(USER)
        .environment(&["PATH=/usr/local/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"])
        .label("org.opencontainers.image.title", "barnabas")
        .layer(layer)?;
    let mut second = oci::Layer::new();
    second.text("etc/barnabas-build", "2\n")?;
    let image_2 = image.clone().named(NAME_2).label("org.opencontainers.image.version", "2").layer(second)?;

    let archives = [folder.join("barnabas-test.tar"), folder.join("barnabas-test2.tar")];
    oci::write_if_changed(&archives[0], &image.archive()?)?;
    oci::write_if_changed(&archives[1], &image_2.archive()?)?;
    report(&image, &folder, &archives[0])?;
    Ok(Images { archives })
}

/// Prints the sizes; registries and nodes transfer the compressed one.
fn report(image: &oci::Image, folder: &Path, archive: &Path) -> Result<()> {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let compressed = folder.join("compressed.gz");
    let file = fs::File::create(&compressed)?;
    let status = program("gzip").args(["-6", "--stdout"]).arg(archive).stdout(file).status();
    let mut text = format!("image {NAME}: {}", megabytes(image.size() as u64));
    if status.is_ok_and(|status| status.success()) {
        text += &format!(", {} compressed", megabytes(fs::metadata(&compressed)?.len()));
    }
    fs::remove_file(&compressed)?;
    for (_, name) in PROGRAMS {
        text += &format!("; {name} {}", megabytes(fs::metadata(folder.join(name))?.len()));
    }
    progress::say(text);
    Ok(())
}

/// The loader and the shared libraries of a program, as `ldd` names them.
fn shared_libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let text = run::output(program("ldd").arg(binary))?;
    let mut libraries = Vec::new();
    for line in text.lines().map(str::trim) {
        // `libc.so.6 => /lib/... (0x...)`, `/lib64/ld-linux-x86-64.so.2 (0x...)`, `linux-vdso.so.1 (0x...)`
        let path = line.split_once("=> ").map_or(line, |(_, path)| path);
        if path.starts_with("not found") {
            bail!("{}: {line}", binary.display());
        }
        let path = PathBuf::from(path.split(' ').next().unwrap_or_default());
        if path.is_absolute() {
            libraries.push(path);
        }
    }
    Ok(libraries)
}
