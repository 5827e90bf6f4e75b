//! What most scenarios start from: an operator, a `ConnectCluster`, a folder of files.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use crate::{Cluster, HostFolder, Intervals, Kafka, Namespace, Pod, Testbed, eventually};

/// Name of the scene's `ConnectCluster`.
pub const CONNECT: &str = "connect";
/// Selects its worker pods.
pub const WORKERS: &str = "barnabas.dev/cluster=connect";
/// Long enough for a busy machine; nothing is asserted about it.
pub const LIMIT: Duration = Duration::from_secs(120);

const SOURCE: &str = "org.apache.kafka.connect.file.FileStreamSourceConnector";
const SINK: &str = "org.apache.kafka.connect.file.FileStreamSinkConnector";

/// A namespace with an operator of its own and a folder that worker pods see as `/mnt/files`.
pub struct Scene {
    /// Removed with all that is in it.
    pub namespace: Namespace,
    /// `/mnt/files` in the worker pods.
    pub files: HostFolder,
    testbed: &'static Testbed,
}

impl Scene {
    /// Installs an operator that watches the new namespace only.
    pub fn new(prefix: &str) -> Result<Self> {
        let testbed = Testbed::get();
        let mut namespace = testbed.cluster().namespace(prefix)?;
        let files = HostFolder::create(&namespace, "files")?;
        let watched = format!("watchNamespaces={{{}}}", namespace.name());
        namespace.install(&[&watched])?;
        Ok(Self { namespace, files, testbed })
    }

    /// The Kubernetes.
    pub fn cluster(&self) -> Cluster {
        self.testbed.cluster()
    }

    /// The Kafka.
    pub fn kafka(&self) -> Kafka {
        self.testbed.kafka()
    }

