//! What `up` shows: a live table on a terminal, otherwise a line for everything that changes.

use std::collections::BTreeMap;

use barnabas_crds::{
    ConnectCluster, KafkaConnector,
    conditions::{self, ConditionStatus, types},
};

use super::screen::Screen;
use crate::{
    manifests::Key,
    view::{age, table},
};

/// Without a terminal, moving records are mentioned this often, milliseconds.
const PROGRESS_EVERY_MS: i64 = 10_000;
/// Rates are taken over this long, milliseconds.
const RATE_OVER_MS: i64 = 2_000;

/// The view. Fed with the resources now and then.
#[derive(Debug)]
pub struct Live {
    screen: Screen,
    started_ms: i64,
    seen: BTreeMap<Key, Seen>,
    said_clusters: BTreeMap<Key, String>,
}

/// What was last seen and said of a connector.
#[derive(Debug, Default)]
struct Seen {
    said: String,
    progress_at_ms: i64,
    progress: u64,
    first_record: bool,
    /// Records counted, and when.
    sample: Option<(u64, i64)>,
    rate: Option<f64>,
    /// Per task: incarnation and records, because a restart counts from 0 again.
    tasks: BTreeMap<i32, (i64, u64)>,
    /// Records of incarnations that have ended.
    before: u64,
}

impl Live {
    /// A view on `screen` of an `up` that was started at `started_ms`.
    pub fn new(screen: Screen, started_ms: i64) -> Self {
        Self { screen, started_ms, seen: BTreeMap::new(), said_clusters: BTreeMap::new() }
    }

    /// Shows the resources as they are at `now_ms`.
    pub fn show(
        &mut self,
        clusters: &BTreeMap<Key, ConnectCluster>,
        connectors: &BTreeMap<Key, KafkaConnector>,
        now_ms: i64,
    ) {
        for (key, connector) in connectors {
            let seen = self.seen.entry(key.clone()).or_default();
            seen.count(connector, now_ms);
            if !seen.first_record && seen.progress() > 0 {
                seen.first_record = true;
                let seconds = (now_ms - self.started_ms) as f64 / 1000.0;
                self.screen.line(&format!("{key}: records are moving, {seconds:.1} s after the start"));
            }
        }
        self.seen.retain(|key, seen| {
            let there = connectors.contains_key(key);
            if !there && !seen.said.is_empty() {
                self.screen.line(&format!("{key}: deleted"));
            }
            there
        });
        if self.screen.is_live() {
            self.screen.table(self.rows(clusters, connectors, now_ms));
        } else {
            self.say(clusters, connectors, now_ms);
        }
    }

    fn say(
        &mut self,
        clusters: &BTreeMap<Key, ConnectCluster>,
        connectors: &BTreeMap<Key, KafkaConnector>,
        now_ms: i64,
    ) {
        for (key, cluster) in clusters {
            let conditions = cluster.status.as_ref().map_or(&[][..], |status| &status.conditions);
            let now = format!("cluster {key}: {}", readiness(conditions));
            if self.said_clusters.get(key) != Some(&now) {
                self.screen.line(&now);
                self.said_clusters.insert(key.clone(), now);
            }
        }
        for (key, connector) in connectors {
            let Some(seen) = self.seen.get_mut(key) else { continue };
            let now = format!("{key}: {}, tasks {}", readiness(conditions_of(connector)), tasks(connector));
            if seen.said != now {
                self.screen.line(&now);
                seen.said = now;
            }
            let progress = seen.progress();
            if progress != seen.progress && now_ms - seen.progress_at_ms >= PROGRESS_EVERY_MS {
                let lag = lag(connector).map_or(String::new(), |lag| format!(", lag {lag}"));
                let rate = seen.rate.map_or(String::new(), |rate| format!(", {} a second", short(rate)));
                self.screen.line(&format!("{key}: {progress} records{rate}{lag}"));
                seen.progress = progress;
                seen.progress_at_ms = now_ms;
            }
        }
    }

    fn rows(
        &self,
        clusters: &BTreeMap<Key, ConnectCluster>,
        connectors: &BTreeMap<Key, KafkaConnector>,
        now_ms: i64,
    ) -> Vec<String> {
        let header = ["CONNECTOR", "CLASS", "TASKS", "RECORDS", "RATE/S", "LAG", "READY", "WHY"];
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        for (key, connector) in connectors {
            let (records, rate) = self.seen.get(key).map_or((0, None), |seen| (seen.progress(), seen.rate));
            let ready = conditions::find(conditions_of(connector), types::READY);
            let class = connector.spec.class.as_deref().unwrap_or("-");
            rows.push(vec![
                key.to_string(),
                class.rsplit('.').next().unwrap_or(class).to_owned(),
                tasks(connector),
                records.to_string(),
                rate.map_or_else(|| "-".to_owned(), short),
                lag(connector).map_or_else(|| "-".to_owned(), |lag| lag.to_string()),
                ready.map_or_else(|| "-".to_owned(), |ready| format!("{:?}", ready.status)),
                ready.map_or_else(String::new, |ready| why(&ready.reason, &ready.message)),
            ]);
        }
        let names: Vec<String> = clusters
            .iter()
            .map(|(key, cluster)| {
                let status = cluster.status.clone().unwrap_or_default();
                format!("{key} ({}/{} workers)", status.ready_replicas, status.replicas)
            })
            .collect();
        let mut lines = vec![String::new()];
        for (position, line) in table(&rows).lines().enumerate() {
            lines.push(match position {
                0 => format!("\x1b[1m{line}\x1b[0m"),
                _ => line.to_owned(),
            });
        }
        let up = age((now_ms - self.started_ms) / 1000);
        lines.push(format!("\x1b[2m{}, up {up}; Ctrl-C stops\x1b[0m", names.join(", ")));
        colour(&mut lines, &rows);
        lines
    }
}

