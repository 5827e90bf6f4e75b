//! When and what to restart: `autoRestart` and the annotations, as Strimzi has them.

use super::Millis;

const MINUTE: Millis = 60_000;

/// How long after the `count`-th automatic restart the next one may be done: `count² + count` minutes, at most 60
/// (Strimzi's `AbstractConnectOperator.nextAutoRestartBackOffIntervalInMinutes`).
pub fn backoff(count: u32) -> Millis {
    let count = Millis::from(count.min(60));
    (count * count + count).min(60) * MINUTE
}

/// What the value of a `restart` annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartRequest {
    /// Tasks too, not only the connector instance.
    pub include_tasks: bool,
    /// Only what has failed.
    pub only_failed: bool,
}

impl RestartRequest {
    /// Understands `true`, `includeTasks`, `onlyFailed` and both of the latter with a comma between them. `true` cannot
    /// be combined with the others.
    pub fn parse(value: &str) -> Option<Self> {
        let mut request = Self { include_tasks: false, only_failed: false };
        if value.trim() == "true" {
            return Some(request);
        }
        for word in value.split(',') {
            match word.trim() {
                "includeTasks" => request.include_tasks = true,
                "onlyFailed" => request.only_failed = true,
                _ => return None,
            }
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_is_strimzis() {
        let minutes: Vec<Millis> = (0..9).map(|count| backoff(count) / MINUTE).collect();
        assert_eq!(minutes, [0, 2, 6, 12, 20, 30, 42, 56, 60]);
        assert_eq!(backoff(u32::MAX), 60 * MINUTE);
    }

    #[test]
    fn the_annotation_has_five_valid_forms() {
        let parse = |value| RestartRequest::parse(value).map(|r| (r.include_tasks, r.only_failed));
        assert_eq!(parse("true"), Some((false, false)));
        assert_eq!(parse("includeTasks"), Some((true, false)));
        assert_eq!(parse("onlyFailed"), Some((false, true)));
        assert_eq!(parse("includeTasks,onlyFailed"), Some((true, true)));
        assert_eq!(parse("onlyFailed, includeTasks"), Some((true, true)));
        for invalid in ["", "false", "true,includeTasks", "includeTasks,", "all", "includetasks"] {
            assert_eq!(parse(invalid), None, "{invalid}");
        }
    }
}
