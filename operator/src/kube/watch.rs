//! The watches that fill the [`World`]. A resource that cannot be read does not
//! stop the watch of the others: it is kept as far as it can be read.

use std::{fmt::Debug, sync::Arc};

use barnabas_crds::{ConnectCluster, KafkaConnector, Lenient, labels};
use futures::{Stream, StreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Pod, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{
    Api, Client, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tracing::warn;

use super::world::{Feed, Indexed, Kind, Meta, World};
use crate::metrics::{ByKind, Metrics};

/// Starts every watch, in each of `namespaces` or, if there are none, in all.
pub fn start(client: &Client, world: &Arc<World>, namespaces: &[String], metrics: &Metrics, tasks: &mut JoinSet<()>) {
    let scopes: Vec<Option<String>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().cloned().map(Some).collect() };
    for scope in scopes {
        let mut watch = Watch { client, world, scope, metrics, tasks };
        watch.full::<Lenient<ConnectCluster>>(Kind::ConnectCluster, watcher::Config::default());
        watch.full::<Lenient<KafkaConnector>>(Kind::KafkaConnector, watcher::Config::default());
        watch.full::<Pod>(Kind::Pod, children());
        watch.full::<StatefulSet>(Kind::StatefulSet, children());
        // Connectors may refer to any ConfigMap, so all are watched; their content is not. Secrets are not even listed:
        // the operator has no permission to, and reads by name what it needs.
        watch.metadata::<ConfigMap>(Kind::ConfigMap, watcher::Config::default());
        watch.metadata::<Service>(Kind::Service, children());
        watch.metadata::<ServiceAccount>(Kind::ServiceAccount, children());
        watch.metadata::<PodDisruptionBudget>(Kind::PodDisruptionBudget, children());
        watch.metadata::<NetworkPolicy>(Kind::NetworkPolicy, children());
    }
}

/// Only what the operator has made.
fn children() -> watcher::Config {
    watcher::Config::default().labels(&format!("{}=ConnectCluster", labels::KIND))
}

struct Watch<'a> {
    client: &'a Client,
    world: &'a Arc<World>,
    scope: Option<String>,
    metrics: &'a Metrics,
    tasks: &'a mut JoinSet<()>,
}

impl Watch<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        match &self.scope {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    fn full<K>(&mut self, kind: Kind, config: watcher::Config)
    where
        K: Indexed
            + Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let events = watcher::watcher(self.api::<K>(), config);
        self.follow(kind, events);
    }

    fn metadata<K>(&mut self, kind: Kind, config: watcher::Config)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let events = watcher::watcher(self.api::<PartialObjectMeta<K>>(), config).map(move |event| {
            let meta = |object: PartialObjectMeta<K>| Meta::new(kind, object.metadata);
            event.map(|event| match event {
                Event::Apply(object) => Event::Apply(meta(object)),
                Event::Delete(object) => Event::Delete(meta(object)),
                Event::InitApply(object) => Event::InitApply(meta(object)),
                Event::Init => Event::Init,
                Event::InitDone => Event::InitDone,
            })
        });
        self.follow(kind, events);
    }

    fn follow<T: Indexed>(
        &mut self,
        kind: Kind,
        events: impl Stream<Item = Result<Event<T>, watcher::Error>> + Send + 'static,
    ) {
        let world = self.world.clone();
        let errors = self.metrics.watch_errors.get_or_create_owned(&ByKind { kind: kind.as_str() });
        let mut feed = Feed::new(&world, kind, self.scope.clone());
        self.tasks.spawn(async move {
            let mut events = std::pin::pin!(events.default_backoff());
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => feed.take(&world, event),
                    Err(error) => {
                        errors.inc();
                        warn!(watch = feed.label(), %error, "A watch failed; it starts again.");
                    }
                }
            }
        });
    }
}
