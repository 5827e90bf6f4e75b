//! Keeps the control loops told of what the manifests say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use barnabas_crds::{
    Condition, ConnectorPlugin, KafkaConnector, KafkaConnectorStatus,
    conditions::{self, reasons, types},
    labels,
};
use barnabas_operator::{
    drive::{Clock, Input},
    plan::{ClusterSpec, ConnectorSpec},
};
use barnabas_worker::{WorkerConfig, logging::Level};

use super::{
    Bootstrap, Kafka, Levels, Screen,
    host::{Host, Pending, Told},
    logging,
    objects::Objects,
    runtime::Runtime,
    security, translate,
};
use crate::manifests::{Folder, Key, Located, Path, Problem, Severity};

/// Annotation on either kind: a line that `up` prints once the resource is ready. `{dir}` in it becomes the folder.
const NOTE: &str = "barnabas.dev/note";

/// Everything that runs.
pub struct Up {
    objects: Objects,
    pending: Arc<Pending>,
    clock: Clock,
    screen: Screen,
    dir: PathBuf,
    folder: Folder,
    runtimes: BTreeMap<Key, Runtime>,
    /// Private files that hold what clients need of Secrets.
    private: BTreeMap<Key, security::Files>,
    /// What the loops were told of connectors, and which loop.
    told: BTreeMap<Key, (Key, ConnectorSpec)>,
    /// Connectors whose loop has been asked to stop them, with that loop's cluster.
    leaving: BTreeMap<Key, Key>,
    /// Annotations that were acted on, by name without prefix, with their value then. A manifest keeps its annotation,
    /// so what is done has to be remembered: it is done again when its value changes, or it was away.
    done: BTreeMap<Key, BTreeMap<&'static str, String>>,
    said: BTreeSet<String>,
    noted: BTreeSet<Key>,
    servers: BTreeMap<Key, Bootstrap>,
    /// The log.
    levels: Levels,
    /// The levels that clusters ask for.
    asked: BTreeMap<Key, BTreeMap<String, Level>>,
}

impl Up {
    /// Nothing runs yet. `dir` is the folder as the user named it.
    pub fn new(
        objects: Objects,
        pending: Arc<Pending>,
        clock: Clock,
        screen: Screen,
        dir: PathBuf,
        levels: Levels,
    ) -> Self {
        Self {
            objects,
            pending,
            clock,
            screen,
            dir,
            folder: Folder::default(),
            runtimes: BTreeMap::new(),
            private: BTreeMap::new(),
            told: BTreeMap::new(),
            leaving: BTreeMap::new(),
            done: BTreeMap::new(),
            said: BTreeSet::new(),
            noted: BTreeSet::new(),
            servers: BTreeMap::new(),
            levels,
            asked: BTreeMap::new(),
        }
    }

    /// What the loops have asked for.
    pub fn pending(&self) -> &Pending {
        &self.pending
    }

