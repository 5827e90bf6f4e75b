//! `barnabas describe`: one resource with everything that is known about it.

use std::fmt::Write as _;

use serde_json::Value;

use super::{age, millis, snapshot::Snapshot, table};

/// The description of a `KafkaConnector` or a `ConnectCluster` object.
pub fn describe(object: &Value, snapshot: &Snapshot, now_ms: i64) -> String {
    let mut text = String::new();
    let (metadata, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<14}{value}", format!("{label}:"));
    };
    line("Name", &plain(&metadata["name"]));
    line("Namespace", &plain(&metadata["namespace"]));
    for (label, field) in [("Labels", "labels"), ("Annotations", "annotations")] {
        let entries = metadata[field]
            .as_object()
            .map(|map| map.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>());
        for (position, entry) in entries.unwrap_or_else(|| vec!["<none>".to_owned()]).iter().enumerate() {
            if position == 0 { line(label, entry) } else { line_more(&mut line, entry) }
        }
    }
    line("Kind", &plain(&object["kind"]));
    line("Created", &since(&metadata["creationTimestamp"], now_ms));
    line(
        "Generation",
        &format!("{} (status is of {})", plain(&metadata["generation"]), plain(&status["observedGeneration"])),
    );
    if object["kind"] == "KafkaConnector" {
        line("Class", &plain(&spec["class"]));
        line("Kafka name", spec["name"].as_str().or(metadata["name"].as_str()).unwrap_or_default());
        line("Desired", spec["state"].as_str().unwrap_or("running"));
        let connector = &status["connectorStatus"]["connector"];
        if connector.is_object() {
            line("Connector", &format!("{} on {}", plain(&connector["state"]), plain(&connector["worker_id"])));
        }
        line("Tasks", &format!("{} running, at most {}", plain(&status["tasksRunning"]), plain(&status["tasksMax"])));
        list(&mut line, "Topics", &status["topics"]);
    } else {
        line("Kafka", &snapshot.bootstrap_servers.join(", "));
        line("Workers", &format!("{} of {} ready", plain(&status["readyReplicas"]), plain(&status["replicas"])));
        line("Connectors", &plain(&status["connectors"]));
    }
    section(&mut text, "Config", &config(&spec["config"]));
    section(&mut text, "Tasks", &tasks(&status["tasks"], now_ms));
    section(&mut text, "Positions", &positions(&status["tasks"]));
    section(&mut text, "Plugins", &plugins(&status["connectorPlugins"]));
    section(&mut text, "Conditions", &conditions(&status["conditions"], now_ms));
    let events: Vec<Vec<String>> = snapshot
        .events
        .iter()
        .filter(|event| {
            metadata["name"] == event.name.as_str()
                && metadata["namespace"] == event.namespace.as_str()
                && object["kind"] == event.kind.as_str()
        })
        .map(|event| {
            let age = age((now_ms - event.at_ms) / 1000);
            vec![event.type_.clone(), event.reason.clone(), age, event.message.replace('\n', " ")]
        })
        .collect();
    section(&mut text, "Events", &headed(&["TYPE", "REASON", "AGE", "MESSAGE"], events));
    text
}

fn line_more(line: &mut impl FnMut(&str, &str), entry: &str) {
    line("", entry);
}

fn list(line: &mut impl FnMut(&str, &str), label: &str, values: &Value) {
    let values: Vec<String> = values.as_array().into_iter().flatten().map(plain).collect();
    if !values.is_empty() {
        line(label, &values.join(", "));
    }
}

fn section(text: &mut String, title: &str, rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    text.push_str(title);
    text.push_str(":\n");
    for line in table(rows).lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
}

fn headed(header: &[&str], rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    if rows.is_empty() {
        return rows;
    }
    let mut all = vec![header.iter().map(|&cell| cell.to_owned()).collect()];
    all.extend(rows);
    all
}

fn config(config: &Value) -> Vec<Vec<String>> {
    config.as_object().into_iter().flatten().map(|(key, value)| vec![key.clone(), plain(value)]).collect()
}

