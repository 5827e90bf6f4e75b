//! Single message transforms (`org.apache.kafka.connect.transforms`) and the chain that applies them.

mod chain;
mod insert_field;
mod regex_router;
mod replace_field;

use crate::config::{ConfigDef, RawConfig};
use crate::converter::Configured;
use crate::error::{Error, Result};
use crate::record::{Data, Record};
use crate::value::Value;

pub(crate) use chain::errors as chain_errors;
pub use chain::{TransformChain, chain};

/// One step between connector and converter.
///
/// A task has an instance of its own, so a transform may keep what it compiled for a schema.
pub trait Transform: Send {
    /// Changes the record, or drops it by returning `None`.
    fn apply(&mut self, record: Record) -> Result<Option<Record>>;
}

pub(crate) struct TransformPlugin {
    pub class: &'static str,
    pub config_def: fn() -> ConfigDef,
    pub build: fn(&RawConfig) -> Configured<Box<dyn Transform>>,
}

pub(crate) static TRANSFORMS: &[TransformPlugin] = &[
    TransformPlugin {
        class: "org.apache.kafka.connect.transforms.InsertField$Key",
        config_def: insert_field::config_def,
        build: |config| insert_field::build(config, Side::Key),
    },
    TransformPlugin {
        class: "org.apache.kafka.connect.transforms.InsertField$Value",
        config_def: insert_field::config_def,
        build: |config| insert_field::build(config, Side::Value),
    },
    TransformPlugin {
        class: "org.apache.kafka.connect.transforms.RegexRouter",
        config_def: regex_router::config_def,
        build: regex_router::build,
    },
    TransformPlugin {
        class: "org.apache.kafka.connect.transforms.ReplaceField$Key",
        config_def: replace_field::config_def,
        build: |config| replace_field::build(config, Side::Key),
    },
    TransformPlugin {
        class: "org.apache.kafka.connect.transforms.ReplaceField$Value",
        config_def: replace_field::config_def,
        build: |config| replace_field::build(config, Side::Value),
    },
];

pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    TRANSFORMS.iter().map(|plugin| plugin.class)
}

pub(crate) fn find(class: &str) -> Option<&'static TransformPlugin> {
    crate::registry::find_class(TRANSFORMS, |plugin| plugin.class, class, "Transformation")
}

/// Which half of a record a transform works on: the `$Key` or `$Value` class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Key,
    Value,
}

impl Side {
    fn of(self, record: &mut Record) -> &mut Data {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }
}

/// `Requirements.requireMap`
fn not_a_map(value: &Value, purpose: &str) -> Error {
    Error::data(format!(
        "Only Map objects supported in absence of schema for [{purpose}], found: {}",
        value.java_class()
    ))
}

/// `Requirements.requireStruct`
fn not_a_struct(value: &Value, purpose: &str) -> Error {
    Error::data(format!("Only Struct objects supported for [{purpose}], found: {}", value.java_class()))
}

/// What was compiled for the schemas seen lately. Nearly every task sees one schema, so the last one is asked first.
struct SchemaCache<T> {
    entries: Vec<(crate::SchemaRef, T)>,
}

impl<T: Clone> SchemaCache<T> {
    /// As many as Java's transforms keep.
    const SIZE: usize = 16;

    fn new() -> Self {
        Self { entries: Vec::new() }
    }

    fn get_or(&mut self, schema: &crate::SchemaRef, compile: impl FnOnce() -> Result<T>) -> Result<T> {
        let same = |(known, _): &(crate::SchemaRef, T)| std::sync::Arc::ptr_eq(known, schema);
        let index =
            self.entries.iter().rposition(same).or_else(|| self.entries.iter().rposition(|(known, _)| known == schema));
        match index {
            Some(index) => {
                let last = self.entries.len() - 1;
                self.entries.swap(index, last);
            }
            None => {
                let compiled = compile()?;
                if self.entries.len() == Self::SIZE {
                    self.entries.remove(0);
                }
                self.entries.push((schema.clone(), compiled));
            }
        }
        Ok(self.entries[self.entries.len() - 1].1.clone())
    }
}
