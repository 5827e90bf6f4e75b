//! What resources look like: kubectl's tables, JSON, YAML and descriptions.

pub mod columns;
pub mod describe;
pub mod get;
pub mod snapshot;

/// A duration as kubectl shows ages: `5s`, `3m20s`, `47h`, `12d`.
pub fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if seconds % 60 == 0 => format!("{minutes}m"),
        120..600 => format!("{minutes}m{}s", seconds % 60),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 if minutes % 60 == 0 => format!("{hours}h"),
        10_800..28_800 => format!("{hours}h{}m", minutes % 60),
        28_800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// Rows under a header, columns as wide as their widest cell and three spaces apart.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            if column + 1 < row.len() {
                line.push_str(&" ".repeat(widths[column] + 3 - cell.chars().count()));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Milliseconds since 1970 of a time as Kubernetes writes it (RFC 3339, UTC, to the second).
pub fn millis(rfc3339: &str) -> Option<i64> {
    rfc3339.parse::<k8s_openapi::jiff::Timestamp>().ok().map(|time| time.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        let cases =
            [(0, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (599, "9m59s"), (600, "10m"), (10_799, "179m")];
        let more = [(10_800, "3h"), (12_000, "3h20m"), (100_000, "27h"), (200_000, "2d")];
        for (seconds, text) in cases.into_iter().chain(more) {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["NAME".to_owned(), "READY".to_owned()], vec!["a-long-name".to_owned(), "True".to_owned()]];
        assert_eq!(table(&rows), "NAME          READY\na-long-name   True\n");
    }

    #[test]
    fn times_are_read() {
        assert_eq!(millis("1970-01-01T00:00:01Z"), Some(1000));
        assert_eq!(millis("yesterday"), None);
    }
}
