//! Versions of plugins that a configuration asks for (KIP-891): an exact version, or ranges as Maven writes them.

use std::cmp::Ordering;

use crate::config::{ConfigError, RawConfig};

/// An error when the configuration asks for a version of a class that is not the one there is.
pub(super) fn check(config: &RawConfig, key: &str, class: &str, version: &str) -> Option<ConfigError> {
    let asked = config.get(key)?.trim();
    if asked.is_empty() || asked.eq_ignore_ascii_case("latest") || satisfies(asked, version) == Some(true) {
        return None;
    }
    let what = match satisfies(asked, version) {
        None => "it is neither a version nor a range such as [1.0,2.0).".to_owned(),
        Some(_) => format!("the version of {class} is {version}."),
    };
    Some(ConfigError::invalid(key, asked, &what))
}

/// Whether a version is in `1.2`, `[1.2]`, `[1.0,2.0)`, `(,1.0],[1.2,)`. `None` when that is not understood.
fn satisfies(spec: &str, version: &str) -> Option<bool> {
    if !spec.contains(['[', '(']) {
        return if spec.contains([']', ')', ',']) { None } else { Some(compare(spec, version) == Ordering::Equal) };
    }
    let mut rest = spec;
    let mut inside = false;
    while !rest.is_empty() {
        let low_open = match rest.chars().next()? {
            '[' => false,
            '(' => true,
            _ => return None,
        };
        let end = rest.find([']', ')'])?;
        let high_open = rest[end..].starts_with(')');
        let (low, high) = match rest[1..end].split_once(',') {
            Some((low, high)) => (low.trim(), high.trim()),
            None if low_open || high_open => return None,
            None => (rest[1..end].trim(), rest[1..end].trim()),
        };
        let above = low.is_empty()
            || match compare(version, low) {
                Ordering::Less => false,
                Ordering::Equal => !low_open,
                Ordering::Greater => true,
            };
        let below = high.is_empty()
            || match compare(version, high) {
                Ordering::Less => true,
                Ordering::Equal => !high_open,
                Ordering::Greater => false,
            };
        inside |= above && below;
        rest = rest[end + 1..].trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(inside)
}

/// Part by part; missing parts count as zero, a part that is no number as older than one that is (`1.0-rc1` before `1.0`).
fn compare(one: &str, other: &str) -> Ordering {
    let parts = |version: &str| -> Vec<(u64, String)> {
        let mut parts: Vec<(u64, String)> = version
            .split(['.', '-'])
            .map(|part| match part.parse() {
                Ok(number) => (number, String::new()),
                Err(_) => (0, part.to_ascii_lowercase()),
            })
            .collect();
        while parts.last().is_some_and(|(number, text)| *number == 0 && text.is_empty()) {
            parts.pop();
        }
        parts
    };
    let (one, other) = (parts(one), parts(other));
    for index in 0..one.len().max(other.len()) {
        let rank = |parts: &[(u64, String)]| match parts.get(index) {
            Some((number, text)) if text.is_empty() => (1, *number, String::new()),
            Some((_, text)) => (0, 0, text.clone()),
            None => (1, 0, String::new()),
        };
        let order = rank(&one).cmp(&rank(&other));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ranges_are_those_of_maven() {
        for (spec, version, expected) in [
            ("1.2", "1.2.0", Some(true)),
            ("1.2", "1.2.1", Some(false)),
            ("[1.2]", "1.2", Some(true)),
            ("[1.0,2.0)", "1.9.9", Some(true)),
            ("[1.0,2.0)", "2.0", Some(false)),
            ("(1.0,2.0]", "1.0", Some(false)),
            ("(1.0,2.0]", "2.0", Some(true)),
            ("[1.5,)", "10.0", Some(true)),
            ("(,1.0],[1.2,)", "1.1", Some(false)),
            ("(,1.0],[1.2,)", "1.3", Some(true)),
            ("[1.0,)", "1.0-rc1", Some(false)),
            ("[1.0", "1.0", None),
            ("1.0]", "1.0", None),
            ("(1.0)", "1.0", None),
        ] {
            assert_eq!(satisfies(spec, version), expected, "{version} in {spec}");
        }
    }

    #[test]
    fn a_version_that_is_not_there_is_an_error() {
        let config = |version: &str| RawConfig::from([("connector.plugin.version".to_owned(), version.to_owned())]);
        let check = |version: &str| check(&config(version), "connector.plugin.version", "a.B", "0.1.0");
        assert_eq!(check("0.1"), None);
        assert_eq!(check("latest"), None);
        assert_eq!(
            check("9").unwrap().message,
            "Invalid value 9 for configuration connector.plugin.version: the version of a.B is 0.1.0."
        );
        assert!(check("[9").unwrap().message.ends_with("it is neither a version nor a range such as [1.0,2.0)."));
    }
}
