//! Connectors that no cluster's control loop looks after: the label is missing,
//! or names a cluster that does not exist or never could be read.

use std::collections::BTreeSet;

use barnabas_crds::{KafkaConnector, KafkaConnectorStatus, Lenient, conditions, labels, reasons};
use kube::{Resource, ResourceExt};
use tracing::warn;

use super::{
    cluster_status::{self, not_ready},
    convert::FINALIZER,
    host,
    shared::Context,
    status::Subject,
    world::{Key, State, cluster_of},
};
use crate::plan::EventKind;

/// What was said about which connector, so that its Event is published once.
#[derive(Debug, Default)]
pub struct Orphans {
    told: BTreeSet<(Key, String)>,
}

impl Orphans {
    /// Tells each connector outside of `clusters` why nothing happens, and lets
    /// those go that are being deleted.
    pub async fn tend(&mut self, context: &Context, clusters: &BTreeSet<Key>) {
        let orphans: Vec<_> = context.world.read(|state| {
            state
                .connectors
                .iter()
                .filter(|(_, connector)| {
                    cluster_of(connector.meta()).is_none_or(|cluster| !clusters.contains(&cluster))
                })
                .map(|(key, connector)| (key.clone(), connector.clone(), why(state, connector)))
                .collect()
        });
        let present: BTreeSet<&Key> = orphans.iter().map(|(key, ..)| key).collect();
        self.told.retain(|(key, _)| present.contains(key));
        for (key, connector, (reason, message, may_go)) in orphans {
            if connector.meta().deletion_timestamp.is_some() {
                if may_go
                    && connector.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
                    && let Err(error) = host::release(context, &key, connector.meta().uid.as_deref()).await
                {
                    warn!(connector = %key, %error, "The finalizer could not be removed.");
                    context.world.supervisor.notify_one();
                }
                continue;
            }
            if labels::reconciliation_paused(connector.meta()) {
                continue;
            }
            self.tell(context, &key, &connector, reason, message);
        }
    }

    fn tell(
        &mut self,
        context: &Context,
        key: &Key,
        connector: &Lenient<KafkaConnector>,
        reason: &str,
        message: String,
    ) {
        if self.told.insert((key.clone(), message.clone())) {
            // Whatever the connector's last control loop wrote is not what was written last from here on.
            context.status.forget(Subject::Connector, key);
            let reference = cluster_status::object_reference::<KafkaConnector>(key, connector.meta().uid.clone());
            context.events.publish(reference, EventKind::Warning, reason, &message);
        }
        let generation = connector.meta().generation;
        let desired = not_ready(reason, message, generation);
        let mut status = connector.get().ok().and_then(|c| c.status.clone()).unwrap_or_default();
        status = KafkaConnectorStatus {
            conditions: conditions::merge(&connector.conditions(), desired, context.clock.now()),
            observed_generation: generation,
            // Nothing runs; what ran is history.
            connector_status: None,
            tasks: Vec::new(),
            tasks_running: 0,
            tasks_max: connector.get().map_or(0, |c| i32::try_from(c.spec.tasks_max()).unwrap_or(i32::MAX)),
            summary: Some("0/0".to_owned()),
            ..status
        };
        context.status.set(Subject::Connector, key.clone(), &status);
    }
}

/// Why nobody looks after the connector: reason, message, and whether nothing of it can be running any more.
fn why(state: &State, connector: &Lenient<KafkaConnector>) -> (&'static str, String, bool) {
    let Some(cluster) = cluster_of(connector.meta()) else {
        let message =
            "The label barnabas.dev/cluster is missing; it has to name the ConnectCluster that runs this connector.";
        return (reasons::CLUSTER_LABEL_MISSING, message.to_owned(), true);
    };
    let pods = state.pods_of(&cluster).len();
    match state.clusters.get(&cluster) {
        None => (
            reasons::CLUSTER_NOT_FOUND,
            format!(
                "The label barnabas.dev/cluster names the ConnectCluster {:?}, which does not exist in namespace {}.",
                cluster.name, cluster.namespace
            ),
            // The garbage collector may still be taking its pods away.
            pods == 0,
        ),
        Some(lenient) => {
            let reason = lenient.get().err().map(ToString::to_string).unwrap_or_default();
            let message = format!("The ConnectCluster {:?} cannot be read: {reason}", cluster.name);
            (reasons::CLUSTER_NOT_FOUND, message, pods == 0)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn connector(labels: serde_json::Value) -> Lenient<KafkaConnector> {
        serde_json::from_value(json!({ "metadata": { "namespace": "ns", "name": "k", "labels": labels }, "spec": {} }))
            .unwrap()
    }

    #[test]
    fn the_reason_tells_a_missing_label_from_a_missing_cluster() {
        let mut state = State::default();
        let (reason, message, may_go) = why(&state, &connector(json!({})));
        assert_eq!((reason, may_go), ("ClusterLabelMissing", true));
        assert!(message.contains("barnabas.dev/cluster"));
        let labelled = connector(json!({ "strimzi.io/cluster": "c" }));
        let (reason, message, may_go) = why(&state, &labelled);
        assert_eq!((reason, may_go), ("ClusterNotFound", true));
        assert!(message.contains("\"c\""), "{message}");
        // While pods of the cluster are left, something of the connector may run.
        let pod = json!({ "metadata": { "namespace": "ns", "name": "c-connect-0",
            "labels": { "barnabas.dev/cluster": "c", "barnabas.dev/kind": "ConnectCluster" } } });
        state.pods.insert(Key::new("ns", "c-connect-0"), Arc::new(serde_json::from_value(pod).unwrap()));
        assert!(!why(&state, &labelled).2);
    }

    #[test]
    fn a_cluster_that_cannot_be_read_is_named_with_its_error() {
        let mut state = State::default();
        let broken = json!({ "metadata": { "namespace": "ns", "name": "c" }, "spec": { "replicas": "two" } });
        state.clusters.insert(Key::new("ns", "c"), Arc::new(serde_json::from_value(broken).unwrap()));
        let (reason, message, _) = why(&state, &connector(json!({ "barnabas.dev/cluster": "c" })));
        assert_eq!(reason, "ClusterNotFound");
        assert!(message.contains("spec.replicas"), "{message}");
    }
}
