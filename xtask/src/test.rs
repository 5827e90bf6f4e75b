//! `cargo xtask test`: every check and every test of the project.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    cache,
    cluster::{self, Cluster, Owner},
    image, licences, maven, progress, registry, run, setup,
    spare::Spare,
};

/// A scenario that takes longer is stuck; its own waits are bounded far below.
const SCENARIO_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The scenarios in this file are about the program `barnabas` on one machine, and need no cluster.
const ONE_MACHINE: &str = "one_machine";

/// All crates with one set of features, so that each dependency compiles once. The default features are left out for
/// the embedded broker's sake: that alone is some 450 crates.
const WORKSPACE: [&str; 4] = ["--workspace", "--no-default-features", "--features", "barnabas-operator/kubernetes"];

/// The files in `worker/tests` that need a Kafka.
const AGAINST_KAFKA: [&str; 8] =
    ["errors", "exactly_once", "handover", "memory", "program", "retries", "sinks", "sources"];

/// The file in `schema-registry/tests` that needs a registry.
const AGAINST_A_REGISTRY: &str = "live";

/// `cargo xtask test`
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Format, clippy, unit, property and compatibility tests; no cluster.
    Unit,
    /// End to end on a real Kubernetes and a real Kafka.
    E2e(E2e),
}

#[derive(Args)]
struct E2e {
    /// Run the scenarios whose name, `FILE::TEST`, contains one of these.
    names: Vec<String>,
    /// Run on the cluster that `cargo xtask cluster up` started, and leave it up.
    #[arg(long)]
    reuse: bool,
    /// Do not build and load the image again.
    #[arg(long)]
    no_image: bool,
    /// List the scenarios and run none.
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    image: image::Options,
}

/// What passed and what failed so far.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    failures: Vec<String>,
}

