//! A schema registry with Confluent's API: Apicurio Registry, with its data in memory.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::{
    cache::Artifact,
    daemon::Daemons,
    maven,
    run::{self, program},
};

/// The newest release for Java 17.
const VERSION: &str = "2.6.13.Final";
const ADDRESS: &str = "127.0.0.1";
const PORT: u16 = 18081;
const API: &str = "/apis/ccompat/v7";
/// The name of the program among the daemons.
pub const NAME: &str = "schema-registry";

const JVM: &[&str] = &["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// What a test must know.
pub fn url() -> String {
    format!("http://{ADDRESS}:{PORT}{API}")
}

/// The folder of the program; fetched when it is missing.
pub fn files() -> Result<PathBuf> {
    let artifact = format!("io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all");
    let title = format!("fetching Apicurio Registry {VERSION}");
    Artifact::new(format!("apicurio-registry-{VERSION}")).input(&artifact).get(&title, |folder| {
        maven::copy("apicurio-registry", &artifact, folder)?;
        let archive = folder.join(format!("apicurio-registry-app-{VERSION}-all.tar.gz"));
        run::output(program("tar").arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(folder))?;
        fs::remove_file(archive)?;
        Ok(())
    })
}

/// Starts the registry, which takes some ten seconds to serve: [`wait`] for it where it is needed.
pub fn start(daemons: &Daemons, files: &Path) -> Result<()> {
    // One that an earlier run left has the port, and its schemas.
    stop(daemons);
    let mut java = program("java");
    java.args(JVM).arg("-jar").arg(runner(files)?).current_dir(files);
    java.env("QUARKUS_HTTP_HOST", ADDRESS).env("QUARKUS_HTTP_PORT", PORT.to_string());
    java.env("QUARKUS_LOG_LEVEL", "WARN");
    daemons.start(NAME, &mut java)
}

/// The jar that is started; others lie in folders beside it.
fn runner(files: &Path) -> Result<PathBuf> {
    let jars = fs::read_dir(files)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let runner = jars.into_iter().find(|path| path.to_string_lossy().ends_with("-runner.jar"));
    runner.with_context(|| format!("{} has no runner", files.display()))
}

/// Waits until the registry serves.
pub fn wait(daemons: &Daemons) -> Result<()> {
    let log = daemons.log(NAME);
    run::wait_for(
        "a running schema registry",
        Duration::from_secs(180),
        || !daemons.alive(NAME) || serves(),
        || run::tail(&log, 25),
    )?;
    daemons.check(NAME)
}

/// Whether it answers a question.
fn serves() -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect((ADDRESS, PORT))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {API}/subjects HTTP/1.0\r\nHost: {ADDRESS}\r\n\r\n")?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        Ok(String::from_utf8_lossy(&status).into_owned())
    };
    ask().is_ok_and(|status| status.ends_with(" 200"))
}

/// Ends it, in whatever state it is.
pub fn stop(daemons: &Daemons) {
    daemons.stop(&[NAME], Signal::KILL, Duration::ZERO);
}
