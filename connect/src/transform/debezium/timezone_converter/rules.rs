//! Which fields of which events are converted.

use std::collections::{BTreeMap, BTreeSet};

type Fields = BTreeSet<String>;

/// The rules of one list, by what they match. A rule without fields is for all of them.
pub(super) struct Rules {
    excludes: bool,
    any: bool,
    topics: BTreeMap<String, Fields>,
    tables: BTreeMap<String, Fields>,
    others: BTreeMap<String, Fields>,
}

/// What of one event is converted.
pub(super) enum Selection<'a> {
    Nothing,
    All,
    Only(&'a Fields),
    AllBut(&'a Fields),
}

/// Whether the text is a rule: two or three names with colons between them.
pub(super) fn is_rule(text: &str) -> bool {
    let name = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '"' | '.' | '_' | ' ' | '\t'))
    };
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.len(), 2 | 3) && parts.into_iter().all(name)
}

impl Rules {
    pub fn new(include: &[String], exclude: &[String]) -> Self {
        let mut rules = Self {
            excludes: !exclude.is_empty(),
            any: !(include.is_empty() && exclude.is_empty()),
            topics: BTreeMap::new(),
            tables: BTreeMap::new(),
            others: BTreeMap::new(),
        };
        // As in Debezium, a rule without `source` or `topic` takes that of the rule before it.
        let mut prefix = "";
        for item in include.iter().chain(exclude) {
            let parts: Vec<&str> = item.split(':').collect();
            let (name, field) = match parts[..] {
                [word, name, ..] if ["source", "topic"].contains(&word.to_lowercase().as_str()) => {
                    prefix = word;
                    (name, parts.get(2))
                }
                [name, ..] => (name, parts.get(1)),
                [] => continue,
            };
            let map = match prefix {
                "topic" => &mut rules.topics,
                "source" => &mut rules.tables,
                _ => &mut rules.others,
            };
            map.entry(name.to_owned()).or_default().extend(field.map(|field| (*field).to_owned()));
        }
        rules
    }

    pub fn select(&self, table: Option<&str>, topic: &str) -> Selection<'_> {
        if !self.any {
            return Selection::All;
        }
        let of_table = |map: &'_ BTreeMap<String, Fields>| table.is_some_and(|table| map.contains_key(table));
        let found = match table {
            _ if self.topics.contains_key(topic) => self.topics.get(topic),
            Some(table) if of_table(&self.tables) => self.tables.get(table),
            _ if self.others.contains_key(topic) => self.others.get(topic),
            Some(table) => self.others.get(table),
            None => None,
        };
        match (found, self.excludes) {
            (None, true) => Selection::All,
            (None, false) => Selection::Nothing,
            (Some(fields), false) if fields.is_empty() => Selection::All,
            (Some(fields), false) => Selection::Only(fields),
            (Some(fields), true) if fields.is_empty() => Selection::Nothing,
            (Some(fields), true) => Selection::AllBut(fields),
        }
    }
}

impl Selection<'_> {
    /// Whether rules name fields of the struct `source`; without them it is left alone.
    pub fn names_source(&self) -> bool {
        match self {
            Self::Only(fields) | Self::AllBut(fields) => fields.iter().any(|field| field.starts_with("source.")),
            Self::Nothing | Self::All => false,
        }
    }

    /// Whether that field of the struct `which` is converted.
    pub fn takes(&self, which: &str, field: &str) -> bool {
        let names = |fields: &Fields| {
            fields.iter().any(|known| match known.split_once('.') {
                Some((of, name)) if ["source", "before", "after"].contains(&of) => of == which && name == field,
                _ => known == field && which != "source",
            })
        };
        match self {
            Self::Nothing => false,
            Self::All => true,
            Self::Only(fields) => names(fields),
            Self::AllBut(fields) => !names(fields),
        }
    }
}
