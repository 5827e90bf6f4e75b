//! One Apache Kafka broker (KRaft, combined roles) with every kind of listener that a client can meet.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    cache::Artifact,
    cluster::{BRIDGE_ADDRESS, pki::Authority},
    daemon::Daemons,
    maven,
    run::{self, program},
};

/// The user of the SASL listeners.
pub const USER: &str = "barnabas";
/// Its password. Nothing but a throw-away broker on this machine knows it.
pub const PASSWORD: &str = "an-open-secret";
/// Sixteen bytes in base64, as Kafka wants a cluster id.
const CLUSTER_ID: &str = "YmFybmFiYXMtdGVzdC0xMg";
const CONTROLLER: &str = "127.0.0.1:19091";

/// A listener: its name in Kafka's configuration, which says its purpose too.
struct Listener {
    name: &'static str,
    protocol: &'static str,
    address: &'static str,
    port: u16,
}

/// The first is for programs on this machine, the others are reachable from pods, too.
const LISTENERS: &[Listener] = &[
    Listener { name: "HOST", protocol: "PLAINTEXT", address: "127.0.0.1", port: 19092 },
    Listener { name: "PODS", protocol: "PLAINTEXT", address: BRIDGE_ADDRESS, port: 29092 },
    Listener { name: "TLS", protocol: "SSL", address: BRIDGE_ADDRESS, port: 29093 },
    Listener { name: "MTLS", protocol: "SSL", address: BRIDGE_ADDRESS, port: 29094 },
    Listener { name: "SASL_TLS", protocol: "SASL_SSL", address: BRIDGE_ADDRESS, port: 29095 },
    Listener { name: "SASL", protocol: "SASL_PLAINTEXT", address: BRIDGE_ADDRESS, port: 29096 },
];

/// The address of a listener, `HOST:PORT`.
pub fn address(name: &str) -> String {
    let listener = LISTENERS.iter().find(|listener| listener.name == name).expect("the names are those above");
    format!("{}:{}", listener.address, listener.port)
}

/// What does not change from start to start.
pub struct Files {
    /// Folder of the broker's jars; the command-line tools are in them.
    pub libs: PathBuf,
    prepared: PathBuf,
}

impl Files {
    /// Returns the files; fetches and prepares them when they are missing.
    pub fn get() -> Result<Self> {
        let libs = maven::kafka()?.join("libs");
        let version = run::output(program("java").arg("--version"))?;
        let artifact = Artifact::new("kafka-prepared")
            .input(libs.as_os_str().as_encoded_bytes())
            .input(version)
            .input(properties(Path::new("/data"), None)?)
            .input(LOGGING)
            .input(JVM.join(" "))
            .input(format!("{USER} {PASSWORD} {CLUSTER_ID}"));
        let prepared =
            artifact.get("preparing Kafka (formatted storage, class archive)", |folder| prepare(&libs, folder))?;
        Ok(Self { libs, prepared })
    }

    /// Starts the broker, with its data, certificates and configuration in `folder`.
    pub fn start(&self, daemons: &Daemons, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let data = folder.join("data");
        copy(&self.prepared.join("formatted"), &data)?;
        let certificates = certificates(&folder.join("certs"))?;
        let config = folder.join("server.properties");
        fs::write(&config, properties(&data, Some(&certificates))?)?;
        let mut command = java(&self.libs, &self.prepared.join("log4j2.properties"))?;
        command.arg(format!("-XX:SharedArchiveFile={}", self.prepared.join("classes.jsa").display()));
        // A class archive that does not fit this machine costs a second, no more.
        command.args(["-Xshare:auto", "kafka.Kafka"]).arg(&config);
        daemons.start("kafka", &mut command)
    }
}

/// Waits until the broker serves.
pub fn wait(daemons: &Daemons) -> Result<()> {
    let log = daemons.log("kafka");
    run::wait_for(
        "a running Kafka",
        Duration::from_secs(60),
        || !daemons.alive("kafka") || started(&log),
        || run::tail(&log, 25),
    )?;
    daemons.check("kafka")
}

fn started(log: &Path) -> bool {
    fs::read_to_string(log).is_ok_and(|text| text.contains("Kafka Server started"))
}

