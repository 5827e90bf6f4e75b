//! Avro schemas to Connect schemas (`AvroData.toConnectSchema`).

use std::sync::Arc;

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{
    Decimal, Error, Map as ConnectMap, Result, Schema, SchemaBuilder, SchemaRef, Str, Struct, Value, java,
};
use bytes::Bytes;
use serde_json::Value as Json;

use super::schema::{AvroSchema, Kind, Type, TypeId};
use super::{Settings, is_map_entry};
use crate::names::*;

/// The Connect schema of each Avro type that a decoder meets.
pub struct ToConnect<'a> {
    pub schema: &'a AvroSchema,
    pub settings: &'a Settings,
    /// The types around the current one: Connect's schemas cannot hold themselves.
    path: Vec<TypeId>,
    unions: usize,
}

/// How a type is used.
#[derive(Clone, Copy, Default)]
struct Use<'a> {
    optional: bool,
    default: Option<&'a Json>,
    doc: Option<&'a str>,
    version: Option<i32>,
}

impl<'a> ToConnect<'a> {
    pub fn new(schema: &'a AvroSchema, settings: &'a Settings) -> Self {
        Self { schema, settings, path: Vec::new(), unions: 0 }
    }

    /// Of the whole schema, with its version in the registry.
    pub fn root(&mut self, version: Option<i32>) -> Result<SchemaRef> {
        self.convert(self.schema.root, Use { version, ..Use::default() })
    }

    fn convert(&mut self, id: TypeId, usage: Use<'a>) -> Result<SchemaRef> {
        if self.path.contains(&id) {
            let name = self.schema.get(id).kind.full_name().unwrap_or_default();
            return Err(Error::data(format!(
                "The Avro schema {name} contains itself. Connect's data has no such schema here; set a converter that passes bytes through, or change the schema."
            )));
        }
        self.path.push(id);
        let converted = self.convert_inside(id, usage);
        self.path.pop();
        converted
    }

    fn convert_inside(&mut self, id: TypeId, usage: Use<'a>) -> Result<SchemaRef> {
        let (schema, settings) = (self.schema, self.settings);
        let ty = schema.get(id);
        if let Kind::Union(branches) = &ty.kind {
            let only = match &branches[..] {
                [only] if settings.flatten_singleton => Some((*only, false)),
                [one, other] if matches!(schema.get(*one).kind, Kind::Null) => Some((*other, true)),
                [one, other] if matches!(schema.get(*other).kind, Kind::Null) => Some((*one, true)),
                _ => None,
            };
            if let Some((only, optional)) = only {
                return self.convert(only, Use { optional, doc: usage.doc, ..Use::default() });
            }
        }
        let mut builder = self.base(ty)?;
        let doc = if settings.discard_type_doc {
            if settings.meta_data
                && let Some(doc) = &ty.doc
            {
                builder = set_parameter(builder, CONNECT_RECORD_DOC, doc);
            }
            usage.doc.or(ty.doc.as_deref()).or(ty.prop(CONNECT_DOC))
        } else {
            ty.prop(CONNECT_DOC).filter(|_| settings.meta_data)
        };
        if let Some(doc) = doc {
            builder = builder.doc(doc.to_owned());
        }
        builder = self.versioned(builder, ty, usage.version)?;
        builder = self.parameters(builder, ty)?;
        let own_default = ty.props.get(CONNECT_DEFAULT);
        if usage.default.is_some() && !settings.discard_type_doc && settings.meta_data && own_default.is_none() {
            builder = set_parameter(builder, FIELD_DEFAULT_FLAG, "true");
        }
        builder = self.named(builder, ty)?;
        if let Some(json) = usage.default.or(own_default) {
            let plain = builder.clone().set_optional(usage.optional).build()?;
            match self.default_value(&plain, id, json).and_then(|value| {
                let checked = if value.is_null() { Ok(()) } else { plain.validate(None, &value) };
                checked.map(|()| value)
            }) {
                Ok(Value::Null) => {}
                Ok(value) => builder = builder.default_value(value),
                Err(error) => tracing::warn!(%error, "A default value of an Avro schema is not valid and is ignored."),
            }
        }
        builder.set_optional(usage.optional || (matches!(ty.kind, Kind::Union(_)) && self.has_null(ty))).build()
    }

    fn has_null(&self, ty: &Type) -> bool {
        match &ty.kind {
            Kind::Union(branches) => branches.iter().any(|branch| matches!(self.schema.get(*branch).kind, Kind::Null)),
            _ => false,
        }
    }

