//! The worker program as a process: signals, restarts, its own control port.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use barnabas_protocol::{
    DesiredSet, Directive, Epoch, Hello, Report, TargetState, Unit, directive::Body, worker_client::WorkerClient,
};
use barnabas_worker::WorkerConfig;
use common::{create_topic, eventually, kafka, read_all, unique};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

struct Program {
    dir: tempfile::TempDir,
    config: WorkerConfig,
    child: Child,
}

impl Program {
    fn start(kafka: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = common::config(kafka, &unique("g"));
        config.state_dir = Some(dir.path().join("state"));
        config.control.listen = Some(free_port());
        config.http_listen = Some(free_port());
        config.config.insert("shutdown.drain.timeout.ms".into(), "60000".into());
        fs::write(dir.path().join("worker.yaml"), serde_yaml::to_string(&config).unwrap()).unwrap();
        let child = run(dir.path());
        Self { dir, config, child }
    }

    fn restart(&mut self) {
        self.child = run(self.dir.path());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    async fn exit(&mut self) -> ExitStatus {
        eventually("the program to exit", async || self.child.try_wait().unwrap()).await
    }

    /// An operator's session that has said hello.
    async fn session(&self, term: u64) -> (mpsc::Sender<Directive>, tonic::Streaming<Report>) {
        let address = format!("http://{}", self.config.control.listen.unwrap());
        let mut client =
            eventually("the control port", async || WorkerClient::connect(address.clone()).await.ok()).await;
        let (directives, receiver) = mpsc::channel(8);
        let hello = Hello { operator: "test".into() };
        directives.send(Directive { epoch: Some(Epoch::hello(term)), body: Some(Body::Hello(hello)) }).await.unwrap();
        let reports = client.session(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        (directives, reports)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.file("log")).unwrap_or_default());
        }
    }
}

fn run(dir: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_barnabas-worker"))
        .args(["run", "--config"])
        .arg(dir.join("worker.yaml"))
        .stderr(log)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn source(name: &str, file: &Path, topic: &str) -> Unit {
    let config = [("connector.class", "FileStreamSource"), ("file", file.to_str().unwrap()), ("topic", topic)];
    Unit {
        connector: name.into(),
        name: name.into(),
        task: Some(0),
        incarnation: 1,
        config: config.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect(),
        target: TargetState::Running.into(),
        tasks_max: 1,
        ..Unit::default()
    }
}

fn desired(term: u64, revision: u64, units: Vec<Unit>) -> Directive {
    Directive { epoch: Some(Epoch { term, revision }), body: Some(Body::Desired(DesiredSet { units })) }
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

async fn until(reports: &mut tonic::Streaming<Report>, check: impl Fn(&Report) -> bool) -> Report {
    tokio::time::timeout(common::PATIENCE, async {
        loop {
            let report = reports.message().await.unwrap().expect("the session to go on");
            if check(&report) {
                return report;
            }
        }
    })
    .await
    .unwrap()
}

fn moved(report: &Report) -> u64 {
    report.units.iter().filter_map(|u| u.progress.as_ref()).map(|p| p.records).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_the_operator_move_the_units_away_then_exits_with_everything_committed() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("term"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    let mut program = Program::start(&kafka);
    let file = program.file("lines");
    fs::write(&file, lines(0..1000)).unwrap();
    let (directives, mut reports) = program.session(1).await;
    directives.send(desired(1, 1, vec![source(&name, &file, &topic)])).await.unwrap();
    until(&mut reports, |r| moved(r) == 1000).await;
    program.signal("TERM");
    let draining = until(&mut reports, |r| r.draining).await;
    assert_eq!(draining.units.len(), 1, "the units stay until they are moved");
    assert!(program.child.try_wait().unwrap().is_none());
    directives.send(desired(1, 2, vec![])).await.unwrap();
    until(&mut reports, |r| r.units.is_empty()).await;
    assert!(program.exit().await.success());
    let offsets = read_all(&kafka, &program.config.offset_storage_topic).await;
    let end = fs::metadata(&file).unwrap().len();
    assert_eq!(offsets.last().unwrap().value.as_deref(), Some(format!(r#"{{"position":{end}}}"#).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_without_an_operator_stops_at_once_and_commits() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("alone"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    let mut program = Program::start(&kafka);
    let file = program.file("lines");
    fs::write(&file, lines(0..1000)).unwrap();
    let (directives, mut reports) = program.session(1).await;
    directives.send(desired(1, 1, vec![source(&name, &file, &topic)])).await.unwrap();
    until(&mut reports, |r| moved(r) == 1000).await;
    drop((directives, reports));
    program.signal("TERM");
    assert!(program.exit().await.success());
    assert_eq!(read_all(&kafka, &topic).await.len(), 1000);
    let offsets = read_all(&kafka, &program.config.offset_storage_topic).await;
    assert_eq!(
        offsets.last().unwrap().value.as_deref(),
        Some(format!(r#"{{"position":{}}}"#, lines(0..1000).len()).as_str())
    );
    let log = fs::read_to_string(program.file("log")).unwrap();
    let intervals: Vec<serde_json::Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &serde_json::Value| line["target"] == "barnabas::units")
        .collect();
    assert_eq!(intervals.len(), 2, "{log}");
    assert_eq!((&intervals[0]["message"], &intervals[0]["connector"]), (&"Unit started.".into(), &name.into()));
    assert!(intervals[1]["stopped_at_ms"].as_i64() >= intervals[0]["started_at_ms"].as_i64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_resumes_alone_and_loses_nothing() {
    let Some(kafka) = kafka() else { return };
    let (name, topic) = (unique("killed"), unique("t"));
    create_topic(&kafka, &topic, 1).await;
    let mut program = Program::start(&kafka);
    let file = program.file("lines");
    fs::write(&file, lines(0..5000)).unwrap();
    let (directives, mut reports) = program.session(4).await;
    directives.send(desired(4, 2, vec![source(&name, &file, &topic)])).await.unwrap();
    until(&mut reports, |r| moved(r) > 0).await;
    program.signal("KILL");
    assert!(!program.exit().await.success());
    drop((directives, reports));
    let mut more = fs::read_to_string(&file).unwrap();
    more.push_str(&lines(5000..6000));
    fs::write(&file, &more).unwrap();
    program.restart();
    // No operator: it goes on by itself.
    eventually("the last line", async || {
        let found = read_all(&kafka, &topic).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        found.iter().any(|r| r.value.as_deref() == Some("line 5999")).then_some(())
    })
    .await;
    let found: std::collections::BTreeSet<_> =
        read_all(&kafka, &topic).await.into_iter().map(|r| r.value.unwrap()).collect();
    assert_eq!(found.len(), 6000, "nothing lost");
    let (_directives, mut reports) = program.session(5).await;
    let report = until(&mut reports, |_| true).await;
    assert_eq!((report.units.len(), report.units[0].incarnation), (1, 1));
    program.signal("TERM");
    until(&mut reports, |r| r.draining).await;
    program.signal("TERM");
    assert!(program.exit().await.success(), "a second signal does not wait for the operator");
}

#[test]
fn a_wrong_configuration_is_said_and_exits_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.yaml");
    fs::write(&file, "group_id: g\nbootstrapServers: k:9092\n").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_barnabas-worker")).args(["run", "--config"]).arg(&file).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("bootstrapServers") && text.contains("worker.yaml"), "{text}");
}
