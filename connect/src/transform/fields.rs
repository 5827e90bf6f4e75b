//! What all transforms of fields share: taking a map or a struct apart, defaults, and what was compiled for a schema.

use std::sync::Arc;

use crate::config::{ConfigKey, Parsed, Type, Validator};
use crate::error::{Error, Result};
use crate::record::Data;
use crate::schema::{Field, Schema, SchemaRef};
use crate::value::{Map, Str, Struct, Value};

/// `replace.null.with.default`, which most of these transforms have.
pub(super) fn replace_null_with_default() -> ConfigKey {
    ConfigKey::new("replace.null.with.default", Type::Boolean)
        .default(true)
        .doc("Whether fields that are null take the default value of their schema.")
}

/// A list with at least one item, and no empty one (`ConfigDef.ValidList.anyNonDuplicateValues(false, false)`, of which
/// [`unique`] is a part).
pub(super) fn names() -> Validator {
    Validator::Custom("non-empty list", |name, value| {
        let Some(items) = value.and_then(Parsed::as_list) else {
            return Err(format!("Configuration '{name}' values must not be null."));
        };
        if items.is_empty() {
            Err(format!("Configuration '{name}' must not be empty. Valid values include: any non-empty value"))
        } else if items.iter().any(String::is_empty) {
            Err(format!("Configuration '{name}' values must not be empty."))
        } else {
            Ok(())
        }
    })
}

/// The items without those that were there before.
pub(super) fn unique(items: &[String]) -> Vec<Str> {
    let first = |(index, item): (usize, &String)| (!items[..index].contains(item)).then(|| Str::copy_from(item));
    items.iter().enumerate().filter_map(first).collect()
}

/// A list with at least one item (`NonEmptyListValidator`).
pub(super) fn non_empty_list() -> Validator {
    Validator::Custom("non-empty list", |name, value| match value.and_then(Parsed::as_list) {
        None => Err(crate::config::invalid_value(name, "null", "Empty list")),
        Some([]) => Err(crate::config::invalid_value(name, "[]", "Empty list")),
        Some(_) => Ok(()),
    })
}

/// `Requirements.requireMap`
pub(super) fn not_a_map(value: &Value, purpose: &str) -> Error {
    Error::data(format!(
        "Only Map objects supported in absence of schema for [{purpose}], found: {}",
        value.java_class()
    ))
}

/// `Requirements.requireStruct`
pub(super) fn not_a_struct(value: &Value, purpose: &str) -> Error {
    Error::data(format!("Only Struct objects supported for [{purpose}], found: {}", value.java_class()))
}

/// `Schema.fields` of a schema that is no struct.
pub(super) fn no_fields() -> Error {
    Error::data("Cannot list fields on non-struct type")
}

/// Takes the map out of schemaless data.
pub(super) fn take_map(data: &mut Data, purpose: &str) -> Result<Map> {
    match std::mem::take(&mut data.value) {
        Value::Map(map) => Ok(Arc::unwrap_or_clone(map)),
        other => Err(not_a_map(&other, purpose)),
    }
}

/// Takes the values of a struct out of data with a schema, with what the transform compiled for the struct's schema.
/// `replace_null` fills in the defaults.
pub(super) fn take_struct<T: Clone>(
    data: &mut Data,
    purpose: &str,
    replace_null: bool,
    schemas: &mut SchemaCache<T>,
    compile: impl FnOnce(&SchemaRef) -> Result<T>,
) -> Result<(T, Vec<Value>)> {
    let old = match std::mem::take(&mut data.value) {
        Value::Struct(old) => old,
        other => return Err(not_a_struct(&other, purpose)),
    };
    let schema = old.schema().clone();
    let compiled = schemas.get_or(&schema, || compile(&schema))?;
    let mut values = Arc::unwrap_or_clone(old).into_values();
    if replace_null {
        fill_defaults(&schema, &mut values);
    }
    Ok((compiled, values))
}

/// Sets a struct of values that are known to fit.
pub(super) fn set_struct(data: &mut Data, schema: SchemaRef, values: Vec<Value>) {
    data.value = Value::from(Struct::from_values(schema.clone(), values));
    data.schema = Some(schema);
}

/// `Struct.get` for all fields: null takes the default value.
fn fill_defaults(schema: &Schema, values: &mut [Value]) {
    for (field, value) in schema.fields().iter().zip(values) {
        if value.is_null()
            && let Some(default) = field.schema().default()
        {
            *value = default.clone();
        }
    }
}

/// What is left of `Struct.put` for a value that comes from a field of the same schema: null has to be allowed.
pub(super) fn check_null(field: &Field, value: &Value) -> Result<()> {
    if value.is_null() { field.schema().validate(Some(field.name()), value) } else { Ok(()) }
}

/// What was compiled for the schemas seen lately. Nearly every task sees one schema, so the last one is asked first.
pub(super) struct SchemaCache<T> {
    entries: Vec<(SchemaRef, T)>,
}

impl<T: Clone> SchemaCache<T> {
    /// As many as Java's transforms keep.
    const SIZE: usize = 16;

    pub fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub fn get_or(&mut self, schema: &SchemaRef, compile: impl FnOnce() -> Result<T>) -> Result<T> {
        let same = |(known, _): &(SchemaRef, T)| Arc::ptr_eq(known, schema);
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

    /// Puts something else in place of what [`SchemaCache::get_or`] gave last.
    pub fn replace_last(&mut self, compiled: T) {
        if let Some((_, last)) = self.entries.last_mut() {
            *last = compiled;
        }
    }
}