    /// The testbed.
    pub fn testbed(&self) -> &'static Testbed {
        self.testbed
    }

    /// Name of the namespace.
    pub fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// A topic name of this scene's own.
    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.ns())
    }

    /// A file of the shared folder, on this machine.
    pub fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// The manifest of the scene's `ConnectCluster`.
    pub fn connect_manifest(&self, replicas: u32) -> Value {
        json!({
            "apiVersion": "barnabas.dev/v1",
            "kind": "ConnectCluster",
            "metadata": {"name": CONNECT, "namespace": self.ns()},
            "spec": {
                "replicas": replicas,
                "bootstrapServers": self.kafka().pods(),
                "groupId": self.ns(),
                "configStorageTopic": self.topic("configs"),
                "offsetStorageTopic": self.topic("offsets"),
                "statusStorageTopic": self.topic("status"),
                "config": {
                    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
                    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
                    "offset.flush.interval.ms": 1000,
                    "offset.storage.partitions": 1,
                    "offset.storage.replication.factor": 1,
                    "scheduled.rebalance.max.delay.ms": 10000,
                },
                "template": {
                    "pod": {"volumes": [{"name": "files", "persistentVolumeClaim": {"claimName": self.files.claim()}}]},
                    "connectContainer": {"volumeMounts": [{"name": "files", "mountPath": "/mnt/files"}]},
                },
            },
        })
    }

    /// Applies the `ConnectCluster` and waits until it is ready.
    pub fn connect(&self, replicas: u32) -> Result<()> {
        self.apply(&self.connect_manifest(replicas))?;
        self.until_ready(&format!("connectcluster/{CONNECT}"))?;
        Ok(())
    }

    /// Applies a manifest in the namespace.
    pub fn apply(&self, manifest: &Value) -> Result<()> {
        self.cluster().apply(self.ns(), &manifest.to_string()).map(drop)
    }

    /// The manifest of a connector.
    pub fn connector_manifest(&self, name: &str, class: &str, config: Value) -> Value {
        json!({
            "apiVersion": "barnabas.dev/v1",
            "kind": "KafkaConnector",
            "metadata": {"name": name, "namespace": self.ns(), "labels": {"barnabas.dev/cluster": CONNECT}},
            "spec": {"class": class, "tasksMax": 1, "config": config},
        })
    }

    /// A file source from a file of the folder to a topic, in one partition's order.
    pub fn source(&self, name: &str, file: &str, topic: &str) -> Result<()> {
        self.apply(&self.connector_manifest(name, SOURCE, self.source_config(file, topic)))
    }

    /// Configuration of a file source that makes its topic, with one partition, when there is none.
    pub fn source_config(&self, file: &str, topic: &str) -> Value {
        json!({
            "file": format!("/mnt/files/{file}"),
            "topic": self.topic(topic),
            "topic.creation.default.partitions": 1,
            "topic.creation.default.replication.factor": 1,
        })
    }

    /// A file sink from a topic to a file of the folder.
    pub fn sink(&self, name: &str, topic: &str, file: &str) -> Result<()> {
        let config = json!({"file": format!("/mnt/files/{file}"), "topics": self.topic(topic)});
        self.apply(&self.connector_manifest(name, SINK, config))
    }

    /// A cluster of `replicas` workers, with a source and a sink that have moved their first lines and are Ready. They go
    /// from `in.txt` to `out.txt`, fed by the writer, and are called `source` and `sink`.
    pub fn flowing(prefix: &str, replicas: u32, lines_per_second: usize) -> Result<(Self, Writer)> {
        let scene = Self::new(prefix)?;
        scene.connect(replicas)?;
        scene.kafka().create_topic(&scene.topic("text"), 1)?;
        let writer = Writer::start(&scene.file("in.txt"), lines_per_second)?;
        scene.source("source", "in.txt", "text")?;
        scene.sink("sink", "text", "out.txt")?;
        scene.until_lines("out.txt", 1, LIMIT)?;
        for connector in ["source", "sink"] {
            scene.until_ready(&format!("kafkaconnector/{connector}"))?;
        }
        Ok((scene, writer))
    }

    /// Waits for `Ready=True` of the resource's present generation.
    pub fn until_ready(&self, resource: &str) -> Result<Value> {
        self.cluster().until_condition(self.ns(), resource, "Ready", "True", LIMIT)
    }

    /// Waits for `Ready=False` with this reason, and a message that contains all of the parts.
    pub fn until_not_ready(&self, resource: &str, reason: &str, parts: &[&str]) -> Result<Value> {
        let what = format!("Ready=False, {reason}, naming {}", parts.join(" and "));
        self.cluster().until(self.ns(), resource, &what, LIMIT, |value| {
            condition(value, "Ready").is_some_and(|ready| {
                let message = ready["message"].as_str().unwrap_or_default();
                ready["status"] == "False"
                    && ready["reason"] == reason
                    && parts.iter().all(|part| message.contains(part))
            })
        })
    }

    /// Waits until all tasks of the connector are in this state, as Connect's own status says it.
    pub fn until_tasks(&self, connector: &str, state: &str, count: usize) -> Result<Value> {
        let resource = format!("kafkaconnector/{connector}");
        self.cluster().until(self.ns(), &resource, &format!("{count} tasks {state}"), LIMIT, |value| {
            let tasks = value["status"]["connectorStatus"]["tasks"].as_array().cloned().unwrap_or_default();
            tasks.len() == count && tasks.iter().all(|task| task["state"] == state)
        })
    }

    /// A connector as it stands.
    pub fn connector(&self, name: &str) -> Result<Value> {
        self.cluster().get(self.ns(), &format!("kafkaconnector/{name}"))
    }

    /// Incarnation and start of each task of a connector: equal as long as no task was started anew.
    pub fn starts(&self, connector: &str) -> Result<Vec<(i64, String)>> {
        let connector = self.connector(connector)?;
        let tasks = connector["status"]["tasks"].as_array().context("the connector has no tasks")?;
        let start = |task: &Value| Some((task["incarnation"].as_i64()?, task["startedAt"].as_str()?.to_owned()));
        tasks.iter().map(|task| start(task).with_context(|| format!("not started: {task}"))).collect()
    }

    /// The pod that runs a task of a connector.
    pub fn worker_of(&self, connector: &str, task: usize) -> Result<String> {
        let connector = self.connector(connector)?;
        let worker = connector["status"]["tasks"][task]["worker"].as_str();
        Ok(worker.with_context(|| format!("task {task} has no worker: {}", connector["status"]))?.to_owned())
    }

    /// The worker pods.
    pub fn workers(&self) -> Result<Vec<Pod>> {
        self.cluster().pods(self.ns(), WORKERS)
    }

    /// The operator's pods.
    pub fn operators(&self) -> Result<Vec<Pod>> {
        self.cluster().pods(self.ns(), "app.kubernetes.io/component=operator")
    }

    /// The operator's Deployment, as `deployment/NAME`.
    pub fn operator_deployment(&self) -> Result<String> {
        let deployments = self.cluster().list(self.ns(), "deployments", "")?;
        let name = deployments.first().and_then(|it| it["metadata"]["name"].as_str());
        Ok(format!("deployment/{}", name.context("no operator is installed")?))
    }

    /// The pod that leads, once one does, and its term.
    pub fn leader(&self) -> Result<(String, i64)> {
        eventually("an operator leads", LIMIT, || {
            let leases = self.cluster().list(self.ns(), "leases", "")?;
            let lease = leases.first().context("there is no Lease")?;
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
            let term = lease["spec"]["leaseTransitions"].as_i64().unwrap_or_default();
            let pods = self.operators()?;
            let leader = pods.into_iter().find(|pod| !holder.is_empty() && holder.starts_with(&pod.name));
            Ok(leader.map(|pod| (pod.name, term)))
        })
    }

    /// Takes the operator away, without a chance to say goodbye.
    pub fn kill_operators(&self) -> Result<()> {
        let deployment = self.operator_deployment()?;
        let operators = self.operators()?;
        self.cluster().kubectl(["scale", "--namespace", self.ns(), &deployment, "--replicas=0"])?;
        for operator in operators {
            // It may have gone already, after the Deployment was scaled.
            self.cluster().kill_pod(self.ns(), &operator.name).ok();
        }
        eventually("no operator is left", LIMIT, || Ok(self.operators()?.is_empty().then_some(())))
    }

    /// Brings it back.
    pub fn return_operators(&self) -> Result<()> {
        let deployment = self.operator_deployment()?;
        self.cluster().kubectl(["scale", "--namespace", self.ns(), &deployment, "--replicas=2"])?;
        self.leader().map(drop)
    }

    /// Follows the logs of the workers that run now.
    pub fn intervals(&self) -> Result<Intervals> {
        let mut intervals = Intervals::new(self.cluster(), self.ns());
        intervals.follow(WORKERS)?;
        Ok(intervals)
    }

    /// Lines in a file of the folder so far.
    pub fn lines(&self, file: &str) -> usize {
        fs::read(self.file(file)).map_or(0, |text| text.iter().filter(|byte| **byte == b'\n').count())
    }

    /// Waits until a file of the folder has at least so many lines.
    pub fn until_lines(&self, file: &str, lines: usize, limit: Duration) -> Result<usize> {
        eventually(&format!("{file} has {lines} lines"), limit, || {
            let now = self.lines(file);
            if now >= lines { Ok(Some(now)) } else { bail!("{now} lines") }
        })
    }

    /// Waits until a file of the folder grows.
    pub fn until_grows(&self, file: &str) -> Result<usize> {
        let before = self.lines(file);
        self.until_lines(file, before + 1, LIMIT)
    }
}

