//! `barnabas up` as its users run it: a process, a folder of manifests, and a second terminal.
//!
//! These scenarios need no cluster, only the program: its path is in the environment variable `BARNABAS_BIN`.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use barnabas_tests::{assert_same_text, eventually, say};
use serde_json::Value;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(90);

fn program() -> PathBuf {
    let path = std::env::var_os("BARNABAS_BIN").expect("BARNABAS_BIN must name the program `barnabas`");
    PathBuf::from(path)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A folder of manifests, and a runtime folder of its own, so that no other `up` is in the way.
struct Machine {
    folder: TempDir,
    runtime: TempDir,
}

impl Machine {
    fn new(files: &[(&str, &str)]) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap(), runtime: tempfile::tempdir().unwrap() };
        for (name, text) in files {
            machine.write(name, text);
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        use std::io::Write as _;
        fs::OpenOptions::new().append(true).open(self.path(name)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn barnabas(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).env("XDG_RUNTIME_DIR", self.runtime.path()).env_remove("RUST_LOG");
        command
    }

    fn up(&self, args: &[&str]) -> Up {
        let folder = self.folder.path().to_str().unwrap();
        let mut command = self.command(&["up", folder]);
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut readers = Vec::new();
        let pipes: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for pipe in pipes {
            let lines = lines.clone();
            readers.push(thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    say(format!("up: {line}"));
                    lines.lock().unwrap().push(line);
                }
            }));
        }
        Up { child, lines, readers }
    }

    /// The connector as `get -o json` shows it; `None` when there is no such.
    fn connector(&self, name: &str) -> Result<Option<Value>> {
        let output = self.barnabas(&["get", "connector", name, "-o", "json"]);
        if output.status.success() {
            return Ok(Some(serde_json::from_slice(&output.stdout)?));
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        if error.contains("not found") { Ok(None) } else { bail!("{error}") }
    }

    /// Waits until the connector's condition Ready has this status and reason.
    fn until_ready(&self, name: &str, status: &str, reason: &str) -> Value {
        eventually(&format!("{name} is Ready={status} ({reason})"), LIMIT, || {
            let connector = self.connector(name)?.context("no such connector")?;
            let ready = ready(&connector);
            if ready["status"] == status && ready["reason"] == reason { Ok(Some(connector)) } else { bail!("{ready}") }
        })
        .unwrap()
    }

    /// Waits until the file has these lines.
    fn until_lines(&self, name: &str, lines: usize) -> Vec<String> {
        eventually(&format!("{name} has {lines} lines"), LIMIT, || {
            let found: Vec<String> = fs::read_to_string(self.path(name))?.lines().map(str::to_owned).collect();
            if found.len() >= lines { Ok(Some(found)) } else { bail!("{} lines", found.len()) }
        })
        .unwrap()
    }
}

