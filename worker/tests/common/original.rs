//! Apache Kafka Connect itself: a distributed worker as a process.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::eventually;

/// Its jars.
pub fn libs() -> PathBuf {
    match std::env::var("BARNABAS_TEST_CONNECT_LIBS") {
        Ok(libs) if !libs.is_empty() => libs.into(),
        _ => panic!(
            "this test needs the jars of Apache Kafka Connect: set BARNABAS_TEST_CONNECT_LIBS to their folder \
             (`cargo xtask test` does), or BARNABAS_SKIP_KAFKA=1 to leave it out"
        ),
    }
}

/// Compiles `java/test/TableSourceConnector.java`; the folder is for the class path.
pub fn compile_table(classes: &Path) {
    let services = classes.join("META-INF/services");
    fs::create_dir_all(&services).unwrap();
    fs::write(services.join("org.apache.kafka.connect.source.SourceConnector"), "test.TableSourceConnector\n").unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/test/TableSourceConnector.java");
    let mut javac = Command::new("javac");
    javac.args(["-proc:none", "-cp"]).arg(libs().join("*")).arg("-d").arg(classes).arg(source);
    assert!(javac.status().expect("a JDK: `cargo xtask test` installs it").success());
}

/// A running worker.
pub struct Original {
    child: Child,
    rest: SocketAddr,
    log: PathBuf,
}

impl Original {
    /// Starts a worker; `folder` is its own, and holds the classes of connectors besides its log.
    pub async fn start(folder: &Path, worker: &[(&str, String)]) -> Self {
        let (rest, log) = (free_port(), folder.join("log"));
        let properties = worker.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>();
        fs::write(folder.join("worker.properties"), format!("{properties}listeners=http://{rest}\n")).unwrap();
        fs::write(folder.join("log4j2.properties"), LOGGING).unwrap();
        let output = fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new("java")
            .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display()))
            .arg("-cp")
            .arg(format!("{}/*:{}", libs().display(), folder.display()))
            .arg("org.apache.kafka.connect.cli.ConnectDistributed")
            .arg(folder.join("worker.properties"))
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .expect("a JVM: `cargo xtask test` installs it");
        let mut original = Self { child, rest, log };
        eventually("Kafka Connect's REST API", async || {
            let ended = original.child.try_wait().unwrap();
            assert_eq!(ended, None, "Kafka Connect ended");
            // Not found until the worker has joined its group.
            original.call("GET", "/connectors", None).await.filter(|(status, _)| *status == 200)
        })
        .await;
        original
    }

    /// Creates a connector, and waits until its task runs.
    pub async fn create(&self, name: &str, config: &[(&str, &str)]) {
        let config: Json = config.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let path = format!("/connectors/{name}/config");
        eventually("Kafka Connect to take a connector", async || {
            let (status, body) = self.call("PUT", &path, Some(&config)).await?;
            // 409 while the workers rebalance.
            assert!([201, 409].contains(&status), "{status}: {body}");
            (status == 201).then_some(())
        })
        .await;
        self.until_running(name).await;
    }

    /// Waits until the connector's task runs.
    pub async fn until_running(&self, name: &str) {
        let path = format!("/connectors/{name}/status");
        eventually("Kafka Connect's task to run", async || {
            let (_, status) = self.call("GET", &path, None).await?;
            let state = &status["tasks"][0]["state"];
            assert_ne!(state, "FAILED", "{status}");
            (state == "RUNNING").then_some(())
        })
        .await;
    }

    /// Stops the worker as a service manager would: its tasks commit before it ends.
    pub async fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        eventually("Kafka Connect to end", async || self.child.try_wait().unwrap()).await;
        let log = fs::read_to_string(&self.log).unwrap();
        assert!(log.contains("Kafka Connect stopped") && !log.contains("Graceful stop of"), "it was not graceful");
    }

    /// The status and the body of an answer; nothing while the server is not up.
    async fn call(&self, method: &str, path: &str, body: Option<&Json>) -> Option<(u16, Json)> {
        let body = body.map(Json::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.rest,
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(self.rest).await.ok()?;
        stream.write_all((head + &body).as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or_default()))
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // SIGKILL; already gone is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(150)..].join("\n"));
        }
    }
}

/// A port that no outgoing connection takes: those come from 32768 on.
fn free_port() -> SocketAddr {
    let start = (std::process::id() % 8000) as u16;
    (0..8000u16)
        .map(|at| SocketAddr::from(([127, 0, 0, 1], 20_000 + (start + at) % 8000)))
        .find(|address| TcpListener::bind(address).is_ok())
        .expect("a free port")
}

const LOGGING: &str = "\
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.stderr.ref = stderr
";