    fn base(&mut self, ty: &'a Type) -> Result<SchemaBuilder> {
        let logical = ty.prop("logicalType").map(str::to_ascii_lowercase);
        let logical = logical.as_deref();
        Ok(match &ty.kind {
            Kind::Boolean => SchemaBuilder::new(SchemaKind::Boolean),
            Kind::Bytes | Kind::Fixed { .. } => {
                let builder =
                    if logical == Some("decimal") { decimal(ty)? } else { SchemaBuilder::new(SchemaKind::Bytes) };
                match &ty.kind {
                    Kind::Fixed { size, .. } => builder.parameter(FIXED_SIZE, size.to_string()),
                    _ => builder,
                }
            }
            Kind::Double => SchemaBuilder::new(SchemaKind::Float64),
            Kind::Float => SchemaBuilder::new(SchemaKind::Float32),
            Kind::Int => match (logical, ty.prop(CONNECT_TYPE)) {
                (Some("date"), _) => SchemaBuilder::date(),
                (Some("time-millis"), _) => SchemaBuilder::time(),
                (Some(_), _) | (None, None) => SchemaBuilder::new(SchemaKind::Int32),
                (None, Some("int8")) => SchemaBuilder::new(SchemaKind::Int8),
                (None, Some("int16")) => SchemaBuilder::new(SchemaKind::Int16),
                (None, Some(_)) => return Err(Error::data("Connect type annotation for Avro int field is null")),
            },
            Kind::Long if logical == Some("timestamp-millis") => SchemaBuilder::timestamp(),
            Kind::Long => SchemaBuilder::new(SchemaKind::Int64),
            Kind::String => SchemaBuilder::new(SchemaKind::String),
            Kind::Array(item) => match is_map_entry(self.schema, *item) {
                Some(entry) => {
                    let (key, value) = entry?;
                    SchemaBuilder::map(self.convert(key, Use::default())?, self.convert(value, Use::default())?)
                }
                None => SchemaBuilder::array(self.convert(*item, Use::default())?),
            },
            Kind::Map(value) => SchemaBuilder::map(Schema::string(), self.convert(*value, Use::default())?),
            Kind::Record { fields, .. } => {
                let mut builder = SchemaBuilder::structure();
                let docs = !self.settings.discard_type_doc && self.settings.meta_data;
                if docs && let Some(doc) = &ty.doc {
                    builder = set_parameter(builder, RECORD_DOC, doc);
                }
                for field in fields {
                    if docs && let Some(doc) = &field.doc {
                        builder = set_parameter(builder, &format!("{FIELD_DOC}{}", field.name), doc);
                    }
                    let usage = Use { default: field.default.as_ref(), doc: field.doc.as_deref(), ..Use::default() };
                    let mut schema = self.convert(field.ty, usage)?;
                    if self.settings.meta_data
                        && let Some(Json::Object(own)) = field.props.get(CONNECT_PARAMETERS)
                    {
                        schema = with_parameters(&schema, own)?;
                    }
                    builder = builder.field(field.name.clone(), schema);
                }
                builder
            }
            Kind::Enum { name, symbols, default } => self.enumeration(ty, name, symbols, default.as_deref()),
            Kind::Union(branches) => self.union(branches)?,
            Kind::Null => return Err(Error::data("Standalone null schemas are not supported by this converter")),
        })
    }

    fn enumeration(&self, ty: &Type, name: &str, symbols: &[String], default: Option<&str>) -> SchemaBuilder {
        let mut builder = SchemaBuilder::new(SchemaKind::String);
        let simple = super::schema::simple_name(name);
        if self.settings.meta_data {
            if let Some(doc) = &ty.doc {
                let key = if self.settings.discard_type_doc {
                    CONNECT_ENUM_DOC.to_owned()
                } else {
                    format!("{ENUM_DOC}{simple}")
                };
                builder = set_parameter(builder, &key, doc);
            }
            if let Some(default) = default.filter(|_| !self.settings.discard_type_doc) {
                builder = set_parameter(builder, &format!("{ENUM_DEFAULT}{simple}"), default);
            }
        }
        let marker = if self.settings.general { GENERAL_ENUM } else { ENUM };
        builder = set_parameter(builder, marker, name);
        for (index, symbol) in symbols.iter().enumerate() {
            let value = if self.settings.general { index.to_string() } else { symbol.clone() };
            builder = set_parameter(builder, &format!("{marker}.{symbol}"), &value);
        }
        builder
    }

