//! `${provider:path:key}` in configuration values (`org.apache.kafka.common.config.ConfigTransformer`).

/// A part of a configuration value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// Names a value that a config provider has.
    Reference(Reference<'a>),
}

/// A reference to a value that a config provider has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// Where the provider is to look; empty when there is none.
    pub path: &'a str,
    /// The key at that place.
    pub key: &'a str,
    /// The whole, as it is written.
    pub whole: &'a str,
}

/// Splits a value at its references. A `${...}` without a colon is text, and nothing is nested; a key may hold colons, a
/// path cannot.
pub fn parts(value: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = value;
    let mut searched = 0;
    while let Some(start) = rest[searched..].find("${").map(|at| at + searched) {
        let Some(end) = rest[start..].find('}').map(|at| at + start) else { break };
        let inner = &rest[start + 2..end];
        let Some((provider, place)) = inner.split_once(':') else {
            searched = end + 1;
            continue;
        };
        if start > 0 {
            parts.push(Part::Text(&rest[..start]));
        }
        let (path, key) = place.split_once(':').unwrap_or(("", place));
        parts.push(Part::Reference(Reference { provider, path, key, whole: &rest[start..=end] }));
        rest = &rest[end + 1..];
        searched = 0;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_as_kafka_finds_them() {
        let reference = |provider, path, key, whole| Part::Reference(Reference { provider, path, key, whole });
        assert_eq!(
            parts("a${file:/p:k:l}b${env:X}"),
            [
                Part::Text("a"),
                reference("file", "/p", "k:l", "${file:/p:k:l}"),
                Part::Text("b"),
                reference("env", "", "X", "${env:X}")
            ]
        );
        assert_eq!(parts("${topic}-${env:X"), [Part::Text("${topic}-${env:X")]);
        assert_eq!(
            parts("${a ${env::X}"),
            [reference("a ${env", "", "X", "${a ${env::X}")],
            "Java's pattern does not nest either"
        );
        assert_eq!(parts(""), []);
    }
}
