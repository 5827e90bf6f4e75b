//! Generated files. Each is checked by a test beside its generator, and that test writes it, too, when asked to.

use std::path::Path;

use anyhow::Result;
use clap::Args;

use crate::{progress, run, setup};

/// The variable with which such a test writes instead of comparing.
const REGENERATE: &str = "BARNABAS_REGENERATE";

/// A test that compares what is in the repository with what would be generated.
struct Generator {
    package: &'static str,
    /// Where the test is, from the root of the clone.
    test: &'static str,
    what: &'static str,
}

/// All of them: a test below looks for others.
const GENERATORS: &[Generator] = &[
    Generator { package: "barnabas-connect", test: "connect/tests/generated.rs", what: "the configuration reference" },
    Generator {
        package: "barnabas-crds",
        test: "crds/tests/generated.rs",
        what: "the resource definitions, in crds/yaml and in the chart, and the manifests reference",
    },
    Generator {
        package: "barnabas-file",
        test: "connectors/file/tests/generated.rs",
        what: "the reference of the file connectors",
    },
    Generator {
        package: "barnabas-protocol",
        test: "protocol/tests/generated.rs",
        what: "the code of the gRPC contract",
    },
    Generator {
        package: "barnabas-schema-registry",
        test: "schema-registry/tests/generated.rs",
        what: "the reference of the converters with a schema registry",
    },
    Generator {
        package: "barnabas-operator",
        test: "operator/src/kube/build/config_map.rs",
        what: "the workers' configuration file as the operator writes it",
    },
];

impl Generator {
    /// What `cargo test` runs: a test file of its own, or the tests of a module.
    fn arguments(&self) -> Vec<String> {
        let path = Path::new(self.test).with_extension("");
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let after = |folder: &str| parts.iter().position(|part| part == folder).map(|at| &parts[at + 1..]);
        match (after("tests"), after("src")) {
            (Some(test), _) => vec!["--test".to_owned(), test.join("/")],
            (_, module) => vec!["--lib".to_owned(), module.unwrap_or_default().join("::")],
        }
    }
}

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
    for generator in GENERATORS {
        progress::say(format!("{}: {}", generator.package, generator.what));
        let mut cargo = run::cargo();
        cargo.args(["test", "--quiet", "--package", generator.package]).args(generator.arguments());
        if !options.check {
            cargo.env(REGENERATE, "1");
        }
        fresh &= run::shown(&mut cargo)?;
    }
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeSet, fs, path::PathBuf};

    use super::*;
    use crate::cache;

    /// Rust files below `folder` that look at the variable.
    fn readers(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                readers(&path, found);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains(&format!("var_os(\"{REGENERATE}\")")) {
                    found.insert(path);
                }
            }
        }
    }

    #[test]
    fn every_generated_file_is_generated_here() {
        let root = cache::repository();
        let mut found = BTreeSet::new();
        readers(&root, &mut found);
        let known: BTreeSet<_> = GENERATORS.iter().map(|generator| root.join(generator.test)).collect();
        assert_eq!(found, known);
        for generator in GENERATORS {
            let manifests = Path::new(generator.test).ancestors().map(|folder| root.join(folder).join("Cargo.toml"));
            let nearest = manifests.into_iter().find(|manifest| manifest.is_file()).unwrap();
            let text = fs::read_to_string(nearest).unwrap();
            assert!(text.contains(&format!("name = \"{}\"", generator.package)), "{}", generator.package);
        }
    }

    #[test]
    fn a_test_file_and_a_module_are_run_each_in_its_way() {
        let arguments = |package: &str| {
            GENERATORS.iter().find(|generator| generator.package == package).unwrap().arguments().join(" ")
        };
        assert_eq!(arguments("barnabas-crds"), "--test generated");
        assert_eq!(arguments("barnabas-operator"), "--lib kube::build::config_map");
    }
}
