//! The control service over real sockets; no Kafka needed.
#![allow(clippy::unwrap_used)]

mod common;

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, time::Duration};

use barnabas_protocol::{
    DesiredSet, Directive, Epoch, Hello, ListPluginsRequest, Report, Unit, UnitState, ValidateRequest,
    ValidateResponse, directive::Body, worker_client::WorkerClient,
};
use barnabas_worker::{
    Worker, WorkerConfig,
    config::{Control, ControlTls},
    control, http,
    http::Http,
    logging::Loggers,
};
use common::{PATIENCE, eventually, registry};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// Nothing listens there.
const NO_KAFKA: &str = "127.0.0.1:9";

fn config(state: Option<&Path>) -> WorkerConfig {
    WorkerConfig {
        state_dir: state.map(Path::to_owned),
        unreachable_delay_ms: Some(60_000),
        ..common::config(NO_KAFKA, "control")
    }
}

async fn serve(worker: &Worker, tls: Option<ControlTls>) -> SocketAddr {
    let control = Control { listen: Some("127.0.0.1:0".parse().unwrap()), tls };
    control::serve(worker.clone(), &control, std::future::pending()).await.unwrap().0
}

async fn plain(address: SocketAddr) -> WorkerClient<Channel> {
    WorkerClient::connect(format!("http://{address}")).await.unwrap()
}

struct Session {
    directives: mpsc::Sender<Directive>,
    reports: Streaming<Report>,
}