impl Tally {
    fn record(&mut self, name: &str, passed: bool) {
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
            self.failures.push(name.to_owned());
        }
    }

    /// A program that passes or fails as a whole.
    fn check(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.own_check(name, || {
            if !run::shown(command)? {
                bail!("{} failed", run::display(command));
            }
            Ok(())
        })
    }

    /// A check of our own that passes or fails as a whole.
    fn own_check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
        let outcome = progress::step(name, check);
        run::check_interrupted()?;
        if let Err(error) = &outcome {
            eprintln!("{error:#}");
        }
        self.record(name, outcome.is_ok());
        Ok(())
    }

    /// `cargo test`: counts the tests of all its binaries.
    fn cargo_test(&mut self, name: &str, command: &mut Command) -> Result<()> {
        progress::say(format!("{name} ..."));
        let start = Instant::now();
        let before = self.failed;
        let mut in_failures = false;
        let succeeded = run::streamed(command, None, |line| {
            println!("{line}");
            // The list of names follows the last of two such headings; the first is followed by an empty line.
            match line.strip_prefix("    ") {
                Some(test) if in_failures && !test.contains(' ') => self.failures.push(format!("{name}: {test}")),
                _ => in_failures = line == "failures:",
            }
            if let Some((passed, failed)) = summary(line) {
                self.passed += passed;
                self.failed += failed;
            }
        })?;
        if !succeeded && self.failed == before {
            self.record(&format!("{name} (did not compile, or ended early)"), false);
        }
        progress::say(format!("{name}: {} in {:.1} s", verdict(succeeded), start.elapsed().as_secs_f64()));
        Ok(())
    }

    fn finish(&self) -> bool {
        println!();
        for failure in &self.failures {
            println!("FAILED: {failure}");
        }
        progress::say("end");
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

/// `test result: ok. 3 passed; 0 failed; ...`
fn summary(line: &str) -> Option<(usize, usize)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut words = counts.split("; ").map(|part| part.split(' ').next().and_then(|count| count.parse().ok()));
    Some((words.next()??, words.next()??))
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

/// Runs what was asked for. False when a test failed; an error when a test could not be run.
pub fn main(options: &Options) -> Result<bool> {
    let mut tally = Tally::default();
    match &options.part {
        Some(Part::Unit) => unit(&mut tally)?,
        Some(Part::E2e(e2e)) => {
            if !end_to_end(e2e, None, &mut tally)? {
                return Ok(true);
            }
        }
        None => {
            // What needs root or a package should say so at once, and not after half an hour of tests.
            setup::unit()?;
            setup::cluster()?;
            cluster::check_free()?;
            maven::connect()?;
            let spare = Spare::begin("the cluster's programs", setup::cluster_programs);
            unit(&mut tally)?;
            let all =
                E2e { names: Vec::new(), reuse: false, no_image: false, list: false, image: image::Options::release() };
            // The tests that ran are news even when the cluster cannot start.
            if let Err(error) = end_to_end(&all, Some(spare), &mut tally) {
                run::check_interrupted()?;
                eprintln!("error: {error:#}");
                tally.record("end to end (set-up)", false);
            }
        }
    }
    Ok(tally.finish())
}

fn unit(tally: &mut Tally) -> Result<()> {
    setup::unit()?;
    tally.check("format", run::cargo().args(["fmt", "--all", "--check"]))?;
    tally.own_check("licences", licences::check)?;
    let lint = ["--all-targets", "--", "--deny", "warnings"];
    tally.check("clippy", run::cargo().arg("clippy").args(WORKSPACE).args(lint))?;

    let libs = maven::connect()?;
    let test = || {
        let mut cargo = run::cargo();
        cargo.args(["test", "--no-fail-fast"]).env("BARNABAS_TEST_CONNECT_LIBS", &libs);
        // Those that need a Kafka or a schema registry run with the scenarios, which bring them.
        cargo.env("BARNABAS_SKIP_KAFKA", "1").env("BARNABAS_SKIP_SCHEMA_REGISTRY", "1");
        cargo
    };
    let but_cluster = ["--exclude", "barnabas-tests"];
    tally.cargo_test("unit, property and compatibility tests", test().args(WORKSPACE).args(but_cluster))?;
    tally.cargo_test("tests of the harness", test().args(["--package", "barnabas-tests", "--lib"]))
}

/// A scenario: a test function of a test binary of the crate `barnabas-tests`.
struct Scenario {
    binary: PathBuf,
    /// The file in `tests/tests`.
    file: String,
    test: String,
}

impl Scenario {
    fn name(&self) -> String {
        format!("{}::{}", self.file, self.test)
    }

    fn needs_cluster(&self) -> bool {
        self.file != ONE_MACHINE
    }
}

/// False when the scenarios were only listed. `spare` makes the cluster's programs, and is waited for before they are needed.
fn end_to_end(options: &E2e, spare: Option<Spare>, tally: &mut Tally) -> Result<bool> {
    let scenarios = progress::step("building the scenarios", || scenarios(&options.names))?;
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{}", scenario.name()));
        return Ok(false);
    }
    if scenarios.is_empty() {
        bail!("no scenario is named like {}; see `cargo xtask test e2e --list`", options.names.join(", "));
    }
    let (on_cluster, on_machine) = scenarios.into_iter().partition::<Vec<_>, _>(Scenario::needs_cluster);
    if !on_cluster.is_empty() && !options.reuse {
        cluster::check_free()?;
    }
    if !on_machine.is_empty() {
        let program = image::build_barnabas(&options.image)?;
        let environment = BTreeMap::from([("BARNABAS_BIN", program.display().to_string())]);
        run_all(&environment, &on_machine, tally)?;
    }
    if on_cluster.is_empty() {
        return Ok(true);
    }
    setup::cluster()?;
    let images = if options.no_image { None } else { Some(image::build(&options.image)?) };
    // From here on they are needed.
    drop(spare);
    let cluster = if options.reuse { Cluster::running()? } else { Cluster::start(Owner::ThisProcess)? };
    let before = tally.failed;
    // Some tests of crates need what the cluster brings. Where scenarios were named, only those are wanted.
    let all = options.names.is_empty();
    let tests = |tally: &mut Tally| {
        if all {
            // It starts while the others work. Where it cannot be had, they are run all the same.
            tally
                .own_check("starting a schema registry", || registry::start(cluster.daemons(), &registry::files()?))?;
        }
        if let Some(images) = &images {
            images.load(&cluster)?;
        }
        if all {
            against_kafka(&cluster, tally)?;
            against_a_registry(&cluster, tally)?;
        }
        run_all(&cluster.environment(), &on_cluster, tally)
    };
    let result = tests(tally);
    registry::stop(cluster.daemons());
    if !options.reuse {
        if tally.failed > before || result.is_err() {
            cluster.keep_logs();
        }
        cluster.stop();
    }
    result.map(|()| true)
}