fn ready(connector: &Value) -> Value {
    let conditions = connector["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default()
}

/// A running `up`, killed when a test fails.
struct Up {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<thread::JoinHandle<()>>,
}

impl Up {
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Ctrl-C, and the exit code. Nothing may complain of a broker that went before its clients: librdkafka, which begins
    /// such lines with `%`, does so past every logger.
    fn interrupt(mut self) -> i32 {
        self.signal("-INT");
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        let lines = self.lines.lock().unwrap();
        assert!(!lines.iter().any(|line| line.starts_with('%')), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "stopped"), "{lines:#?}");
        code
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn until_said(&self, text: &str) -> String {
        eventually(&format!("up says {text:?}"), LIMIT, || {
            Ok(self.lines.lock().unwrap().iter().find(|line| line.contains(text)).cloned())
        })
        .unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CLUSTER: &str = "apiVersion: barnabas.dev/v1
kind: ConnectCluster
metadata:
  name: c
spec:
  replicas: 1
  bootstrapServers: embedded
  groupId: c
  offsetStorageTopic: c-offsets
  config:
    key.converter: org.apache.kafka.connect.storage.StringConverter
    value.converter: org.apache.kafka.connect.storage.StringConverter
";

fn connector(name: &str, class: &str, config: &str) -> String {
    format!(
        "apiVersion: barnabas.dev/v1\nkind: KafkaConnector\nmetadata:\n  name: {name}\n  labels:\n    \
         barnabas.dev/cluster: c\nspec:\n  class: {class}\n  tasksMax: 1\n  config:\n{config}"
    )
}

fn source(name: &str, file: &str, topic: &str) -> String {
    connector(name, "FileStreamSource", &format!("    file: {file}\n    topic: {topic}\n"))
}

fn sink(name: &str, file: &str, topic: &str) -> String {
    connector(name, "FileStreamSink", &format!("    file: {file}\n    topics: {topic}\n"))
}

/// Real text: every line of it is another one.
fn text() -> String {
    let lock = fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    lock.lines().enumerate().map(|(number, line)| format!("{number} {line}\n")).collect()
}

#[test]
fn the_quickstart_delivers_and_shows_itself() {
    let machine = Machine::new(&[]);
    let quickstart = repository().join("examples/quickstart");
    fs::create_dir(machine.path("data")).unwrap();
    for entry in fs::read_dir(&quickstart).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, machine.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
        }
    }
    let up = machine.up(&[]);
    let original = fs::read_to_string(machine.path("before-the-law.jsonl")).unwrap();
    let lines = original.lines().count();
    machine.until_lines("data/archive.jsonl", lines);
    assert_same_text(&machine.path("before-the-law.jsonl"), &machine.path("data/archive.jsonl")).unwrap();
    let village = machine.until_lines("data/village.txt", lines);
    assert_eq!(village.len(), lines);
    assert!(village.iter().all(|line| line.contains("Barnabas") && !line.contains("Klamm")), "{village:#?}");
    up.until_said("tail -f ");

    machine.append("before-the-law.jsonl", "{\"n\": 0, \"clerk\": \"Klamm\", \"text\": \"A letter for K.\"}\n");
    assert!(machine.until_lines("data/village.txt", lines + 1)[lines].contains("A letter for K."));

    for name in ["letters", "archive", "village"] {
        machine.until_ready(name, "True", "Running");
    }
    let list: Value = serde_json::from_slice(&machine.barnabas(&["get", "connectors", "-o", "json"]).stdout).unwrap();
    assert_eq!((list["kind"].as_str(), list["items"].as_array().unwrap().len()), (Some("List"), 3));
    let one = list["items"].as_array().unwrap().iter().find(|it| it["metadata"]["name"] == "letters").unwrap();
    assert_eq!(one["kind"], "KafkaConnector");
    assert_eq!(one["status"]["connectorStatus"]["tasks"][0]["state"], "RUNNING");
    assert_eq!(one["status"]["observedGeneration"], one["metadata"]["generation"]);

    let table = String::from_utf8(machine.barnabas(&["get", "connectors"]).stdout).unwrap();
    let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["NAME", "CLUSTER", "CLASS", "TASKS", "READY", "REASON", "AGE"], "{table}");
    assert!(table.lines().any(|line| line.starts_with("village ") && line.contains("1/1")), "{table}");
    let clusters = String::from_utf8(machine.barnabas(&["get", "clusters", "-o", "wide"]).stdout).unwrap();
    assert!(clusters.starts_with("NAME") && clusters.contains("\ncastle "), "{clusters}");

    let described = String::from_utf8(machine.barnabas(&["describe", "connector", "letters"]).stdout).unwrap();
    for part in
        ["Name: ", "FileStreamSourceConnector", "RUNNING", "before-the-law.jsonl", "Conditions:", "village-letters"]
    {
        assert!(described.contains(part), "{part} is not in\n{described}");
    }
    let missing = machine.barnabas(&["get", "connectors", "nobody"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&missing.stderr).trim(),
        "Error from server (NotFound): kafkaconnectors.barnabas.dev \"nobody\" not found"
    );

    assert_eq!(up.interrupt(), 0);
    let after = machine.barnabas(&["get", "connectors"]);
    assert_eq!(after.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&after.stderr).contains("not running"));
}

