//! One namespace per scenario.

use std::{thread, time::SystemTime};

use anyhow::Result;
use serde_json::json;

use crate::{Cluster, say};

/// Resource types whose finalizers need a live operator; deleted while there is one.
const OURS: [&str; 2] = ["kafkaconnectors.barnabas.dev", "connectclusters.barnabas.dev"];

/// A namespace that goes with this value, and tells what was in it when the scenario fails.
///
/// Set `BARNABAS_TEST_KEEP` to keep it for a look at it (on a cluster that stays up).
pub struct Namespace {
    cluster: Cluster,
    name: String,
    releases: Vec<String>,
}

impl Namespace {
    pub(crate) fn create(cluster: Cluster, prefix: &str) -> Result<Self> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Short, because the names of a cluster's pods are built from it.
        let name = format!("{prefix}-{:05x}", since.as_millis() & 0xf_ffff);
        cluster.kubectl(["create", "namespace", &name])?;
        say(format!("namespace {name}"));
        Ok(Self { cluster, name, releases: Vec::new() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cluster.
    pub fn cluster(&self) -> Cluster {
        self.cluster
    }

    /// Installs the chart, with the image under test, into this namespace, and waits until the operator is available.
    /// `values` are given as `--set` takes them (`replicas=1`). The release, named like the namespace, is removed
    /// with the namespace.
    pub fn install(&mut self, values: &[&str]) -> Result<()> {
        let chart = self.cluster.testbed().file("charts/barnabas").display().to_string();
        self.install_chart(&chart, values)
    }

    /// As [`Self::install`], of another chart.
    pub fn install_chart(&mut self, chart: &str, values: &[&str]) -> Result<()> {
        self.releases.push(self.name.clone());
        self.helm("install", chart, values)?;
        say("the operator is available");
        Ok(())
    }

    /// Upgrades what was installed, with these values and no others, to the chart of the repository.
    pub fn upgrade(&self, values: &[&str]) -> Result<()> {
        let chart = self.cluster.testbed().file("charts/barnabas").display().to_string();
        self.helm("upgrade", &chart, values)?;
        say("the operator is upgraded");
        Ok(())
    }

    fn helm(&self, action: &str, chart: &str, values: &[&str]) -> Result<()> {
        let testbed = self.cluster.testbed();
        let (repository, tag) = testbed.image().rsplit_once(':').unwrap_or((testbed.image(), "latest"));
        let image = format!("image.repository={repository},image.tag={tag},image.pullPolicy=Never");
        let mut arguments = vec![action, &self.name, chart, "--namespace", &self.name];
        for value in std::iter::once(image.as_str()).chain(values.iter().copied()) {
            arguments.extend(["--set", value]);
        }
        arguments.extend(["--wait", "--timeout", "3m"]);
        self.cluster.helm(arguments)?;
        Ok(())
    }

    /// Prints what one wants to see after a failure.
    pub fn describe(&self) {
        let cluster = self.cluster;
        let show = |title: &str, text: Result<String>| {
            println!("---- {title}");
            println!("{}", text.unwrap_or_else(|error| format!("{error:#}")));
        };
        for kind in OURS {
            show(kind, cluster.kubectl(["get", "--namespace", &self.name, kind, "--output", "yaml"]));
        }
        show("pods", cluster.kubectl(["get", "--namespace", &self.name, "pods", "--output", "wide"]));
        let events = ["get", "--namespace", &self.name, "events", "--sort-by=.lastTimestamp"];
        show("events", cluster.kubectl(events));
        for pod in cluster.pods(&self.name, "").unwrap_or_default() {
            let tail = |previous: &str| {
                let logs = ["logs", "--namespace", &self.name, &pod.name, "--all-containers", "--tail=60", previous];
                cluster.kubectl(logs)
            };
            show(&format!("log of {}", pod.name), tail("--previous=false"));
            if pod.restarts > 0 {
                show(&format!("log of {} before its restart", pod.name), tail("--previous=true"));
            }
        }
    }

    fn remove(&self) {
        let namespace = self.name.as_str();
        for kind in OURS {
            let delete = ["delete", "--namespace", namespace, kind, "--all", "--ignore-not-found", "--timeout=30s"];
            if self.cluster.kubectl(delete).is_ok() {
                continue;
            }
            // Nobody is left who would remove them.
            for resource in self.cluster.list(namespace, kind, "").unwrap_or_default() {
                let name = format!("{kind}/{}", resource["metadata"]["name"].as_str().unwrap_or_default());
                self.cluster.patch(namespace, &name, &json!({"metadata": {"finalizers": null}})).ok();
            }
        }
        for release in &self.releases {
            self.cluster.helm(["uninstall", release, "--namespace", namespace, "--ignore-not-found"]).ok();
        }
        // The pods first, and waited for: they would take the processors from the next scenario. The namespace itself
        // looks again every few seconds only, and nobody needs its name.
        let pods = "deployments,statefulsets,pods";
        let delete = ["delete", "--namespace", namespace, pods, "--all", "--timeout=90s"];
        if let Err(error) = self.cluster.kubectl(delete) {
            println!("warning: pods of namespace {namespace} are still there: {error:#}");
        }
        self.cluster.kubectl(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]).ok();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if thread::panicking() {
            self.describe();
        }
        if std::env::var_os("BARNABAS_TEST_KEEP").is_some() {
            say(format!("namespace {} is kept", self.name));
            return;
        }
        self.remove();
    }
}
