//! A large cluster, to look at: `cargo test --release -p barnabas-operator a_large_cluster -- --ignored --nocapture`.

use std::time::Duration;

use super::rig::{Rig, spec};
use crate::plan::{Action, ConnectorSpec};

const WORKERS: usize = 1_000;
const CONNECTORS: usize = 10_000;

/// Time on the processor, which other processes do not lengthen; the wall clock where the kernel does not say.
fn clock() -> Duration {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next()?.parse().ok());
    spent.map_or_else(|| std::time::UNIX_EPOCH.elapsed().unwrap(), Duration::from_nanos)
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begin = clock();
    let result = work();
    if !what.is_empty() {
        println!("{what}: {:?}", clock() - begin);
    }
    result
}

/// Decides once, prints how long that took, and lets the workers follow. How many actions there were.
fn decide(rig: &mut Rig, what: &str) -> usize {
    let now = rig.now;
    let actions = timed(what, || rig.controller.decide(now));
    let count = actions.len();
    for action in actions {
        match action {
            Action::Push { worker, directive } => {
                let worker = rig.workers.get_mut(&worker).unwrap();
                worker.accept(&directive, now);
                worker.pushes.clear();
            }
            Action::Validate { key, config_hash, .. } => {
                rig.controller.validated(&key, config_hash, Ok(Default::default()), now);
            }
            _ => {}
        }
    }
    count
}

/// Not an assertion: machines differ. 10,000 connectors with 9 tasks each on 1,000 workers.
#[test]
#[ignore = "measures; run by hand in release"]
fn a_large_cluster() {
    let mut rig = Rig::new(WORKERS);
    let specs: Vec<(String, ConnectorSpec)> = (0..CONNECTORS)
        .map(|index| format!("c{index:05}"))
        .map(|key| (key.clone(), ConnectorSpec { name: key, ..spec(9) }))
        .collect();
    for (key, spec) in &specs {
        rig.observe(key, spec);
    }
    decide(&mut rig, "10,000 connectors appear");
    while decide(&mut rig, "") > 1 {}
    timed("1,000 reports of 10 units", || rig.report_all());
    decide(&mut rig, "90,000 tasks are planned and placed");
    timed("1,000 reports of 100 units", || rig.report_all());
    decide(&mut rig, "everything has started");
    timed("1,000 reports of 100 units, nothing new", || rig.report_all());
    decide(&mut rig, "nothing is to be done");
    println!("{} units run", rig.running().len());
    rig.remove_pod("w500");
    decide(&mut rig, "a worker is gone");
    rig.report_all();
    decide(&mut rig, "its units have started");
    let mut change = specs[7].1.clone();
    change.config.insert("own.3".to_owned(), "x".to_owned());
    rig.observe("c00007", &change);
    decide(&mut rig, "one connector changes");
    decide(&mut rig, "and is valid");

    let borrowed: Vec<(&str, ConnectorSpec)> = specs.iter().map(|(key, spec)| (key.as_str(), spec.clone())).collect();
    let mut new = rig.succeed(&borrowed);
    new.connect_all();
    decide(&mut new, "a new leader greets");
    timed("1,000 reports of 100 units", || new.report_all());
    decide(&mut new, "it adopts them");
}