fn tasks(tasks: &Value, now_ms: i64) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for task in tasks.as_array().into_iter().flatten() {
        let error = &task["error"];
        let error = if error.is_object() {
            format!("{}: {}", plain(&error["reason"]), plain(&error["message"]))
        } else {
            String::new()
        };
        let cells = ["id", "state", "worker", "records", "lag"].map(|field| plain(&task[field]));
        let mut row = cells.to_vec();
        row.push(since(&task["startedAt"], now_ms));
        row.push(error);
        rows.push(row);
    }
    headed(&["ID", "STATE", "WORKER", "RECORDS", "LAG", "STARTED", "ERROR"], rows)
}

fn positions(tasks: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for task in tasks.as_array().into_iter().flatten() {
        for (partition, offset) in task["positions"].as_object().into_iter().flatten() {
            rows.push(vec![plain(&task["id"]), partition.clone(), plain(offset)]);
        }
    }
    headed(&["TASK", "PARTITION", "OFFSET"], rows)
}

fn plugins(plugins: &Value) -> Vec<Vec<String>> {
    let rows = plugins.as_array().into_iter().flatten();
    let rows = rows.map(|plugin| ["type", "class", "version"].map(|field| plain(&plugin[field])).to_vec()).collect();
    headed(&["TYPE", "CLASS", "VERSION"], rows)
}

fn conditions(conditions: &Value, now_ms: i64) -> Vec<Vec<String>> {
    let rows = conditions.as_array().into_iter().flatten().map(|condition| {
        let mut row = ["type", "status", "reason"].map(|field| plain(&condition[field])).to_vec();
        row.push(since(&condition["lastTransitionTime"], now_ms));
        row.push(plain(&condition["message"]));
        row
    });
    headed(&["TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"], rows.collect())
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace('\n', " "),
        other => other.to_string(),
    }
}

fn since(time: &Value, now_ms: i64) -> String {
    match time.as_str().and_then(millis) {
        Some(at) => format!("{} ago", age((now_ms - at) / 1000)),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::view::snapshot::Event;

    #[test]
    fn everything_known_about_a_connector_is_shown() {
        let object = json!({"kind": "KafkaConnector",
            "metadata": {"name": "lines", "namespace": "default", "labels": {"barnabas.dev/cluster": "c"}, "generation": 2},
            "spec": {"class": "FileStreamSource", "config": {"file": "a.txt"}},
            "status": {"observedGeneration": 2, "tasksRunning": 1, "tasksMax": 1, "topics": ["text"],
                "connectorStatus": {"connector": {"state": "RUNNING", "worker_id": "w:8083"}},
                "tasks": [{"id": 0, "state": "FAILED", "records": 12, "startedAt": "1970-01-01T00:00:00Z",
                    "positions": {"{\"filename\":\"a.txt\"}": "{\"position\":99}"},
                    "error": {"reason": "TaskFailed", "message": "No such file."}}],
                "conditions": [{"type": "Ready", "status": "False", "reason": "TaskFailed", "message": "Task 0 failed."}]}});
        let event = |name: &str, message: &str| Event {
            kind: "KafkaConnector".into(),
            namespace: "default".into(),
            name: name.into(),
            type_: "Warning".into(),
            reason: "TaskFailed".into(),
            message: message.into(),
            at_ms: 1000,
        };
        let snapshot =
            Snapshot { events: vec![event("lines", "mine"), event("other", "not mine")], ..Snapshot::default() };
        let text = describe(&object, &snapshot, 61_000);
        for part in [
            "Name:         lines",
            "Labels:       barnabas.dev/cluster=c",
            "Connector:    RUNNING on w:8083",
            "file   a.txt",
            "FAILED",
            "TaskFailed: No such file.",
            "{\"position\":99}",
            "Task 0 failed.",
            "60s",
            "mine",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(!text.contains("not mine"));
    }
}
