//! A resource's printer columns, read off its CRD, so that `barnabas get` shows what `kubectl get` does.

use serde_json::Value;

use super::{age, millis};

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    date: bool,
    wide: bool,
    path: Vec<Step>,
}

/// A step of the JSONPath subset that printer columns use.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `.name`, or `['a','b']`: whichever of these there is.
    Fields(Vec<String>),
    /// `[?(@.field=="value")]`
    Where(String, String),
}

/// The printer columns of a CRD (as JSON), in order.
pub fn of(crd: &Value) -> Vec<Column> {
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array();
    columns
        .into_iter()
        .flatten()
        .map(|column| Column {
            name: column["name"].as_str().unwrap_or_default().to_uppercase(),
            date: column["type"] == "date",
            wide: column["priority"].as_i64().unwrap_or(0) > 0,
            path: parse(column["jsonPath"].as_str().unwrap_or_default()),
        })
        .collect()
}

/// The table of `objects`: a header and one row each. `namespaces` puts the namespace first.
pub fn rows(columns: &[Column], objects: &[Value], wide: bool, namespaces: bool, now_ms: i64) -> Vec<Vec<String>> {
    let shown: Vec<&Column> = columns.iter().filter(|column| wide || !column.wide).collect();
    let mut header = vec!["NAME".to_owned()];
    header.extend(shown.iter().map(|column| column.name.clone()));
    let mut rows = vec![header];
    for object in objects {
        let mut row = vec![text(&object["metadata"]["name"]).unwrap_or_default()];
        row.extend(shown.iter().map(|column| column.cell(object, now_ms)));
        rows.push(row);
    }
    if namespaces {
        rows[0].insert(0, "NAMESPACE".to_owned());
        for (row, object) in rows.iter_mut().skip(1).zip(objects) {
            row.insert(0, text(&object["metadata"]["namespace"]).unwrap_or_default());
        }
    }
    rows
}

impl Column {
    fn cell(&self, object: &Value, now_ms: i64) -> String {
        let found = find(object, &self.path);
        if self.date {
            let time = found.and_then(Value::as_str).and_then(millis);
            return time.map_or_else(|| "<unknown>".to_owned(), |time| age((now_ms - time) / 1000));
        }
        found.and_then(text).unwrap_or_default()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.replace('\n', " ")),
        other => Some(other.to_string()),
    }
}

fn find<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    let Some((step, rest)) = path.split_first() else { return Some(value) };
    match step {
        Step::Fields(names) => names.iter().find_map(|name| find(value.get(name)?, rest)),
        Step::Where(field, wanted) => {
            value.as_array()?.iter().find(|item| item[field] == wanted.as_str()).and_then(|item| find(item, rest))
        }
    }
}

fn parse(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let Some(end) = bracket.find(']') else { break };
            let (inside, after) = (&bracket[..end], &bracket[end + 1..]);
            rest = after;
            let condition = inside.strip_prefix("?(@.").and_then(|inside| inside.strip_suffix(')'));
            match condition.and_then(|condition| condition.split_once("==")) {
                Some((field, value)) => steps.push(Step::Where(field.to_owned(), unquote(value))),
                None => steps.push(Step::Fields(inside.split(',').map(unquote).collect())),
            }
            continue;
        }
        let start = rest.strip_prefix('.').unwrap_or(rest);
        // `\.` is a dot inside a name.
        let mut end = start.len();
        let mut escaped = false;
        for (position, character) in start.char_indices() {
            if !escaped && matches!(character, '.' | '[') {
                end = position;
                break;
            }
            escaped = character == '\\';
        }
        steps.push(Step::Fields(vec![start[..end].replace('\\', "")]));
        rest = &start[end..];
    }
    steps
}

fn unquote(text: &str) -> String {
    text.trim().trim_matches(['\'', '"']).replace('\\', "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use barnabas_crds::{ConnectCluster, KafkaConnector};
    use kube::CustomResourceExt as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_paths_that_printer_columns_use_are_understood() {
        let object = json!({
            "metadata": {"labels": {"strimzi.io/cluster": "c"}, "annotations": {"a.b/c": "x"}},
            "status": {"n": 3, "conditions": [{"type": "Other", "status": "X"}, {"type": "Ready", "status": "True"}]},
        });
        let at = |path: &str| find(&object, &parse(path)).and_then(text).unwrap_or_default();
        assert_eq!(at(".status.n"), "3");
        assert_eq!(at(r#".status.conditions[?(@.type=="Ready")].status"#), "True");
        assert_eq!(at(r".metadata.labels['barnabas\.dev/cluster','strimzi\.io/cluster']"), "c");
        assert_eq!(at(r".metadata.labels.strimzi\.io/cluster"), "c");
        assert_eq!(at(r".metadata.annotations.a\.b/c"), "x");
        assert_eq!(at(".status.missing.deeper"), "");
    }

    #[test]
    fn both_kinds_have_their_columns() {
        for crd in [ConnectCluster::crd(), KafkaConnector::crd()] {
            let columns = of(&serde_json::to_value(&crd).unwrap());
            assert!(columns.iter().any(|column| column.name == "READY"), "{columns:?}");
            assert!(columns.iter().any(|column| column.date), "{columns:?}");
            assert!(columns.iter().any(|column| column.wide), "{columns:?}");
        }
    }

    #[test]
    fn a_row_has_a_cell_for_every_column() {
        let columns = of(&serde_json::to_value(KafkaConnector::crd()).unwrap());
        let object = json!({"metadata": {"name": "a", "namespace": "n", "creationTimestamp": "1970-01-01T00:00:00Z"},
            "spec": {"class": "FileStreamSource"}, "status": {"summary": "1/1",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Running"}]}});
        let rows = rows(&columns, &[object], false, true, 5000);
        assert_eq!(rows[0].len(), rows[1].len());
        for cell in ["n", "a", "FileStreamSource", "1/1", "True", "Running", "5s"] {
            assert!(rows[1].iter().any(|found| found == cell), "{cell} is not in {rows:?}");
        }
    }
}