fn against_kafka(cluster: &Cluster, tally: &mut Tally) -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--no-fail-fast"]).args(WORKSPACE).envs(cluster.environment());
    cargo.env("BARNABAS_TEST_CONNECT_LIBS", maven::connect()?);
    cargo.args(AGAINST_KAFKA.iter().flat_map(|file| ["--test", *file]));
    tally.cargo_test("the worker against Kafka", &mut cargo)
}

/// The registry ends with these tests, because its memory is wanted by the scenarios.
fn against_a_registry(cluster: &Cluster, tally: &mut Tally) -> Result<()> {
    let daemons = cluster.daemons();
    let mut serves = false;
    tally.own_check("schema registry", || {
        registry::wait(daemons)?;
        serves = true;
        Ok(())
    })?;
    if !serves {
        return Ok(());
    }
    let mut cargo = run::cargo();
    cargo.args(["test", "--no-fail-fast"]).args(WORKSPACE).args(["--test", AGAINST_A_REGISTRY]);
    cargo.env("BARNABAS_TEST_SCHEMA_REGISTRY", registry::url());
    tally.cargo_test("the converters against a schema registry", &mut cargo)?;
    registry::stop(daemons);
    Ok(())
}

fn run_all(environment: &BTreeMap<&'static str, String>, scenarios: &[Scenario], tally: &mut Tally) -> Result<()> {
    for (index, scenario) in scenarios.iter().enumerate() {
        let name = scenario.name();
        progress::say(format!("scenario {} of {}: {name} ...", index + 1, scenarios.len()));
        let start = Instant::now();
        let mut test = Command::new(&scenario.binary);
        test.args([&scenario.test, "--exact", "--nocapture", "--test-threads=1"]).envs(environment);
        test.current_dir(cache::repository().join("tests")).env("RUST_BACKTRACE", "1");
        let prefix = format!("test {} ... ", scenario.test);
        let passed = run::streamed(&mut test, Some(SCENARIO_LIMIT), |line| {
            // What the test harness says around one test is said here already.
            let line = line.strip_prefix(&prefix).unwrap_or(line);
            let noise = ["running 1 test", "test result:", "failures:"];
            if !line.is_empty() && line != "ok" && !noise.iter().any(|start| line.starts_with(start)) {
                println!("    {line}");
            }
        })?;
        progress::say(format!("scenario {name}: {} in {:.1} s", verdict(passed), start.elapsed().as_secs_f64()));
        tally.record(&name, passed);
    }
    Ok(())
}

/// Compiles the crate of the scenarios and asks its binaries for their names.
fn scenarios(names: &[String]) -> Result<Vec<Scenario>> {
    let mut cargo = run::cargo();
    cargo.args([
        "test",
        "--package",
        "barnabas-tests",
        "--test",
        "*",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    let mut binaries = BTreeSet::new();
    let compiled = run::streamed(&mut cargo, None, |line| {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        let is_test = message["profile"]["test"] == true && message["target"]["kind"][0] == "test";
        if let Some(path) = message["executable"].as_str().filter(|_| is_test) {
            let file = message["target"]["name"].as_str().unwrap_or_default();
            binaries.insert((file.to_owned(), PathBuf::from(path)));
        }
    })?;
    if !compiled {
        bail!("the scenarios do not compile");
    }
    let mut scenarios = Vec::new();
    for (file, binary) in binaries {
        let list = |ignored: bool| -> Result<BTreeSet<String>> {
            let mut command = Command::new(&binary);
            command.args(["--list", "--format", "terse"]).args(ignored.then_some("--ignored"));
            let text = run::output(&mut command).context("cannot list the scenarios")?;
            Ok(text.lines().filter_map(|line| Some(line.strip_suffix(": test")?.to_owned())).collect())
        };
        for test in list(false)?.difference(&list(true)?) {
            let scenario = Scenario { binary: binary.clone(), file: file.clone(), test: test.clone() };
            if names.is_empty() || names.iter().any(|part| scenario.name().contains(part.as_str())) {
                scenarios.push(scenario);
            }
        }
    }
    Ok(scenarios)
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn reads_the_result_line_of_a_test_binary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(summary(line), Some((12, 3)));
        assert_eq!(summary("test a::b ... ok"), None);
    }
}