#[test]
fn edits_of_the_folder_are_followed() {
    let machine = Machine::new(&[
        ("cluster.yaml", CLUSTER),
        ("source.yaml", &source("source", "in.txt", "t")),
        ("in.txt", "one\n"),
    ]);
    let up = machine.up(&[]);
    let started = machine.until_ready("source", "True", "Running")["status"]["tasks"][0]["incarnation"].clone();

    // A connector that is added runs.
    machine.write("sink.yaml", &sink("sink", "out.txt", "t"));
    machine.until_lines("out.txt", 1);

    // What is wrong is named by file and line, and what ran goes on.
    machine.write("sink.yaml", &sink("sink", "out.txt", "t").replace("tasksMax: 1", "taskMax: 1"));
    let said = up.until_said("sink.yaml:9: spec.taskMax: ");
    assert!(said.contains("did you mean `tasksMax`"), "{said}");
    machine.append("in.txt", "two\n");
    machine.until_lines("out.txt", 2);

    // A class that nobody knows is the connector's own failure, and heals when it is put right.
    machine.write("sink.yaml", &sink("sink", "out.txt", "t").replace("FileStreamSink", "NoSuchSink"));
    machine.until_ready("sink", "False", "UnknownConnectorClass");
    machine.write("sink.yaml", &sink("sink", "out.txt", "t"));
    machine.until_ready("sink", "True", "Running");

    // Paused, it moves nothing; resumed, it goes on where it was.
    machine.write("sink.yaml", &sink("sink", "out.txt", "t").replace("spec:\n", "spec:\n  state: paused\n"));
    machine.until_ready("sink", "True", "Paused");
    machine.append("in.txt", "three\n");
    machine.write("sink.yaml", &sink("sink", "out.txt", "t"));
    assert_eq!(machine.until_lines("out.txt", 3), ["one", "two", "three"]);

    // An annotation restarts once.
    let before = machine.until_ready("sink", "True", "Running")["status"]["tasks"][0]["incarnation"].clone();
    let annotated = sink("sink", "out.txt", "t")
        .replace("  labels:", "  annotations:\n    barnabas.dev/restart: includeTasks\n  labels:");
    machine.write("sink.yaml", &annotated);
    eventually("the task has a new incarnation", LIMIT, || {
        let sink = machine.connector("sink")?.context("sink")?;
        let task = &sink["status"]["tasks"][0];
        Ok((task["incarnation"] != before && task["state"] == "RUNNING").then_some(()))
    })
    .unwrap();
    let sink = machine.until_ready("sink", "True", "Running");
    assert!(sink["metadata"]["annotations"].get("barnabas.dev/restart").is_none(), "{}", sink["metadata"]);

    // What is deleted goes away, and nobody else noticed any of this.
    fs::remove_file(machine.path("sink.yaml")).unwrap();
    eventually("sink is gone", LIMIT, || Ok(machine.connector("sink")?.is_none().then_some(()))).unwrap();
    let source = machine.until_ready("source", "True", "Running");
    assert_eq!(source["status"]["tasks"][0]["incarnation"], started, "an untouched task was restarted");
    assert_eq!(up.interrupt(), 0);
}

