//! Builders: from a `ConnectCluster` and what was read for it to the objects
//! that are to exist. Pure, one file per kind of child.

pub mod api_service;
pub mod certificates;
pub mod config_map;
pub mod headless_service;
pub mod network_policy;
pub mod pod_disruption_budget;
pub mod service_account;
pub mod stateful_set;

use std::collections::BTreeMap;

use barnabas_crds::{
    ConnectCluster, labels,
    template::{MetadataTemplate, Template},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::Resource;

/// Worker pods' REST view, health and metrics.
pub const HTTP_PORT: i32 = 8083;
/// Worker pods' control port.
pub const CONTROL_PORT: i32 = 9443;
/// Worker pods' metrics, on the port where Strimzi has them.
pub const METRICS_PORT: i32 = 9404;

/// What the operator's installation decides for every cluster.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Image of the workers where the cluster names none.
    pub image: String,
    /// `Always`, `IfNotPresent` or `Never`; Kubernetes' own default when absent.
    pub image_pull_policy: Option<String>,
    /// Names of pull secrets for pods whose cluster names none.
    pub image_pull_secrets: Vec<String>,
    /// Namespace that the operator runs in, for network policies.
    pub operator_namespace: String,
    /// Labels that select the operator's pods, for network policies.
    pub operator_labels: BTreeMap<String, String>,
    /// Whether to make network policies.
    pub network_policies: bool,
}

/// What had to be read from other resources before building.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Per entry of `tls.trustedCertificates`: the Secret and its keys that hold certificates.
    pub trusted_certificates: Vec<(String, Vec<String>)>,
    /// Log levels, wherever they are written.
    pub loggers: BTreeMap<String, String>,
    /// Changes when a mounted Secret's content does; does not tell what it is.
    pub secrets_hash: String,
}

/// A cluster that is being built.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The resource.
    pub cluster: &'a ConnectCluster,
    /// The installation's settings.
    pub settings: &'a Settings,
    /// What was read for it.
    pub resolved: &'a Resolved,
}

/// Names of a cluster's children; those of Strimzi's KafkaConnectResources.
#[derive(Clone, Debug)]
pub struct Names<'a>(pub &'a str);

impl Names<'_> {
    /// StatefulSet, ServiceAccount, NetworkPolicy, PodDisruptionBudget, headless Service.
    pub fn component(&self) -> String {
        format!("{}-connect", self.0)
    }
    /// The Service in front of the REST view.
    pub fn api(&self) -> String {
        format!("{}-connect-api", self.0)
    }
    /// ConfigMap with the workers' configuration.
    pub fn config(&self) -> String {
        format!("{}-connect-config", self.0)
    }
    /// Secret with the authority.
    pub fn authority(&self) -> String {
        format!("{}-connect-ca", self.0)
    }
    /// Secret with the workers' certificate.
    pub fn worker_certs(&self) -> String {
        format!("{}-connect-certs", self.0)
    }
    /// Secret with the operator's certificate.
    pub fn operator_certs(&self) -> String {
        format!("{}-connect-operator-certs", self.0)
    }
    /// The name in the workers' certificate that the pod's session asks for.
    pub fn server_name(&self, pod: &str, namespace: &str) -> String {
        format!("{pod}.{}.{namespace}.svc", self.component())
    }
}