    fn union(&mut self, branches: &'a [TypeId]) -> Result<SchemaBuilder> {
        let mut builder = SchemaBuilder::structure();
        if self.settings.general {
            let name = format!("{GENERAL_UNION_PREFIX}{}", self.unions);
            self.unions += 1;
            builder = set_parameter(builder, GENERAL_UNION, &name).name(name);
        } else {
            builder = builder.name(UNION);
        }
        for (index, branch) in branches.iter().enumerate() {
            if matches!(self.schema.get(*branch).kind, Kind::Null) {
                continue;
            }
            let name = self.settings.branch_name(&self.schema.get(*branch).kind, index);
            if builder.get_field(&name).is_some() {
                return Err(Error::data("Multiple union schemas map to the Connect union field name"));
            }
            builder = builder.field(name, self.convert(*branch, Use { optional: true, ..Use::default() })?);
        }
        Ok(builder)
    }

    fn versioned(&self, builder: SchemaBuilder, ty: &Type, version: Option<i32>) -> Result<SchemaBuilder> {
        let version = match ty.props.get(CONNECT_VERSION) {
            None => version,
            Some(json) => match json.as_i64().and_then(|version| i32::try_from(version).ok()) {
                Some(version) => Some(version),
                None => return Err(Error::data(format!("Invalid Connect version found: {}", plain(json)))),
            },
        };
        let Some(version) = version.filter(|version| *version >= 0) else { return Ok(builder) };
        match builder.clone().build()?.version() {
            Some(own) if own != version => Err(Error::data(format!(
                "Mismatched versions: version already added to SchemaBuilder ({own}) differs from version in source schema ({version})"
            ))),
            _ => Ok(builder.version(version)),
        }
    }

    fn parameters(&self, mut builder: SchemaBuilder, ty: &Type) -> Result<SchemaBuilder> {
        match ty.props.get(CONNECT_PARAMETERS).filter(|_| self.settings.meta_data) {
            None => {}
            Some(Json::Object(parameters)) => {
                for (name, value) in parameters {
                    let Json::String(value) = value else {
                        return Err(Error::data(format!(
                            "Expected schema parameter values to be strings but found: {}",
                            plain(value)
                        )));
                    };
                    builder = set_parameter(builder, name, value);
                }
            }
            Some(other) => {
                return Err(Error::data(format!(
                    "Expected JSON object for schema parameters but found: {}",
                    plain(other)
                )));
            }
        }
        for (name, value) in ty.props.iter().filter(|(name, _)| name.starts_with("avro")) {
            let text = plain(value);
            builder = set_parameter(builder, name, &text);
        }
        Ok(builder)
    }

    fn named(&self, builder: SchemaBuilder, ty: &Type) -> Result<SchemaBuilder> {
        let built = builder.clone().build()?;
        let name = match (ty.props.get(CONNECT_NAME), &ty.kind) {
            (Some(Json::String(name)), _) => Some(name.as_str()),
            (Some(other), _) => return Err(Error::data(format!("Invalid schema name: {}", plain(other)))),
            (None, Kind::Fixed { name, .. }) if built.logical() != Some(Logical::Decimal) => Some(name.as_str()),
            (None, Kind::Record { name, .. } | Kind::Enum { name, .. }) => Some(name.as_str()),
            _ => None,
        };
        let Some(name) = name.filter(|name| !name.starts_with(DEFAULT_FULL_NAME)) else { return Ok(builder) };
        match built.name() {
            Some(own) if own != name => Err(Error::data(format!(
                "Mismatched names: name already added to SchemaBuilder ({own}) differs from name in source schema ({name})"
            ))),
            _ => Ok(builder.name(name.to_owned())),
        }
    }

