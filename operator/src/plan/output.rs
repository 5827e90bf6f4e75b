//! What the planner answers: actions for its driver to carry out.

use std::collections::BTreeMap;

use barnabas_protocol::{Directive, Epoch};

use super::{ClusterStatusDraft, ConnectorStatusDraft};

/// Something for the driver to do. Carrying out an action twice, or losing one with the process, does no harm.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this on the worker's session, in the order of the actions. Drop it when the session is gone.
    Push {
        /// Pod name.
        worker: String,
        /// A hello, or the worker's whole desired set.
        directive: Directive,
    },
    /// Call `Validate` on this worker and answer with [`super::Controller::validated`], always, also on failure.
    Validate {
        /// Pod name.
        worker: String,
        /// `metadata.name` of the connector.
        key: String,
        /// To repeat in the answer.
        config_hash: u64,
        /// The connector's name towards Kafka.
        name: String,
        /// Complete configuration, secrets resolved: never log it.
        config: BTreeMap<String, String>,
        /// The values in it that no message may show.
        secrets: Vec<String>,
    },
    /// Replace the connector's status. Sent only when it differs from the last one.
    ConnectorStatus {
        /// `metadata.name` of the connector.
        key: String,
        /// The whole status.
        status: Box<ConnectorStatusDraft>,
    },
    /// Replace the planner's part of the cluster's status. Sent only when it differs from the last one.
    ClusterStatus {
        /// The planner's part: conditions, workers.
        status: Box<ClusterStatusDraft>,
    },
    /// Publish a Kubernetes Event.
    Event(Event),
    /// Remove the annotation if it still has this value.
    AnnotationDone {
        /// `metadata.name` of the connector.
        key: String,
        /// Which annotation, under either prefix.
        annotation: Annotation,
        /// The value that was acted on.
        value: String,
    },
    /// Every unit of the deleted connector has stopped: remove the finalizer.
    FinalizerDone {
        /// `metadata.name` of the connector.
        key: String,
        /// `metadata.uid`, so that a successor of the same name is left alone.
        uid: String,
    },
    /// The pod has nothing left to run (or ran out of time): delete it when it is outdated, scale it away when it is
    /// surplus. Also to be had at any time from [`super::Controller::pod_plan`].
    PodDrained {
        /// Pod name.
        pod: String,
        /// `metadata.uid`.
        uid: String,
        /// Why it was drained.
        why: DrainReason,
    },
    /// A worker has accepted a newer leader: stop leading. Nothing more comes from this controller. When the Lease is
    /// nevertheless ours (it was deleted and made anew), lead again under a term above this one.
    Deposed {
        /// The newest epoch that the worker has accepted.
        newest: Epoch,
    },
}

/// A request by annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Annotation {
    /// `barnabas.dev/restart` or `strimzi.io/restart`.
    Restart,
    /// `barnabas.dev/restart-task` or `strimzi.io/restart-task`.
    RestartTask,
}

/// Why a pod is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainReason {
    /// The cluster scales down.
    Surplus,
    /// The pod is to be replaced by one of the current revision.
    Outdated,
}

/// A Kubernetes Event about a connector or the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the event is about.
    pub object: EventObject,
    /// `type`: Normal or Warning.
    pub kind: EventKind,
    /// CamelCase reason.
    pub reason: String,
    /// One or two sentences. Contains no secret.
    pub message: String,
}

/// The object of an [`Event`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventObject {
    /// The `KafkaConnector` of this `metadata.name`.
    Connector(String),
    /// The `ConnectCluster`.
    Cluster,
}

/// `type` of a Kubernetes Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// Information.
    Normal,
    /// Somebody may have to act.
    Warning,
}

impl EventKind {
    /// As Kubernetes writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Whether a pod may go, for a driver that asks instead of listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodPlan {
    /// Units that the worker runs or may run.
    pub units: usize,
    /// Set while the planner moves the pod's units away.
    pub draining: Option<DrainReason>,
    /// The pod may be deleted or scaled away now.
    pub drained: bool,
}