impl<'a> Build<'a> {
    /// `metadata.name`.
    pub fn name(&self) -> &'a str {
        self.cluster.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &'a str {
        self.cluster.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Names of the children.
    pub fn names(&self) -> Names<'a> {
        Names(self.name())
    }

    /// `spec.template`.
    pub fn template(&self) -> Option<&'a Template> {
        self.cluster.spec.template.as_ref()
    }

    /// Selects the worker pods.
    pub fn selector(&self) -> BTreeMap<String, String> {
        selector(self.name())
    }

    /// Labels of every child. What the cluster's template adds cannot replace ours.
    pub fn labels(&self, template: Option<&MetadataTemplate>) -> BTreeMap<String, String> {
        let mut all = template.map(|template| template.labels.clone()).unwrap_or_default();
        all.extend(self.selector());
        for (key, value) in [
            ("app.kubernetes.io/name", "kafka-connect"),
            ("app.kubernetes.io/instance", self.name()),
            ("app.kubernetes.io/part-of", "barnabas"),
            ("app.kubernetes.io/managed-by", "barnabas-operator"),
        ] {
            all.insert(key.to_owned(), value.to_owned());
        }
        all
    }

    /// Metadata of a child, owned by the cluster.
    pub fn metadata(&self, name: String, template: Option<&MetadataTemplate>) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.namespace().to_owned()),
            labels: Some(self.labels(template)),
            annotations: template
                .map(|template| template.annotations.clone())
                .filter(|annotations| !annotations.is_empty()),
            owner_references: Some(vec![self.owner()]),
            ..ObjectMeta::default()
        }
    }

    fn owner(&self) -> OwnerReference {
        OwnerReference {
            api_version: ConnectCluster::api_version(&()).into_owned(),
            kind: ConnectCluster::kind(&()).into_owned(),
            name: self.name().to_owned(),
            uid: self.cluster.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            // Foreground deletion may not be held up by a child's finalizer of somebody else.
            block_owner_deletion: Some(false),
        }
    }
}

/// Labels that select the worker pods of `cluster`.
pub fn selector(cluster: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (labels::CLUSTER.to_owned(), cluster.to_owned()),
        (labels::KIND.to_owned(), "ConnectCluster".to_owned()),
        (labels::NAME.to_owned(), format!("{cluster}-connect")),
    ])
}

/// The same as a selector string, as `status.labelSelector` has it.
pub fn selector_string(cluster: &str) -> String {
    selector(cluster).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn label_selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Clusters for the builders' tests.
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A cluster named `c` in namespace `ns` with this spec.
    pub fn cluster(spec: serde_json::Value) -> ConnectCluster {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "barnabas.dev/v1", "kind": "ConnectCluster",
            "metadata": { "name": "c", "namespace": "ns", "uid": "u-1" },
            "spec": spec,
        }))
        .unwrap()
    }

    pub fn minimal() -> ConnectCluster {
        cluster(serde_json::json!({ "replicas": 2, "bootstrapServers": "kafka:9092" }))
    }

    pub fn settings() -> Settings {
        Settings {
            image: "barnabas:1".into(),
            image_pull_policy: None,
            image_pull_secrets: vec!["default-pull".into()],
            operator_namespace: "ops".into(),
            operator_labels: BTreeMap::from([("app.kubernetes.io/name".into(), "barnabas".into())]),
            network_policies: true,
        }
    }

    /// Runs `test` with a build of `cluster`.
    pub fn with<T>(cluster: &ConnectCluster, resolved: &Resolved, test: impl FnOnce(Build<'_>) -> T) -> T {
        test(Build { cluster, settings: &settings(), resolved })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_template_adds_labels_but_cannot_take_the_selectors_over() {
        let cluster = fixture::minimal();
        let template = MetadataTemplate {
            labels: BTreeMap::from([("team".into(), "a".into()), (labels::CLUSTER.into(), "other".into())]),
            annotations: BTreeMap::from([("note".into(), "n".into())]),
        };
        fixture::with(&cluster, &Resolved::default(), |build| {
            let metadata = build.metadata("x".into(), Some(&template));
            let labels = metadata.labels.unwrap();
            assert_eq!(labels["team"], "a");
            assert_eq!(labels[labels::CLUSTER], "c");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "barnabas-operator");
            assert_eq!(metadata.annotations.unwrap()["note"], "n");
            let owner = &metadata.owner_references.unwrap()[0];
            assert_eq!(
                (owner.kind.as_str(), owner.uid.as_str(), owner.controller),
                ("ConnectCluster", "u-1", Some(true))
            );
        });
    }
}
