//! Schemas: the shape of values, shared by all records of one shape (`org.apache.kafka.connect.data.Schema`).

mod builder;

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::error::{Error, Result};
use crate::value::{Str, Value};

pub use builder::SchemaBuilder;

/// A shared schema. Converters and transforms compile once for each, so connectors should build a schema once and share it.
pub type SchemaRef = Arc<Schema>;

/// The name of the logical type of [`Value::Decimal`].
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// The name of the logical type of [`Value::Date`].
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
/// The name of the logical type of [`Value::Time`].
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
/// The name of the logical type of [`Value::Timestamp`].
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
/// The parameter of a [`DECIMAL`] schema that holds the scale.
pub const SCALE: &str = "scale";

/// The type of a schema (`Schema.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The names say it all.
pub enum SchemaKind {
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    String,
    Bytes,
    Array,
    Map,
    Struct,
}

impl SchemaKind {
    /// The name as Connect's JSON writes it, `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Array => "array",
            Self::Map => "map",
            Self::Struct => "struct",
        }
    }

    /// The name of the Java constant, `INT8`, as error messages have it.
    pub fn java_name(self) -> &'static str {
        match self {
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Float32 => "FLOAT32",
            Self::Float64 => "FLOAT64",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Struct => "STRUCT",
        }
    }
}

impl fmt::Display for SchemaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.java_name())
    }
}

/// The logical types that have a variant of [`Value`] of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it all.
pub enum Logical {
    Decimal,
    Date,
    Time,
    Timestamp,
}

/// A field of a `STRUCT` schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    name: Str,
    schema: SchemaRef,
}

impl Field {
    /// The name, unique within the struct.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name, shared.
    pub fn name_str(&self) -> &Str {
        &self.name
    }

    /// The schema of the field's value.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// The shape of a value. Built by a [`SchemaBuilder`], immutable and shared after that.
#[derive(Clone, Debug)]
pub struct Schema {
    kind: SchemaKind,
    optional: bool,
    default: Option<Value>,
    name: Option<Str>,
    version: Option<i32>,
    doc: Option<Str>,
    // `None` and empty differ, as `null` and an empty map differ in Java: JSON shows the latter.
    parameters: Option<Vec<(Str, Str)>>,
    fields: Vec<Field>,
    key: Option<SchemaRef>,
    value: Option<SchemaRef>,
    logical: Option<Logical>,
}

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident, $optional:ident => $kind:ident;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> SchemaRef {
                static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| SchemaBuilder::new(SchemaKind::$kind).build_unchecked());
                SCHEMA.clone()
            }

            /// The same, where null is allowed.
            pub fn $optional() -> SchemaRef {
                static SCHEMA: LazyLock<SchemaRef> =
                    LazyLock::new(|| SchemaBuilder::new(SchemaKind::$kind).optional().build_unchecked());
                SCHEMA.clone()
            }
        )*
    };
}

impl Schema {
    constants! {
        /// `Schema.INT8_SCHEMA`, one shared instance.
        int8, optional_int8 => Int8;
        /// `Schema.INT16_SCHEMA`, one shared instance.
        int16, optional_int16 => Int16;
        /// `Schema.INT32_SCHEMA`, one shared instance.
        int32, optional_int32 => Int32;
        /// `Schema.INT64_SCHEMA`, one shared instance.
        int64, optional_int64 => Int64;
        /// `Schema.FLOAT32_SCHEMA`, one shared instance.
        float32, optional_float32 => Float32;
        /// `Schema.FLOAT64_SCHEMA`, one shared instance.
        float64, optional_float64 => Float64;
        /// `Schema.BOOLEAN_SCHEMA`, one shared instance.
        boolean, optional_boolean => Boolean;
        /// `Schema.STRING_SCHEMA`, one shared instance.
        string, optional_string => String;
        /// `Schema.BYTES_SCHEMA`, one shared instance.
        bytes, optional_bytes => Bytes;
    }