    /// The resources.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.clock.now()
    }

    /// True when no cluster is at work.
    pub fn runs_nothing(&self) -> bool {
        self.runtimes.is_empty()
    }

    /// The Kafkas in use.
    pub fn bootstrap_servers(&self) -> BTreeSet<String> {
        self.servers.values().map(|bootstrap| bootstrap.servers.clone()).collect()
    }

    /// Makes everything as the folder says.
    pub async fn follow(&mut self, folder: Folder, kafka: &mut Kafka) {
        // What was put right is forgotten, so that it is said again should it come back.
        let still: BTreeSet<String> = folder.problems.iter().map(ToString::to_string).collect();
        self.said.retain(|said| still.contains(said));
        self.say_problems(&folder.problems);
        self.folder = folder;
        self.reconcile(kafka).await;
    }

    /// Does what the loops have asked for.
    pub async fn settle(&mut self, kafka: &mut Kafka) {
        let mut again = false;
        for told in self.pending.take() {
            match told {
                Told::AnnotationDone { connector, annotation, value } => {
                    let name = translate::annotation_name(annotation);
                    self.done.entry(connector).or_default().insert(name, value);
                    again = true;
                }
                Told::Released { cluster, connector, uid } => {
                    if self.leaving.get(&connector) == Some(&cluster) {
                        self.released(&connector, &uid).await;
                        again = true;
                    }
                }
                Told::Drained { cluster, worker, uid } => {
                    if let Some(runtime) = self.runtimes.get_mut(&cluster) {
                        runtime.remove(&worker, &uid).await;
                    }
                }
            }
        }
        if again {
            self.reconcile(kafka).await;
        }
    }

    /// Stops every cluster. The resources stay as they last were.
    pub async fn stop(&mut self) {
        for (_, runtime) in std::mem::take(&mut self.runtimes) {
            runtime.stop().await;
        }
        for (_, files) in std::mem::take(&mut self.private) {
            files.remove();
        }
    }

    /// Says `text` unless it was said since the folder last changed.
    pub fn say_once(&mut self, text: &str) {
        if self.said.insert(text.to_owned()) {
            self.screen.line(text);
        }
    }

    /// Prints the notes of resources that have become ready.
    pub fn notes(&mut self) {
        for (key, connector) in self.objects.connectors() {
            let conditions = connector.status.as_ref().map_or(&[][..], |status| &status.conditions);
            let ready = conditions::find(conditions, types::READY);
            let ready = ready.is_some_and(|ready| ready.status == conditions::ConditionStatus::True);
            let note = connector.metadata.annotations.as_ref().and_then(|annotations| annotations.get(NOTE));
            if let (true, Some(note)) = (ready, note)
                && self.noted.insert(key.clone())
            {
                let note = note.replace("{dir}", &self.dir.display().to_string());
                self.screen.line(&format!("{key}: {}", note.trim_end()));
            }
        }
    }

    /// Writes the workers' plugins into the clusters' status, once.
    pub fn refresh_plugins(&self) {
        let clusters = self.objects.clusters();
        for (key, runtime) in &self.runtimes {
            let known = clusters.get(key).and_then(|cluster| cluster.status.as_ref());
            if known.is_some_and(|status| status.connector_plugins.is_empty()) {
                let plugins = runtime.plugins().into_iter().map(|plugin| ConnectorPlugin {
                    class: plugin.class,
                    type_: plugin.r#type,
                    version: plugin.version,
                });
                let plugins: Vec<ConnectorPlugin> = plugins.collect();
                self.objects.cluster_status(key, |status| status.connector_plugins = plugins);
            }
        }
    }

    async fn reconcile(&mut self, kafka: &mut Kafka) {
        let new = self.clusters(kafka).await;
        self.connectors().await;
        for cluster in new {
            if let Some(runtime) = self.runtimes.get(&cluster) {
                runtime.synced().await;
            }
        }
    }

    /// Starts, changes and stops clusters. Returns those whose loop is new.
    async fn clusters(&mut self, kafka: &mut Kafka) -> Vec<Key> {
        for key in self.objects.clusters().into_keys() {
            if !self.folder.clusters.contains_key(&key) {
                self.stop_cluster(&key).await;
                self.forget_files(&key);
                if self.asked.remove(&key).is_some() {
                    self.levels.apply(self.asked.values());
                }
                self.objects.remove_cluster(&key);
            }
        }
        let mut new = Vec::new();
        let clusters: Vec<_> =
            self.folder.clusters.iter().map(|(key, cluster)| (key.clone(), cluster.clone())).collect();
        for (key, cluster) in clusters {
            let stored = self.objects.put_cluster(&key, &cluster.resource, self.clock.now());
            let spec = &cluster.resource.spec;
            let bootstrap = kafka.bootstrap(&spec.bootstrap_servers, spec.is_embedded()).await;
            let bootstrap = bootstrap.map_err(|error| format!("{error:#}"));
            let ready = bootstrap.and_then(|it| {
                self.follow_levels(&key, &cluster)?;
                Ok((self.worker_config(&key, &cluster, &it)?, it))
            });
            let (config, bootstrap) = match ready {
                Ok(ready) => ready,
                Err(message) => {
                    self.refuse_cluster(&key, &cluster, &message);
                    continue;
                }
            };
            if self.runtimes.get(&key).is_some_and(|runtime| *runtime.config() != config) {
                self.screen.line(&format!("cluster {key}: its configuration has changed; its workers start anew"));
                self.stop_cluster(&key).await;
            }
            if !self.runtimes.contains_key(&key) {
                let host = Host {
                    cluster: key.clone(),
                    objects: self.objects.clone(),
                    pending: self.pending.clone(),
                    clock: self.clock,
                };
                if self.servers.insert(key.clone(), bootstrap.clone()).as_ref() != Some(&bootstrap) {
                    let which = if bootstrap.embedded { "the embedded Kafka" } else { "the Kafka" };
                    self.screen.line(&format!("cluster {key}: on {which} at {}", bootstrap.servers));
                }
                self.runtimes.insert(key.clone(), Runtime::start(config, self.clock, host));
                new.push(key.clone());
            }
            let mut plan = ClusterSpec::new(key.name.clone(), spec.replicas());
            plan.generation = stored.metadata.generation.unwrap_or(1);
            plan.reconciliation_paused = labels::reconciliation_paused(&stored.metadata);
            // Workers of this process do not get lost.
            plan.unreachable_delay_ms = 0;
            if let Some(runtime) = self.runtimes.get_mut(&key)
                && let Err(error) = runtime.scale(plan).await
            {
                self.refuse_cluster(&key, &cluster, &format!("{error:#}"));
                self.stop_cluster(&key).await;
            }
        }
        new
    }

    /// Log levels change while the workers run.
    fn follow_levels(&mut self, key: &Key, cluster: &Located<barnabas_crds::ConnectCluster>) -> Result<(), String> {
        let (levels, problems) = logging::asked(cluster, &self.folder, key)?;
        self.say_problems(&problems);
        if self.asked.get(key) != Some(&levels) {
            self.asked.insert(key.clone(), levels);
            self.levels.apply(self.asked.values());
        }
        Ok(())
    }

    fn worker_config(
        &mut self,
        key: &Key,
        cluster: &Located<barnabas_crds::ConnectCluster>,
        bootstrap: &Bootstrap,
    ) -> Result<WorkerConfig, String> {
        let spec = &cluster.resource.spec;
        let files = security::Files::of(spec, &self.folder, key)?;
        let security = files.as_ref().map(|files| files.security.clone()).unwrap_or_default();
        match files {
            Some(files) => drop(self.private.insert(key.clone(), files)),
            None => self.forget_files(key),
        }
        translate::worker_config(spec, key, bootstrap, security)
    }

    fn refuse_cluster(&mut self, key: &Key, cluster: &Located<barnabas_crds::ConnectCluster>, message: &str) {
        // Where the message names a field itself, that is the place.
        let problem = match Path::parse(message) {
            path if message.starts_with("spec.") => cluster.unlocated(Severity::Error, &path, message),
            _ => cluster.problem(Severity::Error, &Path::of(["spec"]), message),
        };
        self.say_problems(&[problem]);
        let now = self.clock.now();
        self.objects.cluster_status(key, |status| {
            let ready = Condition::new(types::READY, false, reasons::INVALID_CONFIGURATION, message);
            status.conditions = conditions::merge(&status.conditions, vec![ready], now);
        });
    }

    fn forget_files(&mut self, key: &Key) {
        if let Some(files) = self.private.remove(key) {
            files.remove();
        }
    }

    async fn stop_cluster(&mut self, key: &Key) {
        if let Some(runtime) = self.runtimes.remove(key) {
            runtime.stop().await;
        }
        self.servers.remove(key);
        // Its workers have stopped, so nothing of its connectors runs.
        let gone: Vec<Key> =
            self.told.iter().filter(|(_, (cluster, _))| cluster == key).map(|(it, _)| it.clone()).collect();
        for connector in gone {
            let uid = self.told.get(&connector).map(|(_, spec)| spec.uid.clone()).unwrap_or_default();
            self.released(&connector, &uid).await;
        }
    }

    /// Nothing of the connector runs any more.
    async fn released(&mut self, connector: &Key, uid: &str) {
        self.leaving.remove(connector);
        if let Some((cluster, _)) = self.told.remove(connector)
            && let Some(runtime) = self.runtimes.get(&cluster)
        {
            runtime.tell(Input::ConnectorGone { key: connector.name.clone() }).await;
        }
        if self.objects.connector(connector).is_some_and(|it| it.metadata.deletion_timestamp.is_some()) {
            self.objects.remove_connector(connector, uid);
            self.done.remove(connector);
            self.noted.remove(connector);
        }
    }

    async fn connectors(&mut self) {
        for (key, stored) in self.objects.connectors() {
            if !self.folder.connectors.contains_key(&key) && !self.leaving.contains_key(&key) {
                let stored = self.objects.delete_connector(&key).unwrap_or(stored);
                self.leave(&key, &stored).await;
            }
        }
        let connectors: Vec<_> = self.folder.connectors.iter().map(|(key, it)| (key.clone(), it.clone())).collect();
        for (key, written) in connectors {
            // Its old units are still stopping; it is looked at again when they have.
            if !self.leaving.contains_key(&key) {
                self.connector(&key, &written).await;
            }
        }
    }

    async fn connector(&mut self, key: &Key, written: &Located<KafkaConnector>) {
        let old = self.objects.connector(key);
        let problems = written.resource.spec.problems(old.as_ref().map(|old| &old.spec));
        if let Some(problem) = problems.first() {
            let path = Path::parse(&problem.field);
            self.say_problems(&[written.problem(Severity::Error, &path, &problem.message)]);
            return;
        }
        let mut resource = written.resource.clone();
        self.drop_done_annotations(key, &mut resource, old.is_none());
        let stored = self.objects.put_connector(key, &resource, self.clock.now());
        let cluster = self.folder.cluster_of(written).map(|cluster| cluster.key.clone());
        let at_home = |cluster: &Key| self.runtimes.contains_key(cluster);
        match (self.told.get(key), cluster) {
            (Some((home, _)), Some(cluster)) if *home != cluster => self.leave(key, &stored).await,
            (Some(_), None) => self.leave(key, &stored).await,
            (told, Some(cluster)) if at_home(&cluster) => {
                let spec = translate::connector(&stored, &self.folder, key).reloaded(told.map(|(_, old)| old));
                if told.is_none_or(|(_, old)| *old != spec) {
                    if let Some(problem) = &spec.problem {
                        let path = Path::parse(&problem.message);
                        self.say_problems(&[written.unlocated(Severity::Error, &path, &problem.message)]);
                    }
                    self.told.insert(key.clone(), (cluster.clone(), spec.clone()));
                    let input = Input::Connector { key: key.name.clone(), spec: Box::new(spec) };
                    if let Some(runtime) = self.runtimes.get(&cluster) {
                        runtime.tell(input).await;
                    }
                }
            }
            // A cluster that was refused; its own status says why.
            (_, Some(_)) => self.unplaced(key, &stored, reasons::NO_WORKERS, "Its ConnectCluster has no workers."),
            (None, None) => match labels::cluster(&stored.metadata) {
                Some(name) => {
                    let message = format!(
                        "ConnectCluster {name:?} does not exist in namespace {:?}; the label {} names it.",
                        key.namespace,
                        labels::CLUSTER
                    );
                    self.unplaced(key, &stored, reasons::CLUSTER_NOT_FOUND, &message);
                }
                None => {
                    let message = format!("The label {} is missing: it names the ConnectCluster.", labels::CLUSTER);
                    self.unplaced(key, &stored, reasons::CLUSTER_LABEL_MISSING, &message);
                }
            },
        }
    }

    /// An annotation that was acted on is gone from the resource, as on Kubernetes, though it is still in the manifest.
    /// One that a connector is born with asks for nothing: it has just been started.
    fn drop_done_annotations(&mut self, key: &Key, connector: &mut KafkaConnector, born: bool) {
        for name in [labels::RESTART, labels::RESTART_TASK] {
            let written = labels::annotation(&connector.metadata, name);
            let written = written.map(|(full, value)| (full.to_owned(), value.to_owned()));
            let done = self.done.entry(key.clone()).or_default();
            match written {
                None => drop(done.remove(name)),
                Some((full, value)) => {
                    if born {
                        done.insert(name, value.clone());
                    }
                    if done.get(name) == Some(&value)
                        && let Some(annotations) = &mut connector.metadata.annotations
                    {
                        annotations.remove(&full);
                    }
                }
            }
        }
    }

    /// Asks the connector's loop to stop it; [`Self::released`] follows, at once when no loop knows it.
    async fn leave(&mut self, key: &Key, stored: &KafkaConnector) {
        let uid = stored.metadata.uid.clone().unwrap_or_default();
        let Some((cluster, spec)) = self.told.get(key) else {
            self.released(key, &uid).await;
            return;
        };
        let cluster = cluster.clone();
        let spec = ConnectorSpec { deleted: true, ..spec.clone() };
        match self.runtimes.get(&cluster) {
            Some(runtime) => {
                self.leaving.insert(key.clone(), cluster);
                runtime.tell(Input::Connector { key: key.name.clone(), spec: Box::new(spec) }).await;
            }
            None => self.released(key, &uid).await,
        }
    }

    fn unplaced(&self, key: &Key, stored: &KafkaConnector, reason: &str, message: &str) {
        let old = stored.status.clone().unwrap_or_default();
        let generation = stored.metadata.generation;
        let ready = Condition::new(types::READY, false, reason, message).observed(generation);
        let status = KafkaConnectorStatus {
            conditions: conditions::merge(&old.conditions, vec![ready], self.clock.now()),
            observed_generation: generation,
            tasks_max: i32::try_from(stored.spec.tasks_max()).unwrap_or(i32::MAX),
            summary: Some("0/0".to_owned()),
            ..KafkaConnectorStatus::default()
        };
        if status != old {
            self.objects.connector_status(key, status);
        }
    }

    /// Prints problems that are new.
    fn say_problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            self.say_once(&problem.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, net::SocketAddr, time::Duration};

    use barnabas_worker::kafka::clients::ClientFactory;
    use tracing_subscriber::filter::Targets;

    use super::*;
    use crate::manifests::Reader;

    /// A folder, and an `up` of it on a Kafka that nobody will ever reach.
    struct Bench {
        dir: tempfile::TempDir,
        reader: Reader,
        up: Up,
        kafka: Kafka,
        log: Arc<parking_lot::Mutex<Targets>>,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let reader = Reader::new(dir.path()).unwrap();
            let (objects, pending) = (Objects::new(), Arc::new(Pending::default()));
            let log = Arc::new(parking_lot::Mutex::new(Targets::new()));
            let applied = Arc::clone(&log);
            let levels = Levels::new(move |targets| *applied.lock() = targets);
            let up = Up::new(objects, pending, Clock::start(), Screen::new(false), dir.path().to_owned(), levels);
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let kafka = Kafka { given: Some("127.0.0.1:1".to_owned()), data: None, listen, broker: None };
            Self { dir, reader, up, kafka, log }
        }

        async fn write(&mut self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).unwrap();
            self.follow().await;
        }

        async fn remove(&mut self, name: &str) {
            fs::remove_file(self.dir.path().join(name)).unwrap();
            self.follow().await;
        }

        async fn follow(&mut self) {
            if let Some(folder) = self.reader.read().unwrap() {
                self.up.follow(folder, &mut self.kafka).await;
            }
        }

        fn reason(&self, name: &str) -> Option<String> {
            let connector = self.up.objects.connector(&Key::new("default", name))?;
            let status = connector.status.unwrap_or_default();
            Some(conditions::find(&status.conditions, types::READY).map(|it| it.reason.clone()).unwrap_or_default())
        }

        /// Lets the loops work until the connector's reason (`None`: it is gone) is one that `wanted` takes.
        async fn until(&mut self, name: &str, wanted: impl Fn(Option<&str>) -> bool) -> Option<String> {
            for _ in 0..600 {
                let reason = self.reason(name);
                if wanted(reason.as_deref()) {
                    return reason;
                }
                // Either way it is looked at again.
                let _ = tokio::time::timeout(Duration::from_millis(50), self.up.pending.notified()).await;
                self.up.settle(&mut self.kafka).await;
            }
            panic!("{name} stays at {:?}", self.reason(name));
        }
    }

    fn cluster(name: &str) -> String {
        format!(
            "{{apiVersion: barnabas.dev/v1, kind: ConnectCluster, metadata: {{name: {name}}}, \
             spec: {{replicas: 1, bootstrapServers: 'k:9092', groupId: {name}, offsetStorageTopic: {name}-offsets}}}}"
        )
    }

    fn connector(name: &str, cluster: &str, class: &str) -> String {
        format!(
            "{{apiVersion: barnabas.dev/v1, kind: KafkaConnector, metadata: {{name: {name}, \
             labels: {{barnabas.dev/cluster: {cluster}}}}}, spec: {{class: {class}, config: {{file: x, topic: t}}}}}}"
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connector_waits_for_its_cluster_and_goes_with_its_file() {
        let mut bench = Bench::new();
        bench.write("a.yaml", &connector("a", "c", "NoSuchConnector")).await;
        assert_eq!(bench.reason("a").as_deref(), Some(reasons::CLUSTER_NOT_FOUND));
        assert!(bench.up.runs_nothing());

        bench.write("c.yaml", &cluster("c")).await;
        let reason = bench.until("a", |reason| reason == Some(reasons::UNKNOWN_CONNECTOR_CLASS)).await;
        assert!(reason.is_some());

        bench.remove("a.yaml").await;
        bench.until("a", |reason| reason.is_none()).await;
        bench.up.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_connector_that_names_another_cluster_moves_there_and_stays_when_both_are_gone() {
        let mut bench = Bench::new();
        bench.write("one.yaml", &cluster("one")).await;
        bench.write("two.yaml", &cluster("two")).await;
        bench.write("a.yaml", &connector("a", "one", "FileStreamSource")).await;
        let key = Key::new("default", "a");
        bench.until("a", |reason| reason.is_some_and(|reason| !reason.is_empty())).await;
        assert_eq!(bench.up.told[&key].0.name, "one");

        bench.write("a.yaml", &connector("a", "two", "FileStreamSource")).await;
        for _ in 0..600 {
            if bench.up.told.get(&key).is_some_and(|(home, _)| home.name == "two") {
                break;
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), bench.up.pending.notified()).await;
            bench.up.settle(&mut bench.kafka).await;
        }
        assert_eq!(bench.up.told[&key].0.name, "two");

        bench.remove("two.yaml").await;
        bench.remove("one.yaml").await;
        bench.until("a", |reason| reason == Some(reasons::CLUSTER_NOT_FOUND)).await;
        bench.up.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn log_levels_follow_the_manifest_and_no_worker_starts_anew() {
        let mut bench = Bench::new();
        let logging = |level: &str| {
            let written =
                format!("logging: {{type: inline, loggers: {{org.apache.kafka.clients: {level}}}}}, groupId:");
            cluster("c").replace("groupId:", &written)
        };
        let shows = |bench: &Bench| bench.log.lock().would_enable("barnabas::kafka", &tracing::Level::DEBUG);
        bench.write("c.yaml", &logging("DEBUG")).await;
        assert!(shows(&bench));
        let started = bench.up.runtimes[&Key::new("default", "c")].config().clone();
        bench.write("c.yaml", &logging("WARN")).await;
        assert!(!shows(&bench));
        assert_eq!(*bench.up.runtimes[&Key::new("default", "c")].config(), started);
        bench.write("c.yaml", &logging("DEBUG")).await;
        bench.remove("c.yaml").await;
        assert!(!shows(&bench), "it went with its cluster");
        bench.up.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_custom_authentication_reaches_the_workers_and_what_they_cannot_do_is_refused_by_name() {
        let mut bench = Bench::new();
        let custom = |mechanism: &str| {
            let jaas = "a.PlainLoginModule required username=\\\"u\\\" password=\\\"hidden\\\";";
            let written = format!(
                "authentication: {{type: custom, sasl: true, config: {{sasl.mechanism: {mechanism}, sasl.jaas.config: \"{jaas}\"}}}}, \
                 groupId:"
            );
            cluster("c").replace("groupId:", &written)
        };
        let key = Key::new("default", "c");
        bench.write("c.yaml", &custom("GSSAPI")).await;
        assert!(bench.up.runs_nothing());
        let status = bench.up.objects.clusters()[&key].status.clone().unwrap();
        let ready = conditions::find(&status.conditions, types::READY).unwrap();
        let named = "spec.authentication.config[\"sasl.mechanism\"]: `sasl.mechanism` is `GSSAPI`";
        assert!(ready.message.starts_with(named), "{ready:?}");
        assert!(!bench.up.said.iter().any(|line| line.contains("hidden")), "{:?}", bench.up.said);

        bench.write("c.yaml", &custom("PLAIN")).await;
        let config = bench.up.runtimes[&key].config().clone();
        assert_eq!(config.security.protocol.as_deref(), Some("SASL_PLAINTEXT"));
        let settings = ClientFactory::new(&config).unwrap().admin(None, "").unwrap().rdkafka;
        let set = |key| settings.get(key).unwrap_or_default().to_owned();
        assert_eq!([set("sasl.mechanism"), set("sasl.username"), set("sasl.password")], ["PLAIN", "u", "hidden"]);
        assert_eq!(set("security.protocol"), "sasl_plaintext");
        bench.up.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_annotation_that_a_connector_is_born_with_asks_for_nothing() {
        let mut bench = Bench::new();
        let plain = connector("a", "c", "FileStreamSource");
        let annotated = plain.replace("labels:", "annotations: {barnabas.dev/restart: 'true'}, labels:");
        let key = Key::new("default", "a");
        bench.write("c.yaml", &cluster("c")).await;
        bench.write("a.yaml", &annotated).await;
        assert_eq!(bench.up.told[&key].1.restart, None);
        // Taken away and put back, it does.
        bench.write("a.yaml", &plain).await;
        bench.write("a.yaml", &annotated).await;
        assert_eq!(bench.up.told[&key].1.restart.as_deref(), Some("true"));
        bench.up.stop().await;
    }
}
