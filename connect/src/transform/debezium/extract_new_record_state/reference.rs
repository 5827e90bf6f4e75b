//! Fields of an event, as `add.fields` and `add.headers` name them.

use crate::error::{Error, Result};
use crate::schema::{Schema, SchemaKind, SchemaRef};
use crate::transform::debezium::optional_basics;
use crate::value::{Struct, Value};

/// A field of the event itself or of a struct in it, and its new name.
pub(super) struct Reference {
    parent: Option<String>,
    field: String,
    new_name: String,
}

/// Where the field is in events of one schema.
#[derive(Clone)]
pub(super) struct Getter {
    parent: Option<usize>,
    index: usize,
    /// The schema of the copy.
    pub schema: SchemaRef,
}

impl Reference {
    /// Parses `field`, `struct.field`, or one of these with `:name` behind it.
    pub fn parse(prefix: &str, text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<&str> = text.trim_end_matches(':').split(':').collect();
        let path: Vec<&str> = parts[0].trim_end_matches('.').split('.').collect();
        let (parent, field) = match path[..] {
            [field] => (home_of(field), field),
            [parent, field, ..] => (Some(parent), field),
            [] => (None, ""),
        };
        let new_name = match (parts.len(), path.len(), parent) {
            (1, 1, _) | (1, _, None) => format!("{prefix}{field}"),
            (1, _, Some(parent)) => format!("{prefix}{parent}_{field}"),
            (2, ..) => format!("{prefix}{}", parts[1]),
            _ => return Err(format!("Unexpected field name: {text}")),
        };
        Ok(Self { parent: parent.map(str::to_owned), field: field.to_owned(), new_name })
    }

    pub fn field(&self) -> &str {
        &self.field
    }

    pub fn new_name(&self) -> &str {
        &self.new_name
    }

    /// Looks for the field in its struct, then in the event itself. Fails when there is no such struct.
    pub fn resolve(&self, event: &Schema) -> Result<Option<Getter>> {
        let getter = |parent, schema: &Schema, index: usize| {
            Ok(Some(Getter { parent, index, schema: optional_basics(&schema.fields()[index])? }))
        };
        if let Some(parent) = &self.parent {
            let place =
                event.field_index(parent).filter(|place| event.fields()[*place].schema().kind() == SchemaKind::Struct);
            let Some(place) = place else {
                return Err(Error::data(format!("The event has no struct {parent}, which holds {}.", self.field)));
            };
            let inner = event.fields()[place].schema();
            if let Some(index) = inner.field_index(&self.field) {
                return getter(Some(place), inner, index);
            }
        }
        match event.field_index(&self.field) {
            Some(index) => getter(None, event, index),
            None => Ok(None),
        }
    }
}

/// The struct in which a field without one is looked for.
fn home_of(field: &str) -> Option<&str> {
    match field {
        "id" | "data_collection_order" | "total_order" => Some("transaction"),
        "op" | "ts_ms" | "ts_us" | "ts_ns" => None,
        "updateDescription" => Some("updateDescription"),
        _ => Some("source"),
    }
}

impl Getter {
    /// The value as it was set; null where the struct is null.
    pub fn get(&self, event: &Struct) -> Value {
        match self.parent {
            None => event.values()[self.index].clone(),
            Some(parent) => match &event.values()[parent] {
                Value::Struct(inner) => inner.values()[self.index].clone(),
                _ => Value::Null,
            },
        }
    }
}