    /// A default value from Avro's JSON (`AvroData.defaultValueFromAvro`).
    fn default_value(&self, schema: &SchemaRef, id: TypeId, json: &Json) -> Result<Value> {
        if json.is_null() {
            return Ok(Value::Null);
        }
        let wrong = |what: &str| Error::data(format!("Invalid JSON for {what} default value"));
        let number = || json.as_i64().or_else(|| json.as_f64().map(|value| value as i64)).unwrap_or(0);
        Ok(match &self.schema.get(id).kind {
            Kind::Null => Value::Null,
            Kind::Boolean => Value::Boolean(json.as_bool().unwrap_or(json.as_str() == Some("true"))),
            Kind::Int => match (schema.kind(), schema.logical()) {
                (_, Some(Logical::Date)) => Value::Date(number() as i32),
                (_, Some(Logical::Time)) => Value::Time(number() as i32),
                (SchemaKind::Int8, _) => Value::Int8(number() as i8),
                (SchemaKind::Int16, _) => Value::Int16(number() as i16),
                _ => Value::Int32(number() as i32),
            },
            Kind::Long if schema.logical() == Some(Logical::Timestamp) => Value::Timestamp(number()),
            Kind::Long => Value::Int64(number()),
            Kind::Float => Value::Float32(float(json) as f32),
            Kind::Double => Value::Float64(float(json)),
            Kind::String | Kind::Enum { .. } => {
                Value::from(json.as_str().map_or_else(|| json.to_string(), str::to_owned))
            }
            Kind::Bytes | Kind::Fixed { .. } => {
                let text = json.as_str().ok_or_else(|| wrong("binary"))?;
                let bytes: Bytes = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
                match schema.logical() {
                    Some(Logical::Decimal) => Value::Decimal(Decimal::new(bytes, schema.decimal_scale()?)),
                    _ => Value::Bytes(bytes),
                }
            }
            Kind::Array(item) => {
                let items = json.as_array().ok_or_else(|| wrong("array"))?;
                let inner = super::from_connect::value_schema(schema)?;
                Value::array(
                    items.iter().map(|json| self.default_value(inner, *item, json)).collect::<Result<Vec<_>>>()?,
                )
            }
            Kind::Map(value) => {
                let entries = json.as_object().ok_or_else(|| wrong("map"))?;
                let inner = super::from_connect::value_schema(schema)?;
                let entry = |(key, json): (&String, &Json)| {
                    Ok((Value::from(key.as_str()), self.default_value(inner, *value, json)?))
                };
                let entries = entries.iter().map(entry).collect::<Result<Vec<_>>>()?;
                let initial = java::hash_map_capacity(entries.len());
                Value::from(ConnectMap::from_unique(entries).into_hash_order(initial))
            }
            Kind::Record { fields, .. } => {
                let members = json.as_object().ok_or_else(|| wrong("record"))?;
                let mut result = Struct::new(schema.clone())?;
                for (field, target) in fields.iter().zip(schema.fields()) {
                    let json = members.get(&field.name).unwrap_or(&Json::Null);
                    result.put(target.name(), self.default_value(target.schema(), field.ty, json)?)?;
                }
                Value::Struct(Arc::new(result))
            }
            Kind::Union(branches) => match branches.first() {
                Some(first) if matches!(self.schema.get(*first).kind, Kind::Null) => Value::Null,
                // One type or null.
                Some(first) if !super::is_union(schema) => self.default_value(schema, *first, json)?,
                Some(first) => {
                    let name = self.settings.branch_name(&self.schema.get(*first).kind, 0);
                    let field = schema.field(&name).ok_or_else(|| wrong("union"))?;
                    self.default_value(field.schema(), *first, json)?
                }
                _ => Value::Null,
            },
        })
    }
}

fn float(json: &Json) -> f64 {
    json.as_f64().or_else(|| json.as_str()?.parse().ok()).unwrap_or(0.0)
}

fn decimal(ty: &Type) -> Result<SchemaBuilder> {
    let scale = ty.props.get("scale").and_then(Json::as_i64).unwrap_or(0);
    let builder = SchemaBuilder::decimal(scale as i32);
    Ok(match ty.props.get("precision") {
        None => builder,
        Some(Json::Number(precision)) if precision.as_i64() == Some(DEFAULT_PRECISION) => builder,
        Some(Json::Number(precision)) => builder.parameter(PRECISION, precision.to_string()),
        Some(_) => {
            return Err(Error::data(
                "precision property must be a JSON Integer. https://avro.apache.org/docs/1.9.1/spec.html#Decimal",
            ));
        }
    })
}

/// Sets a parameter, in place when it is there (`Map.put`).
fn set_parameter(builder: SchemaBuilder, name: &str, value: &str) -> SchemaBuilder {
    builder.parameter(Str::copy_from(name), Str::copy_from(value))
}

/// The schema with parameters of one use of it.
fn with_parameters(schema: &SchemaRef, own: &serde_json::Map<String, Json>) -> Result<SchemaRef> {
    if own.iter().all(|(name, value)| schema.parameter(name) == Some(&plain(value))) {
        return Ok(schema.clone());
    }
    let mut builder = SchemaBuilder::of(schema);
    for (name, value) in own {
        builder = set_parameter(builder, name, &plain(value));
    }
    builder.build()
}

/// As Java prints it: text without quotes.
fn plain(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