impl Session {
    async fn open(client: &mut WorkerClient<Channel>, term: u64) -> Self {
        let (directives, receiver) = mpsc::channel(8);
        directives.send(hello(term)).await.unwrap();
        let reports = client.session(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { directives, reports }
    }

    async fn next(&mut self) -> Option<Report> {
        tokio::time::timeout(PATIENCE, self.reports.message()).await.expect("a report in time").unwrap()
    }

    async fn until(&mut self, check: impl Fn(&Report) -> bool) -> Report {
        loop {
            let report = self.next().await.expect("the session to go on");
            if check(&report) {
                return report;
            }
        }
    }
}

fn hello(term: u64) -> Directive {
    let hello = Hello { operator: format!("operator-{term}") };
    Directive { epoch: Some(Epoch::hello(term)), body: Some(Body::Hello(hello)) }
}

fn desired(term: u64, revision: u64, units: &[Unit]) -> Directive {
    let set = DesiredSet { units: units.to_vec() };
    Directive { epoch: Some(Epoch { term, revision }), body: Some(Body::Desired(set)) }
}

/// A connector unit that needs no Kafka.
fn unit(name: &str, incarnation: u64) -> Unit {
    let config = [("connector.class", "test.CounterSourceConnector"), ("topic", "t")];
    Unit {
        connector: name.into(),
        name: name.into(),
        incarnation,
        config_hash: incarnation,
        config: config.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect(),
        tasks_max: 1,
        target: 1,
        ..Unit::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_leader_takes_over_without_a_restart_and_the_old_one_is_refused() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let address = serve(&worker, None).await;
    let mut first = Session::open(&mut plain(address).await, 1).await;
    first.directives.send(desired(1, 1, &[unit("c", 1)])).await.unwrap();
    let before = first.until(|r| r.units.iter().any(|u| u.state() == UnitState::Running)).await;

    let mut second = Session::open(&mut plain(address).await, 2).await;
    let report = second.next().await.unwrap();
    assert_eq!(report.epoch, Some(Epoch { term: 2, revision: 0 }));
    assert_eq!(report.units[0].started_at_ms, before.units[0].started_at_ms);
    // The old leader does not know yet; the worker tells it and ends its session.
    drop(first.directives.send(desired(1, 2, &[])).await);
    let refused = first.until(|r| r.refused.is_some()).await;
    assert_eq!(refused.refused.unwrap().newest, Some(Epoch { term: 2, revision: 0 }));
    assert!(first.next().await.is_none());
    second.directives.send(desired(2, 1, &[unit("c", 1)])).await.unwrap();
    let after = second.until(|r| r.epoch.is_some_and(|e| e.revision == 1)).await;
    assert_eq!(after.units[0].started_at_ms, before.units[0].started_at_ms);
    // And a hello of the old term does not get in again.
    let mut late = Session::open(&mut plain(address).await, 1).await;
    assert!(late.next().await.unwrap().refused.is_some());
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_adding_and_changing_one_unit_leaves_the_others_alone() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let address = serve(&worker, None).await;
    let mut session = Session::open(&mut plain(address).await, 1).await;
    session.directives.send(desired(1, 1, &[unit("a", 1), unit("b", 1)])).await.unwrap();
    let running = |r: &Report, name: &str, incarnation: u64| {
        r.units.iter().any(|u| u.connector == name && u.incarnation == incarnation && u.state() == UnitState::Running)
    };
    let before = session.until(|r| running(r, "a", 1) && running(r, "b", 1)).await;
    session.directives.send(desired(1, 2, &[unit("a", 1), unit("b", 2), unit("c", 1)])).await.unwrap();
    session.until(|r| running(r, "b", 2) && running(r, "c", 1)).await;
    session.directives.send(desired(1, 3, &[unit("a", 1)])).await.unwrap();
    let after = session.until(|r| r.units.len() == 1).await;
    assert_eq!(after.units[0].started_at_ms, before.units[0].started_at_ms);
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_directive_has_to_be_a_hello() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let address = serve(&worker, None).await;
    let (directives, receiver) = mpsc::channel(8);
    directives.send(desired(9, 1, &[])).await.unwrap();
    let mut reports = plain(address).await.session(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    assert_eq!(reports.message().await.unwrap_err().code(), tonic::Code::FailedPrecondition);
    assert_eq!(worker.epoch(), Epoch::default());
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_shows_a_secret() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let mut client = plain(serve(&worker, None).await).await;
    let path = std::env::var("PATH").unwrap();
    let config: BTreeMap<String, String> = [
        ("connector.class", "FileStreamSource"),
        ("tasks.max", "1"),
        ("topic", "t"),
        ("file", "/f"),
        // Java's message, and ours, quotes the value.
        ("batch.size", "hunter2"),
        ("errors.tolerance", "${env:PATH}"),
        ("producer.override.sasl.jaas.config", "not-a-login-module"),
        ("key.converter.schemas.enable", "not a secret"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let request = |secrets: &[&str]| ValidateRequest {
        name: "c".into(),
        config: config.clone(),
        secrets: secrets.iter().map(|secret| (*secret).to_owned()).collect(),
    };
    let messages = |response: ValidateResponse| -> String {
        response.errors.into_iter().map(|error| format!("{}: {}\n", error.key, error.message)).collect()
    };
    let open = messages(client.validate(request(&[])).await.unwrap().into_inner());
    assert!(open.contains("Invalid value hunter2 for configuration batch.size"), "{open}");
    let hidden = messages(client.validate(request(&["hunter2"])).await.unwrap().into_inner());
    assert!(hidden.contains("Invalid value [hidden] for configuration batch.size"), "{hidden}");
    assert!(hidden.contains("errors.tolerance: ") && hidden.contains("key.converter"), "{hidden}");
    for secret in ["hunter2", path.as_str(), "not-a-login-module"] {
        assert!(!hidden.contains(secret), "{hidden}");
    }
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_unit_shows_no_secret() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let unit = |task, class: &str| Unit {
        connector: "c".into(),
        name: "c".into(),
        task,
        incarnation: 1,
        config: [("connector.class", class), ("connector.client", "${env:BARNABAS_NOT_SET}")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        secrets: vec!["hunter2".into()],
        tasks_max: 1,
        ..Unit::default()
    };
    let known = Unit { config: [("connector.class".to_owned(), "hunter2".to_owned())].into(), ..unit(None, "") };
    worker.apply(desired(1, 1, &[known, unit(Some(0), "FileStreamSource")])).unwrap();
    let mut reports = worker.reports();
    let failed = |report: &Report| {
        let states = report.units.iter().map(|unit| unit.state()).collect::<Vec<_>>();
        states == [UnitState::Failed, UnitState::Failed]
    };
    let report =
        tokio::time::timeout(Duration::from_secs(20), reports.wait_for(failed)).await.unwrap().unwrap().clone();
    let errors: Vec<_> = report.units.iter().map(|unit| unit.error.clone().unwrap()).collect();
    assert!(errors[0].message.contains("`connector.class` is `[hidden]`"), "{errors:?}");
    assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
    assert!(errors[1].message.contains("connector.client refers to ${env:BARNABAS_NOT_SET}"), "{errors:?}");
    worker.shutdown().await;
}

/// A reference says nothing about its value: whatever is made of that is checked once it is known, and again by each unit
/// that starts, because the value may have changed since.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_reference_stands_for_is_checked_when_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.properties");
    let base = [
        ("connector.class", "FileStreamSource"),
        ("file", "/f"),
        ("topic", "t"),
        ("value.converter", "JsonConverter"),
        ("transforms", "route"),
        ("transforms.route.type", "RegexRouter"),
        ("transforms.route.regex", "a.*"),
        ("transforms.route.replacement", "b"),
        ("transforms.route.predicate", "topics"),
        ("predicates", "topics"),
        ("predicates.topics.type", "TopicNameMatches"),
        ("predicates.topics.pattern", "a.*"),
    ];
    let worker = Worker::new(config(None), registry()).unwrap();
    let mut client = plain(serve(&worker, None).await).await;
    let cases = [
        ("errors.tolerance", "all", "sometimes", "errors.tolerance: String must be one of: none, all"),
        ("errors.log.enable", "true", "perhaps", "errors.log.enable: Expected value to be either true or false"),
        ("tasks.max.enforce", "false", "perhaps", "tasks.max.enforce: Expected value to be either true or false"),
        ("errors.retry.timeout", "-1", "forever", "errors.retry.timeout: Not a number of type LONG"),
        ("value.converter", "StringConverter", "NoConverter", "value.converter: Class [hidden] could not be found"),
        ("value.converter.schemas.enable", "false", "perhaps", "value.converter.schemas.enable: Expected value"),
        ("transforms", "route", "route,lost", "\"transforms.lost.type\" which has no default value"),
        (
            "transforms.route.type",
            "RegexRouter",
            "NoRouter",
            "transforms.route.type: Class [hidden] could not be found",
        ),
        ("transforms.route.regex", "b.*", "(unclosed", "transforms.route.regex: Invalid regex"),
        ("transforms.route.predicate", "topics", "nowhere", "transforms.route.predicate: there is no such predicate"),
        ("predicates.topics.pattern", "b.*", "(unclosed", "predicates.topics.pattern: Invalid regex"),
    ];
    for (index, (key, good, bad, expected)) in cases.into_iter().enumerate() {
        let mut config: BTreeMap<String, String> = base.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        config.insert("tasks.max".into(), "1".into());
        config.insert(key.into(), format!("${{file:{}:value}}", file.display()));
        let mut check = async || {
            let request = ValidateRequest { name: "c".into(), config: config.clone(), secrets: Vec::new() };
            client.validate(request).await.unwrap().into_inner().errors
        };
        fs::write(&file, format!("value={good}")).unwrap();
        assert_eq!(check().await, [], "{key}");
        fs::write(&file, format!("value={bad}")).unwrap();
        let errors = check().await;
        assert!(errors.iter().any(|error| error.message.contains(expected)), "{key}: {errors:?}");
        assert!(errors.iter().all(|error| !error.message.contains(bad)), "{key}: {errors:?}");

        let unit = |task| Unit {
            connector: format!("c{index}"),
            name: format!("c{index}"),
            task,
            incarnation: 1,
            config: config.clone().into_iter().collect(),
            tasks_max: 1,
            target: 1,
            ..Unit::default()
        };
        worker.apply(desired(1, index as u64 + 1, &[unit(None), unit(Some(0))])).unwrap();
        let mut reports = worker.reports();
        let failed = |report: &Report| {
            let of = |unit: &&barnabas_protocol::UnitReport| unit.connector == format!("c{index}");
            report.units.iter().filter(of).filter(|unit| unit.state() == UnitState::Failed).count() == 2
        };
        let report = tokio::time::timeout(PATIENCE, reports.wait_for(failed)).await.unwrap().unwrap().clone();
        for unit in report.units.iter().filter(|unit| unit.connector == format!("c{index}")) {
            let error = unit.error.clone().unwrap();
            assert_eq!(error.code(), barnabas_protocol::ErrorCode::Config, "{error:?}");
            assert!(error.message.contains(expected), "{key}: {error:?}");
            assert!(!error.message.contains(bad) && !error.trace.contains(bad), "{key}: {error:?}");
        }
    }
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_are_validated_and_plugins_listed() {
    let worker = Worker::new(config(None), registry()).unwrap();
    let mut client = plain(serve(&worker, None).await).await;
    let validate = |pairs: &[(&str, &str)]| ValidateRequest {
        name: "c".into(),
        config: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        secrets: Vec::new(),
    };
    let request = validate(&[
        ("connector.class", "FileStreamSource"),
        ("tasks.max", "1"),
        ("topic", "t"),
        ("producer.override.linger.ms", "soon"),
        ("producer.override.key.serializer", "x"),
    ]);
    let response = client.validate(request).await.unwrap().into_inner();
    assert_eq!(
        (response.class.as_str(), response.kind.as_str()),
        ("org.apache.kafka.connect.file.FileStreamSourceConnector", "source")
    );
    let found: Vec<_> = response.errors.iter().map(|e| (e.key.as_str(), e.reason.as_str())).collect();
    assert!(found.contains(&("producer.override.key.serializer", "ForbiddenKey")), "{found:?}");
    let response = client.validate(validate(&[("connector.class", "FileStreamSorce")])).await.unwrap().into_inner();
    assert_eq!(response.errors[0].reason, "UnknownConnectorClass");
    assert!(response.errors[0].message.contains("FileStreamSource"), "{:?}", response.errors);
    let good = validate(&[("connector.class", "FileStreamSource"), ("tasks.max", "1"), ("topic", "t"), ("file", "/f")]);
    assert_eq!(client.validate(good).await.unwrap().into_inner().errors, []);
    let plugins = client.list_plugins(ListPluginsRequest {}).await.unwrap().into_inner().plugins;
    for (class, kind) in [
        ("org.apache.kafka.connect.file.FileStreamSinkConnector", "sink"),
        ("org.apache.kafka.connect.json.JsonConverter", "converter"),
    ] {
        assert!(plugins.iter().any(|p| p.class == class && p.r#type == kind), "{class}");
    }
    worker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_worker_resumes_alone_under_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let first = Worker::new(config(Some(dir.path())), registry()).unwrap();
    first.apply(hello(3)).unwrap();
    first.apply(desired(3, 5, &[unit("c", 8)])).unwrap();
    let before = first.reports().borrow().clone();
    // Not a shutdown: the process is gone, its files are not.
    drop(first);
    let second = Worker::new(config(Some(dir.path())), registry()).unwrap();
    let mut reports = second.reports();
    let resumed = tokio::time::timeout(PATIENCE, async {
        reports.wait_for(|r| r.units.iter().any(|u| u.state() == UnitState::Running)).await.unwrap().clone()
    })
    .await
    .unwrap();
    assert_eq!((resumed.units[0].incarnation, resumed.epoch), (8, Some(Epoch { term: 3, revision: 5 })));
    assert_ne!(resumed.boot_id, before.boot_id);
    assert!(second.apply(desired(2, 9, &[])).is_err(), "older epochs stay refused over a restart");
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_away_long_lets_an_operator_speak_first() {
    let dir = tempfile::tempdir().unwrap();
    let first = Worker::new(config(Some(dir.path())), registry()).unwrap();
    first.apply(desired(3, 5, &[unit("c", 8)])).unwrap();
    first.shutdown().await;
    fs::remove_file(dir.path().join("heartbeat")).unwrap();
    let second = Worker::new(config(Some(dir.path())), registry()).unwrap();
    assert!(second.reports().borrow().units.is_empty());
    second.apply(hello(4)).unwrap();
    second.apply(desired(4, 1, &[unit("other", 1)])).unwrap();
    let mut reports = second.reports();
    let report =
        tokio::time::timeout(PATIENCE, reports.wait_for(|r| !r.units.is_empty())).await.unwrap().unwrap().clone();
    assert_eq!(report.units[0].connector, "other");
    second.shutdown().await;
}

/// An authority and what it signs, in files as the Secret has them.
struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test-ca");
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(["worker.test".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, dir: &Path) -> ControlTls {
        let (cert, key) = self.sign("worker");
        let files = ControlTls { ca: dir.join("ca.crt"), cert: dir.join("tls.crt"), key: dir.join("tls.key") };
        fs::write(&files.ca, self.issuer.pem()).unwrap();
        fs::write(&files.cert, cert).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }

    async fn connect(&self, address: SocketAddr, name: &str) -> Result<WorkerClient<Channel>, String> {
        let (cert, key) = self.sign(name);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.issuer.pem()))
            .domain_name("worker.test")
            .identity(Identity::from_pem(cert, key));
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
        let endpoint = endpoint.connect_timeout(Duration::from_secs(20)).tls_config(tls).unwrap();
        let mut client = WorkerClient::new(endpoint.connect().await.map_err(|e| e.to_string())?);
        // With TLS 1.3 the server's refusal shows with the first answer only.
        client.list_plugins(ListPluginsRequest {}).await.map_err(|e| e.to_string())?;
        Ok(client)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_operator_gets_in_and_certificates_rotate_while_listening() {
    let dir = tempfile::tempdir().unwrap();
    let old = Pki::new();
    let files = old.write(dir.path());
    let worker = Worker::new(config(None), registry()).unwrap();
    let address = serve(&worker, Some(files)).await;
    let mut kept = old.connect(address, "barnabas-operator").await.unwrap();
    assert!(old.connect(address, "worker").await.is_err(), "the workers' own certificate is not enough");
    assert!(Pki::new().connect(address, "barnabas-operator").await.is_err(), "another authority");
    assert!(
        WorkerClient::connect(format!("http://{address}")).await.is_err() || {
            let mut client = plain(address).await;
            client.list_plugins(ListPluginsRequest {}).await.is_err()
        }
    );
    let new = Pki::new();
    new.write(dir.path());
    eventually("the new certificates", async || new.connect(address, "barnabas-operator").await.ok()).await;
    assert!(old.connect(address, "barnabas-operator").await.is_err(), "the old authority is forgotten");
    // A connection that was open goes on.
    kept.list_plugins(ListPluginsRequest {}).await.unwrap();
    worker.shutdown().await;
}

async fn request(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (line, body) = request.split_once('\n').unwrap_or((request, ""));
    let head = format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_metrics_and_levels_are_served() {
    let worker = Worker::new(config(None), registry()).unwrap();
    worker.apply(desired(1, 1, &[unit("c", 1)])).unwrap();
    let http = Http::new(worker.clone(), Some(Loggers::with(drop)));
    let (address, _) =
        http::serve("127.0.0.1:0".parse().unwrap(), http.router(), std::future::pending()).await.unwrap();
    assert_eq!(request(address, "GET /healthz").await.0, 200);
    let (status, why) = request(address, "GET /readyz").await;
    assert!(status == 503 && why.contains("control"), "{status} {why}");
    http.control_listens();
    let (status, why) = request(address, "GET /readyz").await;
    assert!(status == 503 && why.contains("Kafka"), "{status} {why}");

    let metrics = eventually("a running connector", async || {
        let (_, text) = request(address, "GET /metrics").await;
        text.contains(r#"kafka_connect_connector_status{connector="c",status="running"} 1"#).then_some(text)
    })
    .await;
    for line in ["kafka_connect_worker_connector_count 1.0", "kafka_connect_worker_task_count 0.0", "# EOF"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    let (status, body) = request(address, "PUT /admin/loggers/org.apache.kafka.connect\n{\"level\":\"DEBUG\"}").await;
    assert!(status == 200 && body.contains("org.apache.kafka.connect"), "{status} {body}");
    let (_, body) = request(address, "GET /admin/loggers/org.apache.kafka.connect.runtime").await;
    assert!(body.contains(r#""level":"DEBUG""#), "{body}");
    assert!(request(address, "GET /admin/loggers").await.1.contains("root"));
    let (status, body) = request(address, "PUT /admin/loggers/root\n{\"level\":\"LOUD\"}").await;
    assert!(status == 404 && body.contains("error_code"), "{status} {body}");
    worker.shutdown().await;
}
