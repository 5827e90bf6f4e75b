//! When which unit ran where, as the workers' own logs tell it.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::{Cluster, eventually};

/// A connector instance (`task` is `None`) or one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// `metadata.name` of the connector.
    pub connector: String,
    /// Number of the task.
    pub task: Option<u64>,
}

/// One run of a unit on one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The worker's pod.
    pub pod: String,
    /// Which start of the unit this is.
    pub incarnation: u64,
    /// Milliseconds since 1970.
    pub started: i64,
    /// Milliseconds since 1970; `None` while it runs, and when its worker was killed.
    pub stopped: Option<i64>,
}

/// Follows the logs of pods from their first line on, past their deletion.
pub struct Intervals {
    cluster: Cluster,
    namespace: String,
    followers: BTreeMap<String, Child>,
    events: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Intervals {
    /// Follows nothing yet.
    pub fn new(cluster: Cluster, namespace: &str) -> Self {
        Self { cluster, namespace: namespace.to_owned(), followers: BTreeMap::new(), events: Arc::default() }
    }

    /// Follows the pods that match, as far as it does not already; they must run.
    pub fn follow(&mut self, selector: &str) -> Result<()> {
        for pod in self.cluster.pods(&self.namespace, selector)? {
            let key = format!("{} {} {}", pod.name, pod.uid, pod.restarts);
            if self.followers.contains_key(&key) {
                continue;
            }
            let mut command = self.cluster.kubectl_command();
            command.args(["logs", "--follow", "--namespace", &self.namespace, &pod.name, "--tail=-1"]);
            let mut child = spawn(&mut command)?;
            let Some(output) = child.stdout.take() else { bail!("kubectl has no output") };
            let events = Arc::clone(&self.events);
            let name = pod.name.clone();
            thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
                    if event["target"] == "barnabas::units" {
                        events.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), event));
                    }
                }
            });
            self.followers.insert(key, child);
        }
        Ok(())
    }

    /// Every interval seen so far, by unit, in order of their starts.
    pub fn read(&self) -> BTreeMap<Unit, Vec<Interval>> {
        let mut intervals = BTreeMap::<Unit, Vec<Interval>>::new();
        for (pod, event) in self.events.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let field =
                |name: &str| if event["fields"][name].is_null() { &event[name] } else { &event["fields"][name] };
            let number = |name: &str| field(name).as_i64().or_else(|| field(name).as_str()?.parse().ok());
            let unit = Unit {
                connector: field("connector").as_str().unwrap_or_default().to_owned(),
                task: number("task").and_then(|task| u64::try_from(task).ok()),
            };
            let Some(started) = number("started_at_ms") else { continue };
            let incarnation = number("incarnation").unwrap_or_default().cast_unsigned();
            let runs = intervals.entry(unit).or_default();
            let known = runs.iter_mut().find(|run| run.pod == *pod && run.started == started);
            match (known, number("stopped_at_ms")) {
                (Some(run), stopped) => run.stopped = stopped.or(run.stopped),
                (None, stopped) => runs.push(Interval { pod: pod.clone(), incarnation, started, stopped }),
            }
        }
        for runs in intervals.values_mut() {
            runs.sort_by_key(|run| run.started);
        }
        intervals
    }

    /// Waits until as many units run as wanted (started and not stopped), and returns all intervals then.
    pub fn until_running(&self, units: usize, limit: Duration) -> Result<BTreeMap<Unit, Vec<Interval>>> {
        eventually(&format!("{units} units run by the workers' logs"), limit, || {
            let intervals = self.read();
            let running = intervals.values().filter(|runs| runs.iter().any(|run| run.stopped.is_none())).count();
            if running == units { Ok(Some(intervals)) } else { bail!("{running} run: {intervals:?}") }
        })
    }
}

/// Fails when a unit was started on one worker before another had stopped it.
pub fn assert_no_overlap(intervals: &BTreeMap<Unit, Vec<Interval>>) -> Result<()> {
    for (unit, runs) in intervals {
        for pair in runs.windows(2) {
            if pair[0].stopped.is_none_or(|stopped| stopped > pair[1].started) {
                bail!("{unit:?} ran twice at once: {pair:?}");
            }
        }
    }
    Ok(())
}

fn spawn(command: &mut Command) -> Result<Child> {
    Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?)
}

impl Drop for Intervals {
    fn drop(&mut self) {
        for child in self.followers.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use super::{Interval, Unit, assert_no_overlap};

    fn run(pod: &str, started: i64, stopped: Option<i64>) -> Interval {
        Interval { pod: pod.to_owned(), incarnation: 1, started, stopped }
    }

    #[test]
    fn an_overlap_is_found() {
        let unit = Unit { connector: "c".to_owned(), task: Some(0) };
        let check = |runs: Vec<Interval>| assert_no_overlap(&BTreeMap::from([(unit.clone(), runs)]));
        check(vec![run("a", 1, Some(5)), run("b", 5, None)]).unwrap();
        check(vec![run("a", 1, Some(6)), run("b", 5, None)]).unwrap_err();
        check(vec![run("a", 1, None), run("b", 5, None)]).unwrap_err();
    }
}