const JVM: &[&str] = &["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// Warnings, and the one line that tells that the broker is up.
const LOGGING: &str = "\
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.stdout.ref = stdout
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = INFO
";

fn java(libs: &Path, logging: &Path) -> Result<Command> {
    // A class archive is valid for one exact class path, so no wildcard.
    let mut jars = fs::read_dir(libs)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    jars.sort();
    let path = std::env::join_paths(jars).context("a jar's path contains a colon")?;
    let mut command = program("java");
    command.args(JVM).arg("-cp").arg(path);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    Ok(command)
}

/// Formats the storage once, and runs the broker once to archive its classes, which halves its start.
fn prepare(libs: &Path, folder: &Path) -> Result<()> {
    let logging = folder.join("log4j2.properties");
    fs::write(&logging, LOGGING)?;
    let formatted = folder.join("formatted");
    let config = folder.join("prepare.properties");
    fs::write(&config, properties(&formatted, None)?)?;
    run::quiet(
        "kafka format",
        java(libs, &logging)?
            .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(&config)
            .args(["--add-scram", &format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]")]),
    )?;

    let rehearsal = folder.join("rehearsal");
    copy(&formatted, &rehearsal)?;
    // Ports of its own: a cluster may be running beside.
    let text = properties(&rehearsal, None)?.replace(":1909", ":1809");
    fs::write(&config, text)?;
    let daemons = Daemons::new(folder);
    daemons.start(
        "kafka",
        java(libs, &logging)?
            .arg(format!("-XX:ArchiveClassesAtExit={}", folder.join("classes.jsa").display()))
            .arg("kafka.Kafka")
            .arg(&config),
    )?;
    let ready = wait(&daemons);
    daemons.stop(&["kafka"], Signal::TERM, Duration::from_secs(60));
    ready?;
    fs::remove_dir_all(&rehearsal)?;
    Ok(())
}

/// The broker's configuration. Without certificates it has the host's listener alone.
fn properties(data: &Path, certificates: Option<&Path>) -> Result<String> {
    let listeners = if certificates.is_some() { LISTENERS } else { &LISTENERS[..1] };
    let join = |format: &dyn Fn(&Listener) -> String| listeners.iter().map(format).collect::<Vec<_>>().join(",");
    let addresses = join(&|it| format!("{}://{}:{}", it.name, it.address, it.port));
    let protocols = join(&|it| format!("{}:{}", it.name, it.protocol));
    let mut text = format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{CONTROLLER}
controller.listener.names=CONTROLLER
inter.broker.listener.name=HOST
listeners=CONTROLLER://{CONTROLLER},{addresses}
advertised.listeners={addresses}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
log.dirs={}
# A topic that nobody created is a fault that a test wants to see.
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
background.threads=2
",
        data.display()
    );
    let Some(certificates) = certificates else { return Ok(text) };
    for listener in listeners {
        let prefix = format!("listener.name.{}", listener.name.to_lowercase());
        if listener.protocol.ends_with("SSL") {
            writeln!(text, "{prefix}.ssl.keystore.type=PEM")?;
            writeln!(text, "{prefix}.ssl.keystore.location={}", certificates.join("server.pem").display())?;
            writeln!(text, "{prefix}.ssl.truststore.type=PEM")?;
            writeln!(text, "{prefix}.ssl.truststore.location={}", certificates.join("ca.crt").display())?;
            let client = if listener.name == "MTLS" { "required" } else { "none" };
            writeln!(text, "{prefix}.ssl.client.auth={client}")?;
        }
        if listener.protocol.starts_with("SASL") {
            let module = "org.apache.kafka.common.security";
            writeln!(text, "{prefix}.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN")?;
            writeln!(text, "{prefix}.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;")?;
            writeln!(
                text,
                "{prefix}.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
            )?;
        }
    }
    Ok(text)
}

/// Makes the broker's certificate, a client's, and the authority of both.
fn certificates(folder: &Path) -> Result<PathBuf> {
    let authority = Authority::create(folder, "barnabas-test-kafka")?;
    let names = format!("IP:127.0.0.1,IP:{BRIDGE_ADDRESS},DNS:localhost,DNS:my-cluster-kafka-bootstrap");
    authority.issue("server", "/CN=kafka", Some(&names))?;
    authority.issue("client", "/CN=barnabas-client", None)?;
    // Kafka reads key and chain from one file.
    let parts = ["server.key", "server.crt"].map(|name| fs::read_to_string(folder.join(name)));
    let [key, certificate] = parts;
    fs::write(folder.join("server.pem"), key? + &certificate?)?;
    Ok(folder.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
