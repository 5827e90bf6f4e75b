//! Kubernetes Events: what happened, for people who look at a resource.
//!
//! The same thing said again within a while becomes a count on the first Event.
//! When the API server is slow, Events are dropped rather than the work held up.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::mpsc;
use tracing::{debug, info};

use super::apply::FIELD_MANAGER;
use crate::{metrics::Metrics, plan::EventKind};

/// Events that may wait.
const WAITING: usize = 256;
/// Something said again within this time is counted on the first Event.
const SERIES: Duration = Duration::from_secs(600);
/// Distinct Events that are remembered for counting.
const REMEMBERED: usize = 1024;
/// The API server refuses longer notes.
const MAX_NOTE: usize = 1000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Said {
    namespace: String,
    uid: String,
    kind: &'static str,
    reason: String,
    message: String,
}

/// Publishes Events; cloning shares the queue.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<(ObjectReference, EventKind, String, String)>,
    metrics: Metrics,
}

impl Events {
    /// Starts the publisher; it ends when the last `Events` is dropped.
    pub fn start(client: Client, reporter: String, metrics: Metrics) -> Self {
        let (queue, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut remembered: HashMap<Said, (String, i32, Instant)> = HashMap::new();
            while let Some((object, kind, reason, message)) = waiting.recv().await {
                publish(&client, &reporter, &mut remembered, object, kind, reason, message).await;
            }
        });
        Self { queue, metrics }
    }

    /// Queues an Event about `object`.
    pub fn publish(&self, object: ObjectReference, kind: EventKind, reason: &str, message: &str) {
        let mut note: String = message.chars().take(MAX_NOTE).collect();
        while note.len() > MAX_NOTE {
            note.pop();
        }
        if self.queue.try_send((object, kind, reason.to_owned(), note)).is_err() {
            self.metrics.events_dropped.inc();
        }
    }
}

async fn publish(
    client: &Client,
    reporter: &str,
    remembered: &mut HashMap<Said, (String, i32, Instant)>,
    object: ObjectReference,
    kind: EventKind,
    reason: String,
    message: String,
) {
    let now = Instant::now();
    if remembered.len() >= REMEMBERED {
        remembered.retain(|_, (_, _, at)| now.duration_since(*at) < SERIES);
    }
    if remembered.len() >= REMEMBERED {
        remembered.clear();
    }
    let namespace = object.namespace.clone().unwrap_or_default();
    info!(
        kind = object.kind.as_deref(), namespace = %namespace, name = object.name.as_deref(), %reason, note = %message,
        "An Event is published."
    );
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let said = Said {
        namespace,
        uid: object.uid.clone().unwrap_or_default(),
        kind: kind.as_str(),
        reason: reason.clone(),
        message: message.clone(),
    };
    let time = MicroTime(Timestamp::now());
    if let Some((name, count, at)) = remembered.get_mut(&said).filter(|(_, _, at)| now.duration_since(*at) < SERIES) {
        *count += 1;
        *at = now;
        let series = EventSeries { count: *count, last_observed_time: time.clone() };
        let patch = serde_json::json!({ "series": series });
        if api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.is_ok() {
            return;
        }
        // It has expired: say it anew.
    }
    let event = Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", object.name.as_deref().unwrap_or("barnabas"))),
            namespace: object.namespace.clone(),
            ..ObjectMeta::default()
        },
        event_time: Some(time),
        action: Some("Reconcile".to_owned()),
        reason: Some(reason),
        note: Some(message),
        type_: Some(kind.as_str().to_owned()),
        regarding: Some(object),
        reporting_controller: Some(format!("barnabas.dev/{FIELD_MANAGER}")),
        reporting_instance: Some(reporter.to_owned()),
        ..Event::default()
    };
    match api.create(&PostParams::default(), &event).await {
        Ok(created) => {
            remembered.insert(said, (created.metadata.name.unwrap_or_default(), 1, now));
        }
        // Its namespace may be going away.
        Err(error) => debug!(%error, "An Event could not be published."),
    }
}