    /// `Date.SCHEMA`, one shared instance.
    pub fn date() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| SchemaBuilder::date().build_unchecked());
        SCHEMA.clone()
    }

    /// `Time.SCHEMA`, one shared instance.
    pub fn time() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| SchemaBuilder::time().build_unchecked());
        SCHEMA.clone()
    }

    /// `Timestamp.SCHEMA`, one shared instance.
    pub fn timestamp() -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| SchemaBuilder::timestamp().build_unchecked());
        SCHEMA.clone()
    }

    /// The type.
    pub fn kind(&self) -> SchemaKind {
        self.kind
    }

    /// The logical type, when the name is that of one with a [`Value`] of its own.
    pub fn logical(&self) -> Option<Logical> {
        self.logical
    }

    /// Whether null is allowed.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// The default value.
    pub fn default(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// The name, which says the meaning.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The version of the named schema.
    pub fn version(&self) -> Option<i32> {
        self.version
    }

    /// Documentation for people.
    pub fn doc(&self) -> Option<&str> {
        self.doc.as_deref()
    }

    /// The parameters in order; `None` when there never were any.
    pub fn parameters(&self) -> Option<&[(Str, Str)]> {
        self.parameters.as_deref()
    }

    /// One parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.as_ref()?.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The fields of a `STRUCT`; empty for all other types.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == *name)
    }

    /// The index of the field of that name.
    pub fn field_index(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == *name)
    }

    /// The schema of a `MAP`'s keys.
    pub fn key_schema(&self) -> Option<&SchemaRef> {
        self.key.as_ref()
    }

    /// The schema of a `MAP`'s values or an `ARRAY`'s elements.
    pub fn value_schema(&self) -> Option<&SchemaRef> {
        self.value.as_ref()
    }

    /// Checks a value against this schema (`ConnectSchema.validateValue`); `field` is named in the error.
    pub fn validate(&self, field: Option<&str>, value: &Value) -> Result<()> {
        let location = || field.map_or_else(|| "value".to_owned(), |name| format!("field: \"{name}\""));
        self.validate_at(value, &location)
    }

    fn validate_at(&self, value: &Value, location: &dyn Fn() -> String) -> Result<()> {
        if value.is_null() {
            if self.optional {
                return Ok(());
            }
            return Err(Error::data(format!(
                "Invalid value: null used for required {}, schema type: {}",
                location(),
                self.kind
            )));
        }
        if !self.accepts(value) {
            let name = self.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
            return Err(Error::data(format!(
                "Invalid Java object for schema{name} with type {}: class {} for {}",
                self.kind,
                value.java_class(),
                location()
            )));
        }
        let missing = |location: String| Error::data(format!("No schema defined for {location}"));
        match value {
            Value::Struct(fields) => {
                if !std::ptr::eq(Arc::as_ptr(fields.schema()), self) && **fields.schema() != *self {
                    return Err(Error::data("Struct schemas do not match."));
                }
                fields.validate()
            }
            Value::Array(values) => {
                let location = || format!("element of array {}", location());
                let schema = self.value.as_ref().ok_or_else(|| missing(location()))?;
                values.iter().try_for_each(|value| schema.validate_at(value, &location))
            }
            Value::Map(entries) => {
                let key_location = || format!("key of map {}", location());
                let value_location = || format!("value of map {}", location());
                let key_schema = self.key.as_ref().ok_or_else(|| missing(key_location()))?;
                let value_schema = self.value.as_ref().ok_or_else(|| missing(value_location()))?;
                entries.iter().try_for_each(|(key, value)| {
                    key_schema.validate_at(key, &key_location)?;
                    value_schema.validate_at(value, &value_location)
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether the value is of the class that Java expects for this schema (`ConnectSchema.expectedClassesFor`).
    /// The three temporal types are one class there, and must not be mixed here.
    fn accepts(&self, value: &Value) -> bool {
        match self.logical {
            Some(Logical::Decimal) => matches!(value, Value::Decimal(_)),
            Some(Logical::Date) => matches!(value, Value::Date(_)),
            Some(Logical::Time) => matches!(value, Value::Time(_)),
            Some(Logical::Timestamp) => matches!(value, Value::Timestamp(_)),
            None => matches!(
                (self.kind, value),
                (SchemaKind::Int8, Value::Int8(_))
                    | (SchemaKind::Int16, Value::Int16(_))
                    | (SchemaKind::Int32, Value::Int32(_))
                    | (SchemaKind::Int64, Value::Int64(_))
                    | (SchemaKind::Float32, Value::Float32(_))
                    | (SchemaKind::Float64, Value::Float64(_))
                    | (SchemaKind::Boolean, Value::Boolean(_))
                    | (SchemaKind::String, Value::String(_))
                    | (SchemaKind::Bytes, Value::Bytes(_))
                    | (SchemaKind::Array, Value::Array(_))
                    | (SchemaKind::Map, Value::Map(_))
                    | (SchemaKind::Struct, Value::Struct(_))
            ),
        }
    }

    /// As Java prints a schema: `Schema{STRING}`, `Schema{name:STRUCT}`.
    pub fn describe(&self) -> String {
        match &self.name {
            Some(name) => format!("Schema{{{name}:{}}}", self.kind),
            None => format!("Schema{{{}}}", self.kind),
        }
    }

    /// The scale of a [`DECIMAL`] schema.
    pub fn decimal_scale(&self) -> Result<i32> {
        let scale =
            self.parameter(SCALE).ok_or_else(|| Error::data("Invalid Decimal schema: scale parameter not found."))?;
        scale.parse().map_err(|error: std::num::ParseIntError| {
            Error::data("Invalid scale parameter found in Decimal schema: ").with_source(error)
        })
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.kind == other.kind
                && self.optional == other.optional
                && self.version == other.version
                && self.name == other.name
                && self.doc == other.doc
                && self.default == other.default
                && self.fields == other.fields
                && self.key == other.key
                && self.value == other.value
                && same_parameters(self.parameters(), other.parameters()))
    }
}

/// As `java.util.Map.equals`: the order does not matter.
fn same_parameters(one: Option<&[(Str, Str)]>, other: Option<&[(Str, Str)]>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.len() == other.len() && one.iter().all(|entry| other.contains(entry)),
        _ => false,
    }
}
