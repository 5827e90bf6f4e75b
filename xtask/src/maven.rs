//! Apache Kafka's and Kafka Connect's jars, resolved by Maven.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    cache::{self, Artifact},
    progress,
    run::{self, program},
};

/// The broker.
pub const KAFKA: &str = "4.4.0";
/// Kafka Connect, the newest release that has all of its parts published.
pub const CONNECT: &str = "4.3.1";
/// No pom of Kafka brings a logging back end.
const LOG4J: &str = "2.25.5";

/// The broker's jars: a folder with `libs/`.
pub fn kafka() -> Result<PathBuf> {
    let pom = pom(&[("org.apache.kafka", "kafka_2.13", KAFKA)]);
    let title = format!("fetching Apache Kafka {KAFKA}");
    Artifact::new(format!("kafka-{KAFKA}")).input(&pom).get(&title, |folder| resolve("kafka", &pom, folder, &[]))
}

/// Kafka Connect's jars, for the compatibility tests: `kafka-connect-VERSION/libs`.
/// The folder has a fixed name, because the tests of other crates look for it.
pub fn connect() -> Result<PathBuf> {
    let folder = cache::root().join(format!("kafka-connect-{CONNECT}"));
    let libs = folder.join("libs");
    if libs.is_dir() {
        return Ok(libs);
    }
    let parts = ["connect-runtime", "connect-file", "connect-json", "connect-transforms"];
    let pom = pom(&parts.map(|part| ("org.apache.kafka", part, CONNECT)));
    progress::step(&format!("fetching Apache Kafka Connect {CONNECT}"), || {
        let partial = cache::folder("partial")?.join(format!("kafka-connect-{CONNECT}"));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        resolve("kafka-connect", &pom, &partial, &[])?;
        fs::rename(&partial, &folder).with_context(|| format!("cannot move {} into place", partial.display()))
    })?;
    Ok(libs)
}

/// The jars that a pom of the repository depends on, without Kafka's own: those are [`connect`]'s.
pub fn jars(name: &str, pom: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(pom).with_context(|| format!("cannot read {}", pom.display()))?;
    let artifact = Artifact::new(format!("compat-{name}")).input(&text);
    let folder = artifact.get(&format!("fetching the jars of {name}"), |folder| {
        resolve(name, &text, folder, &["-DexcludeGroupIds=org.apache.kafka"])
    })?;
    Ok(folder.join("libs"))
}

/// A pom that depends on the given artifacts and on a logging back end.
fn pom(artifacts: &[(&str, &str, &str)]) -> String {
    let log4j = ["log4j-api", "log4j-core", "log4j-slf4j-impl"].map(|name| ("org.apache.logging.log4j", name, LOG4J));
    let dependencies = artifacts.iter().chain(&log4j).map(|(group, name, version)| {
        format!("    <dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n")
    });
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
         <groupId>dev.barnabas.tests</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>\n  \
         <dependencies>\n{}  </dependencies>\n</project>\n",
        dependencies.collect::<String>()
    )
}

const PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Copies one file into a folder; the artifact is `GROUP:NAME:VERSION:TYPE:CLASSIFIER`.
pub fn copy(name: &str, artifact: &str, folder: &Path) -> Result<()> {
    run::quiet(
        name,
        program("mvn")
            .current_dir(folder)
            .args(["--batch-mode", "--no-transfer-progress", &format!("{PLUGIN}:copy")])
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-DoutputDirectory={}", folder.display())),
    )
}

/// Copies what the pom depends on into `folder/libs`.
fn resolve(name: &str, pom: &str, folder: &Path, arguments: &[&str]) -> Result<()> {
    let file = folder.join("pom.xml");
    fs::write(&file, pom)?;
    run::quiet(
        name,
        program("mvn")
            .current_dir(folder)
            .args(["--batch-mode", "--no-transfer-progress", "--file"])
            .arg(&file)
            .arg(format!("{PLUGIN}:copy-dependencies"))
            .arg("-DincludeScope=runtime")
            .arg(format!("-DoutputDirectory={}", folder.join("libs").display()))
            .args(arguments),
    )
}
