//! `cargo xtask compat`: makes the compatibility fixtures anew with Apache Kafka Connect's own classes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{cache, maven, progress, run, setup};

/// `cargo xtask compat`
#[derive(Args)]
pub struct Options {
    /// Write nothing; fail when a fixture would change.
    #[arg(long, conflicts_with = "seed")]
    check: bool,
    /// Make other cases, to search for differences; the fixtures of the repository are those without a seed.
    #[arg(long, requires = "times")]
    seed: Option<u64>,
    /// With a seed: how many times as many generated cases.
    #[arg(long, requires = "seed")]
    times: Option<u32>,
}

/// What the script takes from the environment: variable, name and pom of the jars.
const JARS: [(&str, &str, &str); 2] =
    [("DEBEZIUM_LIBS", "debezium", "debezium.xml"), ("REGISTRY_LIBS", "registry", "registry/pom.xml")];

/// Runs the script. False when it failed, or when a fixture would change.
pub fn main(options: &Options) -> Result<bool> {
    setup::java()?;
    let folder = cache::repository().join("tests/compat");
    let mut script = run::program("sh");
    script.arg(folder.join("regenerate.sh")).arg(maven::connect()?);
    for (variable, name, pom) in JARS {
        script.env(variable, maven::jars(name, &folder.join(pom))?);
    }
    if let (Some(seed), Some(times)) = (options.seed, options.times) {
        script.args([seed.to_string(), times.to_string()]);
    }
    if !options.check {
        return run::shown(&mut script);
    }
    let made = cache::folder("partial")?.join(format!("fixtures-{}", std::process::id()));
    let outcome = run::shown(script.env("FIXTURES", &made)).and_then(|done| {
        let changed = if done { differences(&folder.join("fixtures"), &made)? } else { Vec::new() };
        for file in &changed {
            progress::say(format!("stale: tests/compat/fixtures/{}", file.display()));
        }
        Ok(done && changed.is_empty())
    });
    // A leftover is overwritten by nobody and looked at by nobody.
    let _ = fs::remove_dir_all(&made);
    outcome
}

/// The files that are in one folder only, or not the same in both.
fn differences(known: &Path, made: &Path) -> Result<Vec<PathBuf>> {
    let names = |folder: &Path| -> Result<BTreeSet<PathBuf>> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        entries.map(|entry| Ok(PathBuf::from(entry?.file_name()))).collect()
    };
    let all: BTreeSet<PathBuf> = names(known)?.union(&names(made)?).cloned().collect();
    if all.is_empty() {
        bail!("no fixture was made");
    }
    let read = |folder: &Path, name: &Path| fs::read(folder.join(name)).ok();
    Ok(all.into_iter().filter(|name| read(known, name) != read(made, name)).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_changed_a_new_and_a_lost_fixture_are_found() {
        let root = std::env::temp_dir().join(format!("barnabas-compat-{}", std::process::id()));
        let [known, made] = ["known", "made"].map(|name| root.join(name));
        [&known, &made].into_iter().try_for_each(fs::create_dir_all).unwrap();
        assert!(differences(&known, &made).is_err(), "nothing was made");
        for (folder, name, text) in [
            (&known, "a", "1"),
            (&made, "a", "1"),
            (&known, "b", "1"),
            (&made, "b", "2"),
            (&known, "c", "1"),
            (&made, "d", "1"),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(differences(&known, &made).unwrap(), ["b", "c", "d"].map(PathBuf::from));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_script_asks_for_every_folder_that_it_is_given() {
        let folder = cache::repository().join("tests/compat");
        let script = fs::read_to_string(folder.join("regenerate.sh")).unwrap();
        for (variable, _, pom) in JARS {
            assert!(script.contains(&format!("${{{variable}:-")), "{variable}");
            assert!(folder.join(pom).is_file(), "{pom}");
        }
        assert!(script.contains("${FIXTURES:-"));
    }
}
