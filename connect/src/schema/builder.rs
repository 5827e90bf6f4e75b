//! Building schemas.

use std::sync::Arc;

use super::{DATE, DECIMAL, Field, Logical, SCALE, Schema, SchemaKind, SchemaRef, TIME, TIMESTAMP};
use crate::error::{Error, Result};
use crate::value::{Str, Value};

/// Builds a [`Schema`] (`org.apache.kafka.connect.data.SchemaBuilder`).
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    schema: Schema,
}

impl SchemaBuilder {
    /// A schema of the given type: required, without default, name, version or documentation.
    pub fn new(kind: SchemaKind) -> Self {
        Self {
            schema: Schema {
                kind,
                optional: false,
                default: None,
                name: None,
                version: None,
                doc: None,
                parameters: None,
                fields: Vec::new(),
                key: None,
                value: None,
                logical: None,
            },
        }
    }

    /// Begins with all that another schema has.
    pub fn of(schema: &Schema) -> Self {
        Self { schema: schema.clone() }
    }

    /// A `STRUCT`, to which [`SchemaBuilder::field`] adds fields.
    pub fn structure() -> Self {
        Self::new(SchemaKind::Struct)
    }

    /// An `ARRAY`.
    pub fn array(element: SchemaRef) -> Self {
        let mut builder = Self::new(SchemaKind::Array);
        builder.schema.value = Some(element);
        builder
    }

    /// A `MAP`.
    pub fn map(key: SchemaRef, value: SchemaRef) -> Self {
        let mut builder = Self::new(SchemaKind::Map);
        builder.schema.key = Some(key);
        builder.schema.value = Some(value);
        builder
    }

    /// A `MAP` all of whose values are null (`SchemaBuilder.mapWithNullValues`).
    pub(crate) fn map_with_null_values(key: SchemaRef) -> Self {
        let mut builder = Self::new(SchemaKind::Map);
        builder.schema.key = Some(key);
        builder
    }

    /// The logical type [`DECIMAL`] with a fixed scale (`Decimal.builder`).
    pub fn decimal(scale: i32) -> Self {
        Self::new(SchemaKind::Bytes).name(DECIMAL).parameter(SCALE, scale.to_string()).version(1)
    }

    /// The logical type [`DATE`].
    pub fn date() -> Self {
        Self::new(SchemaKind::Int32).name(DATE).version(1)
    }

    /// The logical type [`TIME`].
    pub fn time() -> Self {
        Self::new(SchemaKind::Int32).name(TIME).version(1)
    }

    /// The logical type [`TIMESTAMP`].
    pub fn timestamp() -> Self {
        Self::new(SchemaKind::Int64).name(TIMESTAMP).version(1)
    }

    /// Allows null.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.schema.optional = true;
        self
    }

    /// Sets whether null is allowed.
    #[must_use]
    pub fn set_optional(mut self, optional: bool) -> Self {
        self.schema.optional = optional;
        self
    }

    /// The value that stands in for null. [`SchemaBuilder::build`] checks it.
    #[must_use]
    pub fn default_value(mut self, value: impl Into<Value>) -> Self {
        self.schema.default = Some(value.into());
        self
    }

    /// The name, which says the meaning.
    #[must_use]
    pub fn name(mut self, name: impl Into<Str>) -> Self {
        let name = name.into();
        self.schema.logical = match name.as_str() {
            DECIMAL => Some(Logical::Decimal),
            DATE => Some(Logical::Date),
            TIME => Some(Logical::Time),
            TIMESTAMP => Some(Logical::Timestamp),
            _ => None,
        };
        self.schema.name = Some(name);
        self
    }

    /// The version of the named schema.
    #[must_use]
    pub fn version(mut self, version: i32) -> Self {
        self.schema.version = Some(version);
        self
    }

    /// Documentation for people.
    #[must_use]
    pub fn doc(mut self, doc: impl Into<Str>) -> Self {
        self.schema.doc = Some(doc.into());
        self
    }

    /// Sets a parameter: in place when it is there, else at the end.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<Str>, value: impl Into<Str>) -> Self {
        let (name, value) = (name.into(), value.into());
        let parameters = self.schema.parameters.get_or_insert_default();
        match parameters.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => parameters.push((name, value)),
        }
        self
    }

    /// Adds a field to a `STRUCT`.
    #[must_use]
    pub fn field(mut self, name: impl Into<Str>, schema: SchemaRef) -> Self {
        self.schema.fields.push(Field { name: name.into(), schema });
        self
    }

    /// The field of that name, if it was added.
    pub fn get_field(&self, name: &str) -> Option<&Field> {
        self.schema.field(name)
    }

    /// The index of the field of that name, if it was added.
    pub(crate) fn field_index(&self, name: &str) -> Option<usize> {
        self.schema.field_index(name)
    }

    /// Takes name, version, doc and parameters from another schema, but neither fields, default nor optionality
    /// (`SchemaUtil.copySchemaBasics`).
    #[must_use]
    pub fn basics_of(mut self, schema: &Schema) -> Self {
        self.schema.name.clone_from(&schema.name);
        self.schema.version = schema.version;
        self.schema.doc.clone_from(&schema.doc);
        self.schema.parameters.clone_from(&schema.parameters);
        self.schema.logical = schema.logical;
        self
    }

    /// A schema that is the same in all, to be changed.
    pub fn copy_of(schema: &Schema) -> Self {
        Self { schema: schema.clone() }
    }

    /// Checks the default value and the field names, and shares the schema.
    pub fn build(self) -> Result<SchemaRef> {
        for (index, field) in self.schema.fields.iter().enumerate() {
            if field.name.is_empty() {
                return Err(Error::data("fieldName cannot be null."));
            }
            if self.schema.fields[..index].iter().any(|other| other.name == field.name) {
                return Err(Error::data(format!(
                    "Cannot create field because of field name duplication {}",
                    field.name
                )));
            }
        }
        if let Some(default) = &self.schema.default {
            self.schema
                .validate(None, default)
                .map_err(|error| Error::data("Invalid default value").with_source(error))?;
        }
        Ok(self.build_unchecked())
    }

    /// Shares a schema that is known to be right.
    pub(crate) fn build_unchecked(self) -> SchemaRef {
        Arc::new(self.schema)
    }
}
