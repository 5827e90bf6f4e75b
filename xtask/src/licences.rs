//! Licences and banned crates, read from `deny.toml`.
//!
//! cargo-deny does this and more, and takes minutes to compile; so it runs where it is installed, and this, which
//! covers what may never slip through, runs everywhere.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{cache, run};

/// Fails with the crates whose licence is not allowed, or that are banned.
pub fn check() -> Result<()> {
    if run::succeeds(run::cargo().args(["deny", "--version"])) {
        if !run::shown(run::cargo().args(["deny", "--locked", "check"]))? {
            bail!("cargo deny found something");
        }
        return Ok(());
    }
    let rules = fs::read_to_string(cache::repository().join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = list(&rules, "allow = [")?;
    let banned = list(&rules, "deny = [")?;
    let metadata = run::output(run::cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or("none");
        if !satisfied(licence, &allowed) {
            faults.push(format!("{name} has the licence {licence}, which deny.toml does not allow"));
        }
        if banned.contains(name) {
            faults.push(format!("{name} is banned by deny.toml"));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}

/// The items of a list in `deny.toml`: its strings, or the `crate` of its tables.
fn list(rules: &str, start: &str) -> Result<BTreeSet<String>> {
    let lines = rules.lines().skip_while(|line| *line != start).skip(1).take_while(|line| *line != "]");
    let items = lines
        .filter(|line| !line.trim().starts_with('#'))
        .filter_map(|line| Some(line.split('"').nth(1)?.to_owned()))
        .collect::<BTreeSet<_>>();
    if items.is_empty() {
        bail!("deny.toml has no list {start:?}");
    }
    Ok(items)
}

/// Whether an SPDX expression can be met with the allowed licences alone. `AND` binds closer than `OR`; the old
/// spelling of `OR` is a slash.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = text.split_whitespace().peekable();
    any(&mut words, allowed)
}

type Words<'a, 'b> = &'a mut std::iter::Peekable<std::str::SplitWhitespace<'b>>;

fn any(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: Words<'_, '_>, allowed: &BTreeSet<String>) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any(words, allowed);
        words.next_if_eq(&")");
        return met;
    }
    let mut licence = words.next().unwrap_or_default().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap_or_default());
    }
    // `X+` is X in this or any later version.
    allowed.contains(licence.trim_end_matches('+'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::satisfied;

    #[test]
    fn spdx_expressions() {
        let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        let allowed = BTreeSet::from(allowed);
        for expression in [
            "MIT",
            "GPL-3.0 OR MIT",
            "Apache-2.0/MIT",
            "MIT AND (ISC OR Zlib)",
            "MIT+",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(satisfied(expression, &allowed), "{expression}");
        }
        for expression in
            ["none", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Zlib) AND Zlib", "Apache-2.0", "Zlib OR MIT AND Zlib"]
        {
            assert!(!satisfied(expression, &allowed), "{expression}");
        }
    }
}
