//! Generated files. Each is checked by a test beside its generator, and that test writes it, too, when asked to.

use anyhow::Result;
use clap::Args;

use crate::{progress, run, setup};

/// Packages with a test named `generated`, which compares what is in the repository with what would be generated,
/// and rewrites it when the variable `BARNABAS_REGENERATE` is set.
const PACKAGES: &[(&str, &str)] = &[
    ("barnabas-connect", "the configuration reference"),
    ("barnabas-crds", "the resource definitions, in crds/yaml and in the chart, and the manifests reference"),
    ("barnabas-file", "the reference of the file connectors"),
    ("barnabas-protocol", "the code of the gRPC contract"),
    ("barnabas-schema-registry", "the reference of the converters with a schema registry"),
];

/// `cargo xtask generate`
#[derive(Args)]
pub struct Options {
    /// Write nothing; fail when a file is stale.
    #[arg(long)]
    check: bool,
}

/// Runs the generators. False when a file is stale.
pub fn main(options: &Options) -> Result<bool> {
    setup::unit()?;
    let mut fresh = true;
    for (package, what) in PACKAGES {
        progress::say(format!("{package}: {what}"));
        let mut cargo = run::cargo();
        cargo.args(["test", "--quiet", "--package", package, "--test", "generated"]);
        if !options.check {
            cargo.env("BARNABAS_REGENERATE", "1");
        }
        fresh &= run::shown(&mut cargo)?;
    }
    Ok(fresh)
}