#[test]
fn a_client_override_that_leads_nowhere_is_named_and_heals_when_it_is_corrected() {
    let dead = "127.0.0.1:9";
    let lost = sink("sink", "out.txt", "t") + &format!("    consumer.override.bootstrap.servers: {dead}\n");
    let machine = Machine::new(&[
        ("cluster.yaml", CLUSTER),
        ("source.yaml", &source("source", "in.txt", "t")),
        ("sink.yaml", &lost),
        ("in.txt", "one\n"),
    ]);
    let up = machine.up(&[]);
    let connector = machine.until_ready("sink", "False", "KafkaUnreachable");
    let message = ready(&connector)["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(dead) && message.contains("`consumer.override.bootstrap.servers`"), "{message}");
    let error = &connector["status"]["tasks"][0]["error"];
    assert_eq!((&error["code"], &error["reason"]), (&"Retriable".into(), &"KafkaUnreachable".into()));
    machine.until_ready("source", "True", "Running");

    machine.write("sink.yaml", &sink("sink", "out.txt", "t"));
    machine.until_ready("sink", "True", "Running");
    assert_eq!(machine.until_lines("out.txt", 1), ["one"]);
    assert_eq!(up.interrupt(), 0);
}

#[test]
fn the_log_shows_what_the_cluster_asks_for() {
    let logging = "spec:\n  logging:\n    type: inline\n    loggers:\n      org.apache.kafka.connect.runtime: INFO\n";
    let machine = Machine::new(&[
        ("cluster.yaml", CLUSTER),
        ("source.yaml", &source("source", "in.txt", "t")),
        ("in.txt", "one\n"),
    ]);
    let up = machine.up(&[]);
    machine.until_ready("source", "True", "Running");
    assert!(!up.lines.lock().unwrap().iter().any(|line| line.contains("Unit started.")));
    let started = machine.until_ready("source", "True", "Running")["status"]["tasks"][0]["incarnation"].clone();
    machine.write("cluster.yaml", &CLUSTER.replacen("spec:\n", logging, 1));
    machine.write("sink.yaml", &sink("sink", "out.txt", "t"));
    up.until_said("Unit started.");
    let source = machine.until_ready("source", "True", "Running");
    assert_eq!(source["status"]["tasks"][0]["incarnation"], started, "log levels restart nothing");
    machine.until_lines("out.txt", 1);
    assert_eq!(up.interrupt(), 0);
}

/// A source and a sink on a broker that keeps its data.
fn kept() -> (Machine, String) {
    let machine = Machine::new(&[
        ("cluster.yaml", CLUSTER),
        ("source.yaml", &source("source", "in.txt", "t")),
        ("sink.yaml", &sink("sink", "out.txt", "t")),
        ("in.txt", &text()),
    ]);
    let data = machine.path("broker").to_str().unwrap().to_owned();
    (machine, data)
}

#[test]
fn with_a_data_folder_a_restart_goes_on_where_it_stopped() {
    let (machine, data) = kept();
    let first = machine.up(&["--data", &data]);
    let lines = text().lines().count();
    machine.until_lines("out.txt", lines);
    // Two brokers on the same data would know nothing of each other.
    let other = machine.barnabas(&["up", machine.folder.path().to_str().unwrap(), "--data", &data]);
    assert_eq!(other.status.code(), Some(1));
    let said = [other.stdout, other.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(said.contains("another process uses") && said.contains(&data), "{said}");
    assert_eq!(first.interrupt(), 0);

    machine.append("in.txt", &text());
    let second = machine.up(&["--data", &data]);
    machine.until_lines("out.txt", 2 * lines);
    assert_eq!(second.interrupt(), 0);
    assert_same_text(&machine.path("in.txt"), &machine.path("out.txt")).unwrap();
}

#[test]
fn a_killed_process_may_repeat_records_but_loses_none() {
    let (machine, data) = kept();
    let first = machine.up(&["--data", &data]);
    machine.until_lines("out.txt", 1);
    first.kill();

    let second = machine.up(&["--data", &data]);
    machine.append("in.txt", "the last line\n");
    eventually("the last line has arrived", LIMIT, || {
        Ok(fs::read_to_string(machine.path("out.txt"))?.ends_with("the last line\n").then_some(()))
    })
    .unwrap();
    assert_eq!(second.interrupt(), 0);
    let wanted = fs::read_to_string(machine.path("in.txt")).unwrap();
    let got = fs::read_to_string(machine.path("out.txt")).unwrap();
    let got: BTreeSet<&str> = got.lines().collect();
    let lost: Vec<&str> = wanted.lines().filter(|line| !got.contains(line)).collect();
    assert!(lost.is_empty(), "{} lines are lost, the first is {:?}", lost.len(), lost[0]);
}

#[test]
fn validate_names_every_problem_and_passes_what_is_right() {
    let machine = Machine::new(&[
        ("cluster.yaml", CLUSTER),
        ("key.yaml", &source("key", "in.txt", "t").replace("    topic:", "    topik:")),
        ("class.yaml", &source("class", "in.txt", "t").replace("FileStreamSource", "FileStreamSorce")),
        ("secret.yaml", &source("secret", "${secrets:default/nope:key}", "t")),
        ("label.yaml", &source("label", "in.txt", "t").replace("barnabas.dev/cluster: c", "barnabas.dev/cluster: d")),
    ]);
    let folder = machine.folder.path().to_str().unwrap();
    let output = machine.barnabas(&["validate", folder]);
    let said = String::from_utf8(output.stdout).unwrap().replace(&format!("{folder}/"), "");
    assert_eq!(output.status.code(), Some(1), "{said}");
    for expected in
        ["key.yaml:12: spec.config.topik: ", "class.yaml:8: spec.class: ", "secret.yaml:11: ", "label.yaml:6: "]
    {
        assert!(said.lines().any(|line| line.starts_with(expected)), "{expected} is not in\n{said}");
    }
    let quickstart = repository().join("examples/quickstart");
    let output = machine.barnabas(&["validate", quickstart.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let output = machine.barnabas(&["up", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/folder: no such folder"));
}
