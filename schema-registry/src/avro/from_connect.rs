//! Connect schemas to Avro schemas (`AvroData.fromConnectSchema`).

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Error, Result, Schema, SchemaRef, Value};
use serde_json::{Map, Value as Json, json};

use super::schema::{AvroField, AvroSchema, Kind, Type, TypeId};
use super::{Settings, is_fixed, is_union};
use crate::names::*;

/// The Avro schema of a Connect schema; without one it is that of anything.
pub fn from_connect(schema: Option<&SchemaRef>, settings: &Settings) -> Result<AvroSchema> {
    let Some(schema) = schema else { return anything() };
    let mut builder =
        Builder { settings, schema: AvroSchema::default(), made: Vec::new(), seen: Vec::new(), unnamed: 0 };
    builder.schema.root = builder.make(schema, false, false)?;
    Ok(builder.schema)
}

/// The schema that holds schemaless data, in Connect's own form.
pub fn anything() -> Result<AvroSchema> {
    AvroSchema::parse(ANYTHING_TEXT, &[])
}

const ANYTHING_TEXT: &str = r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":[
    {"name":"boolean","type":["null","boolean"],"default":null},{"name":"bytes","type":["null","bytes"],"default":null},
    {"name":"double","type":["null","double"],"default":null},{"name":"float","type":["null","float"],"default":null},
    {"name":"int","type":["null","int"],"default":null},{"name":"long","type":["null","long"],"default":null},
    {"name":"string","type":["null","string"],"default":null},
    {"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},
    {"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":[
        {"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}"#;

struct Builder<'a> {
    settings: &'a Settings,
    schema: AvroSchema,
    /// What was made of equal schemas.
    made: Vec<(&'a Schema, TypeId)>,
    /// The names of the fields' types so far.
    seen: Vec<String>,
    unnamed: usize,
}

impl<'a> Builder<'a> {
    /// `required` takes the schema as if it did not allow null; `bare` leaves the union with null to the caller.
    fn make(&mut self, schema: &'a Schema, required: bool, bare: bool) -> Result<TypeId> {
        let optional = schema.is_optional() && !required;
        if !is_union(schema) && !optional {
            let found = self.made.iter().find(|(known, _)| same_but_optional(known, schema));
            if let Some((_, id)) = found {
                return Ok(*id);
            }
        }
        let id = if schema.kind() == SchemaKind::Struct && is_union(schema) {
            let mut branches = Vec::new();
            if optional {
                branches.push(self.schema.add(Type::new(Kind::Null)));
            }
            for field in schema.fields() {
                branches.push(self.make(field.schema(), true, true)?);
            }
            self.schema.add(Type::new(Kind::Union(branches)))
        } else if schema.kind() == SchemaKind::Struct && optional {
            let null = self.schema.add(Type::new(Kind::Null));
            let inner = self.make(schema, true, false)?;
            self.schema.add(Type::new(Kind::Union(vec![null, inner])))
        } else {
            let base = self.base(schema)?;
            self.metadata(schema, base)?;
            if optional && !bare {
                let null = self.schema.add(Type::new(Kind::Null));
                let branches = if schema.default().is_some() { vec![base, null] } else { vec![null, base] };
                self.schema.add(Type::new(Kind::Union(branches)))
            } else {
                base
            }
        };
        if !optional {
            self.made.push((schema, id));
        }
        Ok(id)
    }

    fn base(&mut self, schema: &'a Schema) -> Result<TypeId> {
        let kind = match schema.kind() {
            SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 => Kind::Int,
            SchemaKind::Int64 => Kind::Long,
            SchemaKind::Float32 => Kind::Float,
            SchemaKind::Float64 => Kind::Double,
            SchemaKind::Boolean => Kind::Boolean,
            SchemaKind::String => match self.enumeration(schema) {
                Some(ty) => return Ok(self.schema.add(ty)),
                None => Kind::String,
            },
            SchemaKind::Bytes => return self.bytes(schema),
            SchemaKind::Array => Kind::Array(self.make(value_schema(schema)?, false, false)?),
            SchemaKind::Map if self.settings.has_text_keys(schema) => {
                Kind::Map(self.make(value_schema(schema)?, false, false)?)
            }
            SchemaKind::Map => Kind::Array(self.map_entry(schema)?),
            SchemaKind::Struct => return self.record(schema),
        };
        Ok(self.schema.add(Type::new(kind)))
    }

    /// An enum travels through Connect as a string with its symbols in the parameters.
    fn enumeration(&self, schema: &Schema) -> Option<Type> {
        if !self.settings.general && !self.settings.enhanced {
            return None;
        }
        schema.parameter(GENERAL_ENUM).or_else(|| schema.parameter(ENUM))?;
        let marker = if self.settings.general { GENERAL_ENUM } else { ENUM };
        let symbol =
            |(name, _): &(barnabas_connect::Str, _)| Some(name.strip_prefix(marker)?.strip_prefix('.')?.to_owned());
        let symbols = schema.parameters().unwrap_or_default().iter().filter_map(symbol).collect();
        let name = schema.parameter(marker)?.to_owned();
        let simple = schema.name().map(|name| self.settings.simple(name)).unwrap_or_default();
        let (doc, default) = if self.settings.discard_type_doc {
            (schema.parameter(CONNECT_ENUM_DOC), None)
        } else {
            let of = |prefix: &str| schema.parameter(&format!("{prefix}{simple}"));
            (of(ENUM_DOC), of(ENUM_DEFAULT))
        };
        let kind = Kind::Enum { name, symbols, default: default.map(str::to_owned) };
        Some(Type { kind, doc: doc.map(str::to_owned), props: Map::new() })
    }

    fn bytes(&mut self, schema: &Schema) -> Result<TypeId> {
        let kind = match is_fixed(schema) {
            Some(size) => Kind::Fixed { name: self.name_of(schema), size: size? },
            None => Kind::Bytes,
        };
        let mut ty = Type::new(kind);
        if schema.logical() == Some(Logical::Decimal) {
            ty.props.insert("scale".into(), schema.decimal_scale()?.into());
            ty.props.insert("precision".into(), precision(schema)?.into());
        }
        Ok(self.schema.add(ty))
    }

    fn map_entry(&mut self, schema: &'a Schema) -> Result<TypeId> {
        let mut props = Map::new();
        let name = match schema.name() {
            None => format!("{NAMESPACE}.{MAP_ENTRY}"),
            Some(_) => {
                props.insert(CONNECT_INTERNAL_TYPE.into(), MAP_ENTRY.into());
                self.name_of(schema)
            }
        };
        let key = schema.key_schema().ok_or_else(|| Error::data("A MAP schema has no schema for its keys."))?;
        let fields =
            vec![self.field("key".into(), key, None)?, self.field("value".into(), value_schema(schema)?, None)?];
        Ok(self.schema.add(Type { kind: Kind::Record { name, fields }, doc: None, props }))
    }

    fn record(&mut self, schema: &'a Schema) -> Result<TypeId> {
        let name = self.name_of(schema);
        let discard = self.settings.discard_type_doc;
        let doc = schema.parameter(if discard { CONNECT_RECORD_DOC } else { RECORD_DOC }).map(str::to_owned);
        let mut fields = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let doc = (!discard).then(|| schema.parameter(&format!("{FIELD_DOC}{}", field.name()))).flatten();
            fields.push(self.field(self.settings.name(field.name()), field.schema(), doc)?);
        }
        Ok(self.schema.add(Type { kind: Kind::Record { name, fields }, doc, props: Map::new() }))
    }

    fn field(&mut self, name: String, schema: &'a SchemaRef, doc: Option<&str>) -> Result<AvroField> {
        let default = match schema.default() {
            Some(default) => Some(self.settings.default_json(schema, default)?),
            None => schema.is_optional().then_some(Json::Null),
        };
        let named = schema.name().map(|name| self.settings.full(name));
        let seen = named.as_ref().is_some_and(|name| self.seen.contains(name));
        self.seen.extend(named.filter(|_| !seen));
        let ty = self.make(schema, false, false)?;
        let mut props = Map::new();
        if self.settings.meta_data && seen && self.has_name(ty) {
            // The type is written where it is first used; what this use says differently would be lost.
            let parameters = self.parameters(schema);
            if !parameters.is_empty() {
                props.insert(CONNECT_PARAMETERS.into(), parameters.into());
            }
        }
        let doc = if self.settings.discard_type_doc { schema.doc() } else { doc };
        let default = default.filter(|default| {
            let valid = self.fits(ty, default);
            if !valid {
                tracing::warn!(field = %name, "The default value of the field is not valid in Avro and is left out.");
            }
            valid
        });
        Ok(AvroField { name, ty, doc: doc.map(str::to_owned), default, props })
    }

    fn has_name(&self, id: TypeId) -> bool {
        match &self.schema.get(id).kind {
            Kind::Union(branches) => branches.iter().any(|branch| self.schema.get(*branch).kind.full_name().is_some()),
            kind => kind.full_name().is_some(),
        }
    }

    /// Whether a value may be the default of a field (`Schema.isValidDefault`).
    fn fits(&self, id: TypeId, json: &Json) -> bool {
        match &self.schema.get(id).kind {
            Kind::Null => json.is_null(),
            Kind::Boolean => json.is_boolean(),
            Kind::Int => json.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
            Kind::Long => json.is_i64(),
            Kind::Float | Kind::Double => json.is_number(),
            Kind::Bytes | Kind::String | Kind::Fixed { .. } | Kind::Enum { .. } => json.is_string(),
            Kind::Array(item) => json.as_array().is_some_and(|items| items.iter().all(|json| self.fits(*item, json))),
            Kind::Map(value) => json.as_object().is_some_and(|map| map.values().all(|json| self.fits(*value, json))),
            Kind::Union(branches) => branches.iter().any(|branch| self.fits(*branch, json)),
            Kind::Record { fields, .. } => json.as_object().is_some_and(|map| {
                fields.iter().all(|field| {
                    map.get(&field.name).or(field.default.as_ref()).is_some_and(|json| self.fits(field.ty, json))
                })
            }),
        }
    }

    fn parameters(&self, schema: &Schema) -> Map<String, Json> {
        let kept = |name: &str| self.settings.discard_type_doc || name != FIELD_DEFAULT_FLAG;
        let own = schema.parameters().unwrap_or_default().iter().filter(|(name, _)| kept(name));
        own.map(|(name, value)| (name.to_string(), Json::from(value.as_str()))).collect()
    }

    /// Connect's metadata, and the logical type.
    fn metadata(&mut self, schema: &Schema, id: TypeId) -> Result<()> {
        let mut props = std::mem::take(&mut self.schema.types[id].props);
        if self.settings.meta_data {
            if let Some(doc) = schema.doc() {
                props.insert(CONNECT_DOC.into(), doc.into());
            }
            if let Some(version) = schema.version() {
                props.insert(CONNECT_VERSION.into(), version.into());
            }
            let parameters = self.parameters(schema);
            if !parameters.is_empty() {
                props.insert(CONNECT_PARAMETERS.into(), parameters.into());
            }
            if let Some(default) = schema.default()
                && (self.settings.discard_type_doc || schema.parameter(FIELD_DEFAULT_FLAG).is_none())
            {
                props.insert(CONNECT_DEFAULT.into(), self.settings.default_json(schema, default)?);
            }
            if let Some(name) = schema.name() {
                props.insert(CONNECT_NAME.into(), name.into());
            }
            match schema.kind() {
                SchemaKind::Int8 => _ = props.insert(CONNECT_TYPE.into(), "int8".into()),
                SchemaKind::Int16 => _ = props.insert(CONNECT_TYPE.into(), "int16".into()),
                _ => {}
            }
        }
        let logical = match schema.logical() {
            Some(Logical::Decimal) => Some("decimal"),
            Some(Logical::Date) => Some("date"),
            Some(Logical::Time) => Some("time-millis"),
            Some(Logical::Timestamp) => Some("timestamp-millis"),
            None => None,
        };
        if let Some(logical) = logical {
            props.insert("logicalType".into(), logical.into());
        }
        for (name, value) in schema.parameters().unwrap_or_default().iter().filter(|(name, _)| name.starts_with("avro"))
        {
            props.insert(name.to_string(), value.as_str().into());
        }
        self.schema.types[id].props = props;
        Ok(())
    }

    fn name_of(&mut self, schema: &Schema) -> String {
        match schema.name() {
            Some(name) => self.settings.full(name),
            None => {
                self.unnamed += 1;
                let number = if self.unnamed > 1 { self.unnamed.to_string() } else { String::new() };
                format!("{NAMESPACE}.{DEFAULT_NAME}{number}")
            }
        }
    }
}

pub fn value_schema(schema: &Schema) -> Result<&SchemaRef> {
    schema
        .value_schema()
        .ok_or_else(|| Error::data(format!("A {} schema has no schema for its values.", schema.kind())))
}

fn precision(schema: &Schema) -> Result<i64> {
    match schema.parameter(PRECISION) {
        None => Ok(DEFAULT_PRECISION),
        Some(text) => {
            text.parse().map_err(|_| Error::data(format!("Invalid parameter {PRECISION}: {text} is not a number.")))
        }
    }
}

fn same_but_optional(one: &Schema, other: &Schema) -> bool {
    std::ptr::eq(one, other)
        || (one.kind() == other.kind()
            && one.name() == other.name()
            && one.version() == other.version()
            && one.doc() == other.doc()
            && one.default() == other.default()
            && one.parameters() == other.parameters()
            && one.fields() == other.fields()
            && one.key_schema() == other.key_schema()
            && one.value_schema() == other.value_schema())
}

impl Settings {
    /// A default value as Avro's JSON has it (`AvroData.defaultValueFromConnect`).
    fn default_json(&self, schema: &Schema, value: &Value) -> Result<Json> {
        Ok(match value {
            Value::Null => Json::Null,
            Value::Boolean(value) => json!(value),
            Value::Int8(value) => json!(value),
            Value::Int16(value) => json!(value),
            Value::Int32(value) | Value::Date(value) | Value::Time(value) => json!(value),
            Value::Int64(value) | Value::Timestamp(value) => json!(value),
            Value::Float32(value) => float_json(f64::from(*value), || value.to_string()),
            Value::Float64(value) => float_json(*value, || value.to_string()),
            Value::String(text) => json!(text.as_str()),
            Value::Bytes(bytes) => json!(latin1(bytes)),
            Value::Decimal(decimal) => {
                let scale = schema.decimal_scale()?;
                if scale != decimal.scale() {
                    return Err(scale_error(scale, decimal.scale()));
                }
                json!(latin1(decimal.unscaled()))
            }
            Value::Array(items) => {
                let schema = value_schema(schema)?;
                items.iter().map(|item| self.default_json(schema, item)).collect::<Result<Vec<_>>>()?.into()
            }
            Value::Map(entries) => {
                let (keys, values) = (schema.key_schema(), value_schema(schema)?);
                if self.has_text_keys(schema) {
                    let entry = |(key, value): &(Value, Value)| {
                        Ok((key.as_str().unwrap_or_default().to_owned(), self.default_json(values, value)?))
                    };
                    Json::Object(entries.iter().map(entry).collect::<Result<_>>()?)
                } else {
                    let keys = keys.ok_or_else(|| Error::data("A MAP schema has no schema for its keys."))?;
                    let entry = |(key, value): &(Value, Value)| {
                        Ok(json!([self.default_json(keys, key)?, self.default_json(values, value)?]))
                    };
                    entries.iter().map(entry).collect::<Result<Vec<_>>>()?.into()
                }
            }
            Value::Struct(fields) => {
                let mut members = Map::new();
                for (index, field) in schema.fields().iter().enumerate() {
                    let json = self.default_json(field.schema(), fields.get_at(index))?;
                    if is_union(schema) {
                        return Ok(json);
                    }
                    members.insert(self.name(field.name()), json);
                }
                Json::Object(members)
            }
        })
    }
}

/// What JSON has no number for is text, as Jackson writes it.
fn float_json(value: f64, text: impl FnOnce() -> String) -> Json {
    // The shortest digits of a `float` are not those of the `double` beside it.
    match text().parse::<f64>() {
        Ok(shortest) if value.is_finite() => json!(shortest),
        _ if value.is_nan() => json!("NaN"),
        _ => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

pub fn scale_error(schema: i32, value: i32) -> Error {
    Error::data(format!(
        "Decimal value has mismatching scale for given Decimal schema. Schema has scale {schema}, value has scale {value}."
    ))
}