/// Green and red where the table says True and False.
fn colour(lines: &mut [String], rows: &[Vec<String>]) {
    for (line, row) in lines.iter_mut().skip(1).zip(rows).skip(1) {
        let code = match row[6].as_str() {
            "True" => 32,
            "False" => 31,
            _ => 33,
        };
        // The columns before READY are as wide in every row, so the cell is found by where the row's text has it.
        let before: String = row[..6].join("");
        let mut left = before.chars().filter(|c| !c.is_whitespace()).count();
        let start = line.char_indices().find(|(_, character)| {
            if character.is_whitespace() {
                return false;
            }
            if left == 0 {
                return true;
            }
            left -= 1;
            false
        });
        if let Some((start, _)) = start {
            let end = start + row[6].len();
            *line = format!("{}\x1b[{code}m{}\x1b[0m{}", &line[..start], &line[start..end], &line[end..]);
        }
    }
}

impl Seen {
    fn count(&mut self, connector: &KafkaConnector, now_ms: i64) {
        for task in connector.status.iter().flat_map(|status| &status.tasks) {
            let records = task.records.and_then(|records| u64::try_from(records).ok()).unwrap_or(0);
            match self.tasks.insert(task.id, (task.incarnation, records)) {
                Some((incarnation, counted)) if incarnation != task.incarnation => self.before += counted,
                _ => {}
            }
        }
        let progress = self.progress();
        match self.sample {
            Some((counted, at)) if now_ms - at >= RATE_OVER_MS => {
                self.rate = Some(progress.saturating_sub(counted) as f64 * 1000.0 / (now_ms - at) as f64);
                self.sample = Some((progress, now_ms));
            }
            Some(_) => {}
            None => self.sample = Some((progress, now_ms)),
        }
    }

    fn progress(&self) -> u64 {
        self.before + self.tasks.values().map(|(_, records)| records).sum::<u64>()
    }
}

fn conditions_of(connector: &KafkaConnector) -> &[conditions::Condition] {
    connector.status.as_ref().map_or(&[][..], |status| &status.conditions)
}

fn readiness(conditions: &[conditions::Condition]) -> String {
    match conditions::find(conditions, types::READY) {
        Some(ready) if ready.status == ConditionStatus::True => format!("Ready ({})", ready.reason),
        Some(ready) => format!("not ready: {}", why(&ready.reason, &ready.message)),
        None => "not ready: Pending".to_owned(),
    }
}

fn why(reason: &str, message: &str) -> String {
    if message.is_empty() { reason.to_owned() } else { format!("{reason}: {}", message.replace('\n', " ")) }
}

fn tasks(connector: &KafkaConnector) -> String {
    connector.status.as_ref().and_then(|status| status.summary.clone()).unwrap_or_else(|| "0/0".to_owned())
}

fn lag(connector: &KafkaConnector) -> Option<i64> {
    let tasks = connector.status.as_ref().map_or(&[][..], |status| &status.tasks);
    tasks.iter().filter_map(|task| task.lag).reduce(|sum, lag| sum + lag)
}

/// A number in four characters or so.
fn short(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e4 => format!("{:.0}k", n / 1e3),
        n if n >= 1e3 => format!("{:.1}k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn connector(incarnation: i64, records: i64) -> KafkaConnector {
        serde_json::from_value(json!({"apiVersion": "barnabas.dev/v1", "kind": "KafkaConnector",
            "metadata": {"name": "a", "namespace": "default"}, "spec": {"class": "org.x.FileStreamSource"},
            "status": {"summary": "1/1", "tasks": [
                {"id": 0, "state": "RUNNING", "incarnation": incarnation, "records": records, "lag": 7}],
                "conditions": [{"type": "Ready", "status": "True", "reason": "Running"}]}}))
        .unwrap()
    }

    #[test]
    fn records_are_counted_over_a_restart_and_rated() {
        let mut seen = Seen::default();
        seen.count(&connector(1, 100), 0);
        seen.count(&connector(1, 2100), 2000);
        assert_eq!(seen.rate, Some(1000.0));
        seen.count(&connector(2, 50), 2500);
        assert_eq!(seen.progress(), 2150);
    }

    #[test]
    fn a_row_says_what_matters_and_colours_the_right_word() {
        let mut live = Live::new(Screen::new(false), 0);
        let connectors = BTreeMap::from([(Key::new("default", "a"), connector(1, 100))]);
        live.seen.entry(Key::new("default", "a")).or_default().count(&connectors[&Key::new("default", "a")], 0);
        let rows = live.rows(&BTreeMap::new(), &connectors, 5000);
        assert!(rows[2].starts_with("a "), "{rows:?}");
        for cell in ["FileStreamSource", "1/1", "100", "7", "\x1b[32mTrue\x1b[0m", "Running"] {
            assert!(rows[2].contains(cell), "{cell:?} is not in {:?}", rows[2]);
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 999.0, 1500.0, 15_400.0, 2_300_000.0].map(short), ["0", "999", "1.5k", "15k", "2.3M"]);
    }
}
