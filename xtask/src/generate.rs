//! Generated files: each is the output of one of the project's own programs.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cache, progress, run};

/// A generated file and the arguments of the `barnabas` program that prints it.
struct Generated {
    file: &'static str,
    arguments: &'static [&'static str],
}

/// A test beside each generator fails when the file in the repository is stale.
const FILES: &[Generated] = &[Generated { file: "crds/yaml/barnabas.dev.yaml", arguments: &["crds"] }];

/// `cargo xtask generate`
#[derive(Args)]
pub struct Options {
    /// Write nothing; fail when a file is stale.
    #[arg(long)]
    check: bool,
}

/// Runs the generators.
pub fn main(options: &Options) -> Result<bool> {
    let mut fresh = true;
    for generated in FILES {
        let path = cache::repository().join(generated.file);
        let mut cargo = run::cargo();
        cargo
            .args(["run", "--quiet", "--package", "barnabas", "--no-default-features", "--"])
            .args(generated.arguments);
        let text = run::output(&mut cargo)?;
        if text.trim().is_empty() {
            bail!("{} printed nothing", run::display(&cargo));
        }
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            progress::say(format!("{} is fresh", generated.file));
        } else if options.check {
            progress::say(format!("{} is STALE: run `cargo xtask generate`", generated.file));
            fresh = false;
        } else {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            progress::say(format!("{} written", generated.file));
        }
    }
    Ok(fresh)
}