/// A condition of a resource by type.
pub fn condition<'a>(resource: &'a Value, name: &str) -> Option<&'a Map<String, Value>> {
    let conditions = resource["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)?.as_object()
}

/// Appends lines of the text to a file, steadily, until it is told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Writer {
    /// Starts with the text's first line; about `lines_per_second`.
    pub fn start(path: &Path, lines_per_second: usize) -> Result<Self> {
        let mut lines = Testbed::get().corpus().lines()?;
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let (stop, written) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&written));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut batch = String::new();
                for line in lines.by_ref().take(lines_per_second.div_ceil(20)) {
                    batch.push_str(&line);
                    batch.push('\n');
                    count.fetch_add(1, Ordering::Relaxed);
                }
                if batch.is_empty() {
                    bail!("the text is used up");
                }
                file.write_all(batch.as_bytes())?;
                thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        });
        Ok(Self { stop, written, thread: Some(thread) })
    }

    /// Lines so far.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Stops, and says how many lines were written.
    pub fn finish(mut self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("already finished")?;
        thread.join().map_err(|_| anyhow!("the writer panicked"))??;
        Ok(self.written())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What at-least-once delivery of a text of distinct lines made of it.
#[derive(Debug)]
pub struct Delivery {
    /// Lines that came again.
    pub repeated: usize,
    /// Lines that a killed sink left half written.
    pub torn: usize,
}

/// Fails unless every line of `expected` is in `actual`, first occurrences in order, and nothing is there that was
/// not in `expected` but for at most `torn` half-written lines: a process that is killed within a write may leave one,
/// and the next line written goes on in it.
pub fn assert_delivered(expected: &Path, actual: &Path, torn: usize) -> Result<Delivery> {
    let read = |path: &Path| -> Result<Vec<String>> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        BufReader::new(file).split(b'\n').map(|line| Ok(String::from_utf8_lossy(&line?).into_owned())).collect()
    };
    let (expected, actual) = (read(expected)?, read(actual)?);
    let known = expected.iter().collect::<HashSet<_>>();
    let mut seen = HashSet::new();
    let mut delivery = Delivery { repeated: 0, torn: 0 };
    let mut next = 0;
    for line in &actual {
        if known.contains(line) && !seen.insert(line) {
            delivery.repeated += 1;
            continue;
        }
        let wanted = expected.get(next).with_context(|| format!("more lines than expected: {line:?}"))?;
        if line == wanted {
            next += 1;
            continue;
        }
        if known.contains(line) {
            bail!("line {} is missing: expected {wanted:?}, found {line:?}", next + 1);
        }
        delivery.torn += 1;
        if delivery.torn > torn {
            bail!("no line of the text, after {next} lines: {line:?}");
        }
        // The line that was torn may have been completed, or another have gone on in it.
        if line.ends_with(wanted.as_str()) {
            seen.insert(wanted);
            next += 1;
        }
    }
    if next < expected.len() {
        bail!("{} of {} lines arrived; the first that is missing: {:?}", next, expected.len(), expected[next]);
    }
    Ok(delivery)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::assert_delivered;

    fn check(expected: &str, actual: &str, torn: usize) -> Result<(usize, usize), String> {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("expected"), folder.path().join("actual"));
        fs::write(&one, expected).unwrap();
        fs::write(&other, actual).unwrap();
        assert_delivered(&one, &other, torn).map(|it| (it.repeated, it.torn)).map_err(|error| error.to_string())
    }

    #[test]
    fn repeated_lines_are_counted() {
        assert_eq!(check("a\nb\nc\n", "a\nb\nc\n", 0), Ok((0, 0)));
        assert_eq!(check("a\nb\nc\n", "a\nb\na\nb\nc\n", 0), Ok((2, 0)));
    }

    #[test]
    fn lost_swapped_and_foreign_lines_fail() {
        assert!(check("a\nb\nc\n", "a\nc\n", 0).unwrap_err().contains("\"b\""));
        assert!(check("a\nb\nc\n", "a\nb\n", 0).unwrap_err().contains("\"c\""));
        assert!(check("a\nb\nc\n", "b\na\nc\n", 0).is_err());
        assert!(check("a\nb\n", "a\nx\nb\n", 0).is_err());
    }

    #[test]
    fn a_torn_line_is_tolerated_when_it_is_expected() {
        assert_eq!(check("one\ntwo\nthree\n", "one\ntwone\ntwo\nthree\n", 1), Ok((0, 1)));
        assert_eq!(check("one\ntwo\nthree\n", "one\ntwtwo\nthree\n", 1), Ok((0, 1)));
        assert!(check("one\ntwo\nthree\n", "one\ntwone\ntwo\nthree\n", 0).is_err());
    }
}
