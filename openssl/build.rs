//! Finds OpenSSL's static libraries, or builds them.
//!
//! The crate that usually has this name builds OpenSSL from source (five minutes of a core, and the last thing that a
//! first `cargo run` waits for), or takes the system's and fails where there is none. This one takes the system's static
//! library where it is there, and builds from source otherwise; so nobody has to install anything, nobody waits for what
//! is installed, and either way the programs need no library of OpenSSL at run time.
//!
//! `OPENSSL_NO_VENDOR` decides otherwise, as it does there: `1` never builds from source, `0` always does.

use std::{env, path::PathBuf, process::ExitCode};

const OLDEST: &str = "3.0";

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=OPENSSL_NO_VENDOR");
    let choice = env::var("OPENSSL_NO_VENDOR").ok();
    if choice.as_deref() != Some("0") {
        match system() {
            Ok(folder) => {
                link(&folder.display().to_string());
                return ExitCode::SUCCESS;
            }
            Err(why) if choice.is_some() => {
                eprintln!("OPENSSL_NO_VENDOR is set, and {why}; install libssl-dev and pkg-config, or unset it");
                return ExitCode::FAILURE;
            }
            Err(why) => eprintln!("OpenSSL is built from source: {why}"),
        }
    }
    let built = openssl_src::Build::new().build();
    link(&built.lib_dir().display().to_string());
    // Where rdkafka-sys looks for `include` and `lib`.
    println!("cargo:root={}", built.lib_dir().with_file_name("").display());
    ExitCode::SUCCESS
}

/// The folder with the system's static libraries, or why they do not serve.
fn system() -> Result<PathBuf, String> {
    if env::var_os("TARGET") != env::var_os("HOST") {
        return Err("the system's library is for another target".to_owned());
    }
    // Asks only: what this crate would have cargo link is the shared library.
    let mut probe = pkg_config::Config::new();
    probe.cargo_metadata(false).atleast_version(OLDEST);
    probe.probe("openssl").map_err(|error| format!("pkg-config finds no OpenSSL {OLDEST} or newer: {error}"))?;
    let folder = pkg_config::get_variable("openssl", "libdir").map_err(|error| error.to_string())?;
    let folder = PathBuf::from(folder);
    for library in ["libssl.a", "libcrypto.a"] {
        if !folder.join(library).is_file() {
            return Err(format!("{} has no {library}", folder.display()));
        }
    }
    Ok(folder)
}

fn link(folder: &str) {
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rustc-link-lib=static=ssl");
    println!("cargo:rustc-link-lib=static=crypto");
}
