//! Where everything is: the environment that `cargo xtask` hands to the scenarios.

use std::{collections::BTreeMap, env, fs, path::PathBuf, sync::OnceLock};

use anyhow::{Context, Result};

use crate::{Cluster, Corpus, Kafka};

static TESTBED: OnceLock<Testbed> = OnceLock::new();

/// The running cluster and Kafka.
pub struct Testbed {
    variables: BTreeMap<String, String>,
}

impl Testbed {
    /// The testbed that this process was started on, or the one that `cargo xtask cluster up` started.
    ///
    /// # Panics
    /// When there is none: a scenario without a cluster has nothing to say.
    pub fn get() -> &'static Self {
        TESTBED.get_or_init(|| Self::find().expect("a scenario needs a cluster: `cargo xtask test e2e NAME`"))
    }

    fn find() -> Result<Self> {
        let from_process = env::vars().filter(|(name, _)| name == "KUBECONFIG" || name.starts_with("BARNABAS_TEST_"));
        let variables = from_process.collect::<BTreeMap<_, _>>();
        if variables.contains_key("BARNABAS_TEST_KUBECTL") {
            return Ok(Self { variables });
        }
        let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
        let file = cache.context("neither XDG_CACHE_HOME nor HOME is set")?.join("barnabas/cluster/env");
        let text =
            fs::read_to_string(&file).with_context(|| format!("no cluster is up: cannot read {}", file.display()))?;
        Ok(Self { variables: parse(&text) })
    }

    /// A variable of the testbed, such as `BARNABAS_TEST_IMAGE`.
    ///
    /// # Panics
    /// When the testbed does not set it.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("the testbed sets no {name}"))
    }

    /// A variable of the testbed that holds a path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.variable(name).into()
    }

    /// A file of the repository, named from its root.
    pub fn file(&self, path: &str) -> PathBuf {
        self.path("BARNABAS_TEST_REPOSITORY").join(path)
    }

    /// The image under test.
    pub fn image(&self) -> &str {
        self.variable("BARNABAS_TEST_IMAGE")
    }

    /// The same programs in another image, for upgrades.
    pub fn image_2(&self) -> &str {
        self.variable("BARNABAS_TEST_IMAGE_2")
    }

    /// The cluster.
    pub fn cluster(&'static self) -> Cluster {
        Cluster::new(self)
    }

    /// The broker.
    pub fn kafka(&'static self) -> Kafka {
        Kafka::new(self)
    }

    /// A large real text.
    pub fn corpus(&self) -> Corpus {
        Corpus::new(self.path("BARNABAS_TEST_CORPUS"))
    }
}

/// Lines like `export NAME='VALUE'`.
fn parse(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_the_file_that_a_shell_reads() {
        let variables = parse("export A='one two'\n# comment\nexport B='x=y'\n");
        assert_eq!(variables["A"], "one two");
        assert_eq!(variables["B"], "x=y");
        assert_eq!(variables.len(), 2);
    }
}
