//! The key tables of the user guide.

use std::fmt::Write;

use super::{ConfigDef, ConfigKey, Default};

impl ConfigDef {
    /// A Markdown table of all keys: required ones first, then by importance, then by name (`ConfigDef.sortedConfigs`).
    pub fn to_markdown(&self) -> String {
        let mut keys: Vec<&ConfigKey> = self.keys().iter().collect();
        keys.sort_by_key(|key| (!key.is_required(), key.importance, &key.name));
        let mut table = String::from("| Key | Type | Default | Valid values | Importance | Meaning |\n");
        table.push_str("| --- | --- | --- | --- | --- | --- |\n");
        for key in keys {
            let default = match &key.default {
                Default::Required => "required".to_owned(),
                Default::Null => String::new(),
                Default::Value(value) => match value.to_string() {
                    text if text.is_empty() => "`\"\"`".to_owned(),
                    text => format!("`{text}`"),
                },
            };
            let valid = key.validator.as_ref().map(ToString::to_string).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "| `{}` | {} | {} | {} | {} | {} |",
                key.name,
                key.ty.name().to_lowercase(),
                cell(&default),
                cell(&valid),
                key.importance.name().to_lowercase(),
                cell(&key.doc)
            );
        }
        for (prefix, doc) in self.prefixes() {
            let _ = writeln!(table, "| `{prefix}*` | string | | | low | {} |", cell(doc));
        }
        table
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}
