//! `barnabas get`: resources as `kubectl get` shows them.

use std::fmt;

use barnabas_crds::{ConnectCluster, KafkaConnector};
use clap::ValueEnum;
use kube::Resource as _;
use serde_json::{Value, json};

use super::{columns, snapshot::Snapshot, table};

/// A kind of resource, by any of the names that kubectl would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// KafkaConnectors.
    #[value(
        name = "connectors",
        aliases = ["connector", "kafkaconnectors", "kafkaconnector", "kctr", "kafkaconnectors.barnabas.dev"]
    )]
    Connectors,
    /// ConnectClusters.
    #[value(
        name = "clusters",
        aliases = ["cluster", "connectclusters", "connectcluster", "cc", "connectclusters.barnabas.dev"]
    )]
    Clusters,
}

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The table with every column.
    Wide,
    /// The objects as JSON.
    Json,
    /// The objects as YAML.
    Yaml,
    /// `kind/name`, one a line.
    Name,
}

/// There is no such resource. Reads as kubectl's message does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFound {
    plural: String,
    name: String,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error from server (NotFound): {}.barnabas.dev {:?} not found", self.plural, self.name)
    }
}

impl std::error::Error for NotFound {}

impl Kind {
    /// The resource's plural name.
    pub fn plural(self) -> String {
        match self {
            Self::Connectors => KafkaConnector::plural(&()).into_owned(),
            Self::Clusters => ConnectCluster::plural(&()).into_owned(),
        }
    }

    /// The CRD, as JSON.
    pub fn crd(self) -> Value {
        let plural = self.plural();
        let crd = barnabas_crds::crds().into_iter().find(|crd| crd.spec.names.plural == plural);
        serde_json::to_value(crd).unwrap_or_default()
    }

    fn objects(self, snapshot: &Snapshot) -> &[Value] {
        match self {
            Self::Connectors => &snapshot.connectors,
            Self::Clusters => &snapshot.clusters,
        }
    }

    /// The objects of this kind, by name and namespace where these are given.
    ///
    /// # Errors
    /// When `name` is given and names nothing.
    pub fn select(
        self,
        snapshot: &Snapshot,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<Vec<Value>, NotFound> {
        let metadata = |object: &Value, field: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| object["metadata"][field] == wanted)
        };
        let found: Vec<Value> = self
            .objects(snapshot)
            .iter()
            .filter(|object| metadata(object, "namespace", namespace) && metadata(object, "name", name))
            .cloned()
            .collect();
        match name {
            Some(name) if found.is_empty() => Err(NotFound { plural: self.plural(), name: name.to_owned() }),
            _ => Ok(found),
        }
    }

    /// What `get` prints.
    ///
    /// # Errors
    /// When `name` is given and names nothing.
    pub fn show(
        self,
        snapshot: &Snapshot,
        namespace: Option<&str>,
        name: Option<&str>,
        output: Option<Output>,
        now_ms: i64,
    ) -> Result<String, NotFound> {
        let objects = self.select(snapshot, namespace, name)?;
        let document = || match objects.as_slice() {
            [object] if name.is_some() => object.clone(),
            _ => json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": objects}),
        };
        Ok(match output {
            Some(Output::Json) => format!("{:#}\n", document()),
            Some(Output::Yaml) => serde_yaml::to_string(&document()).unwrap_or_default(),
            Some(Output::Name) => objects
                .iter()
                .map(|object| {
                    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
                    format!("{kind}.barnabas.dev/{}\n", object["metadata"]["name"].as_str().unwrap_or_default())
                })
                .collect(),
            None | Some(Output::Wide) if objects.is_empty() => String::new(),
            None | Some(Output::Wide) => {
                let wide = output == Some(Output::Wide);
                let several =
                    objects.iter().any(|object| object["metadata"]["namespace"] != objects[0]["metadata"]["namespace"]);
                table(&columns::rows(&columns::of(&self.crd()), &objects, wide, several, now_ms))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn snapshot() -> Snapshot {
        let object = |name: &str| {
            json!({"apiVersion": "barnabas.dev/v1", "kind": "KafkaConnector",
                "metadata": {"name": name, "namespace": "default", "creationTimestamp": "1970-01-01T00:00:00Z"},
                "spec": {"class": "FileStreamSource"}})
        };
        Snapshot { connectors: vec![object("a"), object("b")], ..Snapshot::default() }
    }

    fn show(name: Option<&str>, output: Option<Output>) -> Result<String, NotFound> {
        Kind::Connectors.show(&snapshot(), None, name, output, 60_000)
    }

    #[test]
    fn json_is_a_list_of_the_very_objects_and_a_single_object_by_name() {
        let list: Value = serde_json::from_str(&show(None, Some(Output::Json)).unwrap()).unwrap();
        assert_eq!((list["kind"].as_str(), list["apiVersion"].as_str()), (Some("List"), Some("v1")));
        assert_eq!(list["items"].as_array().unwrap(), &snapshot().connectors);
        let single: Value = serde_json::from_str(&show(Some("b"), Some(Output::Json)).unwrap()).unwrap();
        assert_eq!(single, snapshot().connectors[1]);
        let yaml: Value = serde_yaml::from_str(&show(Some("b"), Some(Output::Yaml)).unwrap()).unwrap();
        assert_eq!(yaml, single);
    }

    #[test]
    fn a_table_has_kubectls_header_and_wide_has_more() {
        let table = show(None, None).unwrap();
        let header = table.lines().next().unwrap();
        assert!(header.starts_with("NAME ") && header.contains("READY") && header.ends_with("AGE"), "{header}");
        assert_eq!(table.lines().count(), 3);
        assert!(table.contains("60s"), "{table}");
        assert!(show(None, Some(Output::Wide)).unwrap().lines().next().unwrap().contains("MESSAGE"));
        assert_eq!(show(Some("a"), Some(Output::Name)).unwrap(), "kafkaconnector.barnabas.dev/a\n");
    }

    #[test]
    fn what_is_not_there_is_said_as_kubectl_says_it() {
        assert_eq!(
            show(Some("c"), None).unwrap_err().to_string(),
            "Error from server (NotFound): kafkaconnectors.barnabas.dev \"c\" not found"
        );
    }
}
