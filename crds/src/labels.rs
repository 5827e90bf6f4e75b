//! Labels and annotations, under our own prefix and under Strimzi's.
//!
//! Every key that a user may write is read under `barnabas.dev/` and under `strimzi.io/`, so that a manifest written
//! for Strimzi works as it stands. Ours wins when both are present. The operator itself writes only ours.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// Our prefix of labels and annotations.
pub const PREFIX: &str = "barnabas.dev/";
/// Strimzi's prefix, accepted wherever ours is.
pub const STRIMZI_PREFIX: &str = "strimzi.io/";

/// Label on a `KafkaConnector`: the `ConnectCluster` it runs on, in the same namespace. Also on every child resource.
pub const CLUSTER: &str = "barnabas.dev/cluster";
/// Strimzi's spelling of [`CLUSTER`].
pub const STRIMZI_CLUSTER: &str = "strimzi.io/cluster";
/// Label on child resources: the kind of their owner.
pub const KIND: &str = "barnabas.dev/kind";
/// Label on child resources: `<cluster>-connect`.
pub const NAME: &str = "barnabas.dev/name";

/// Annotation on a `KafkaConnector`: restart it, see [`Restart`]. Removed once the restart has begun.
pub const RESTART: &str = "restart";
/// Annotation on a `KafkaConnector`: the number of the one task to restart. Removed once the restart has begun.
pub const RESTART_TASK: &str = "restart-task";
/// Annotation on both kinds: `"true"` leaves the resource alone until it is removed.
pub const PAUSE_RECONCILIATION: &str = "pause-reconciliation";
/// Annotation on a `KafkaConnector`: `list`, `alter` or `reset`.
pub const CONNECTOR_OFFSETS: &str = "connector-offsets";
/// Annotation on a `ConnectCluster` that Strimzi needs to look at connectors at all; here it always does.
pub const USE_CONNECTOR_RESOURCES: &str = "use-connector-resources";

fn prefixed<'a>(map: &'a Option<BTreeMap<String, String>>, name: &str) -> Option<(&'a str, &'a str)> {
    let map = map.as_ref()?;
    [PREFIX, STRIMZI_PREFIX]
        .into_iter()
        .find_map(|prefix| map.get_key_value(&format!("{prefix}{name}")))
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// The `ConnectCluster` that the resource's labels name.
pub fn cluster(metadata: &ObjectMeta) -> Option<&str> {
    prefixed(&metadata.labels, "cluster").map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// The annotation `name` (without prefix) as written: its full key, to remove it by, and its value.
pub fn annotation<'a>(metadata: &'a ObjectMeta, name: &str) -> Option<(&'a str, &'a str)> {
    prefixed(&metadata.annotations, name)
}

/// Whether the resource asks to be left alone.
pub fn reconciliation_paused(metadata: &ObjectMeta) -> bool {
    annotation(metadata, PAUSE_RECONCILIATION).is_some_and(|(_, value)| value == "true")
}

/// What a restart annotation asks for: the parameters of Connect's `POST /connectors/{name}/restart` (KIP-745).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// Restart the tasks as well as the connector instance.
    pub include_tasks: bool,
    /// Restart only what has failed.
    pub only_failed: bool,
}

impl Restart {
    /// Reads the value of the annotation: `true`, `includeTasks`, `onlyFailed` or `includeTasks,onlyFailed`.
    ///
    /// # Errors
    /// A sentence for the Warning condition when the value is none of these.
    pub fn parse(value: &str) -> Result<Self, String> {
        let mut restart = Self::default();
        if value.trim() == "true" {
            return Ok(restart);
        }
        for word in value.split(',').map(str::trim) {
            match word {
                "includeTasks" => restart.include_tasks = true,
                "onlyFailed" => restart.only_failed = true,
                _ => {
                    return Err(format!(
                        "Invalid annotation format: {value:?}. The annotation `restart` takes \"true\", \
                         \"includeTasks\", \"onlyFailed\" or \"includeTasks,onlyFailed\"."
                    ));
                }
            }
        }
        Ok(restart)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn meta(labels: &[(&str, &str)]) -> ObjectMeta {
        let map = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect::<BTreeMap<_, _>>();
        ObjectMeta { labels: Some(map.clone()), annotations: Some(map), ..Default::default() }
    }

    #[test]
    fn both_prefixes_are_read_and_ours_wins() {
        assert_eq!(cluster(&meta(&[(STRIMZI_CLUSTER, "a")])), Some("a"));
        assert_eq!(cluster(&meta(&[(STRIMZI_CLUSTER, "a"), (CLUSTER, "b")])), Some("b"));
        assert_eq!(cluster(&meta(&[(CLUSTER, "")])), None);
        assert_eq!(annotation(&meta(&[("strimzi.io/restart", "true")]), RESTART), Some(("strimzi.io/restart", "true")));
        assert!(reconciliation_paused(&meta(&[("barnabas.dev/pause-reconciliation", "true")])));
        assert!(!reconciliation_paused(&meta(&[("barnabas.dev/pause-reconciliation", "false")])));
    }

    #[test]
    fn restart_takes_what_strimzi_takes() {
        assert_eq!(Restart::parse("true").unwrap(), Restart::default());
        assert_eq!(
            Restart::parse("includeTasks, onlyFailed").unwrap(),
            Restart { include_tasks: true, only_failed: true }
        );
        assert!(Restart::parse("true,includeTasks").unwrap_err().contains("Invalid annotation format"));
        assert!(Restart::parse("").is_err());
    }
}
