//! `io.confluent.connect.avro.AvroConverter`: Avro's binary form, the schema in a registry.

mod anything;
mod decode;
mod encode;
mod from_connect;

mod render;
mod schema;
mod to_connect;

use std::sync::Arc;

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Config, ConfigDef, Data, Error, Result, Schema, SchemaRef, Value};
use bytes::Bytes;

use crate::client::{SchemaText, SchemaType};
use crate::config::{SerdeConfig, data_keys, flag, refused};
use crate::converter::{Format, RegistryConverter, Written};
use crate::input::Input;
use crate::names;
use crate::serde::{self, Asking, WriteWith};
use decode::Read;
use encode::Write;
use names::{GENERAL_FIELD_PREFIX, GENERAL_UNION, UNION};
use schema::{Kind, TypeId, simple_name};
use to_connect::ToConnect;

pub use from_connect::from_connect;
pub(crate) use from_connect::scale_error;
pub use schema::AvroSchema;

/// The converter.
pub type AvroConverter = RegistryConverter<Avro>;

/// How Connect's data and Avro's are mapped (`AvroDataConfig`).
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `connect.meta.data`
    pub meta_data: bool,
    /// `enhanced.avro.schema.support`
    pub enhanced: bool,
    /// `generalized.sum.type.support`
    pub general: bool,
    /// `ignore.default.for.nullables`
    pub ignore_default: bool,
    /// `scrub.invalid.names`
    pub scrub: bool,
    /// `discard.type.doc.default`
    pub discard_type_doc: bool,
    /// `allow.optional.map.keys`
    pub optional_keys: bool,
    /// `flatten.singleton.unions`
    pub flatten_singleton: bool,
    /// `latest.compatibility.strict`: a field of a value that the registry's schema does not have is an error.
    pub strict: bool,
}

impl Settings {
    /// The keys of the mapping.
    pub fn config_def() -> ConfigDef {
        data_keys()
            .define(flag(
                "connect.meta.data",
                true,
                "Whether names, versions, parameters and docs of Connect's schemas are kept in the Avro schema.",
            ))
            .define(flag(
                "enhanced.avro.schema.support",
                false,
                "Whether enums are kept, and the fields of unions have full names.",
            ))
            .define(flag(
                "scrub.invalid.names",
                false,
                "Whether names that Avro does not allow are replaced by valid ones.",
            ))
            .define(flag(
                "discard.type.doc.default",
                false,
                "Whether of docs and defaults only those of fields are kept.",
            ))
            .define(flag(
                "allow.optional.map.keys",
                false,
                "Whether a map whose keys are optional strings becomes an Avro map.",
            ))
            .define(flag("flatten.singleton.unions", true, "Whether a union of one type is read as that type."))
    }

    /// From parsed keys.
    pub fn new(config: &Config) -> Self {
        Self {
            meta_data: config.boolean("connect.meta.data"),
            enhanced: config.boolean("enhanced.avro.schema.support"),
            general: config.boolean("generalized.sum.type.support"),
            ignore_default: config.boolean("ignore.default.for.nullables"),
            scrub: config.boolean("scrub.invalid.names"),
            discard_type_doc: config.boolean("discard.type.doc.default"),
            optional_keys: config.boolean("allow.optional.map.keys"),
            flatten_singleton: config.boolean("flatten.singleton.unions"),
            strict: true,
        }
    }

    fn name(&self, name: &str) -> String {
        if self.scrub { names::scrub(name) } else { name.to_owned() }
    }

    fn full(&self, name: &str) -> String {
        if self.scrub { names::scrub_full(name) } else { name.to_owned() }
    }

    fn simple(&self, name: &str) -> String {
        self.name(simple_name(name))
    }

    fn has_text_keys(&self, schema: &Schema) -> bool {
        schema
            .key_schema()
            .is_some_and(|key| key.kind() == SchemaKind::String && (self.optional_keys || !key.is_optional()))
    }

    /// The name of the field that stands for a branch of a union.
    fn branch_name(&self, kind: &Kind, index: usize) -> String {
        match kind.full_name() {
            _ if self.general => format!("{GENERAL_FIELD_PREFIX}{index}"),
            Some(full) if self.enhanced => full.to_owned(),
            Some(full) => self.simple(full),
            None => kind.type_name().to_owned(),
        }
    }
}

fn is_union(schema: &Schema) -> bool {
    schema.name() == Some(UNION) || schema.parameter(GENERAL_UNION).is_some()
}

/// The size of a fixed type, which Connect has as bytes with a parameter.
fn is_fixed(schema: &Schema) -> Option<Result<usize>> {
    let size = schema.parameter(names::FIXED_SIZE).filter(|_| schema.name().is_some())?;
    Some(
        size.parse()
            .map_err(|_| Error::data(format!("Invalid parameter {}: {size} is not a size.", names::FIXED_SIZE))),
    )
}

/// The types of key and value when a record stands for the entry of a map whose keys are not plain text.
fn is_map_entry(avro: &AvroSchema, id: TypeId) -> Option<Result<(TypeId, TypeId)>> {
    let ty = avro.get(id);
    let Kind::Record { name, fields } = &ty.kind else { return None };
    let own = name.strip_prefix(names::NAMESPACE).and_then(|rest| rest.strip_prefix('.')) == Some(names::MAP_ENTRY);
    if !own && ty.prop(names::CONNECT_INTERNAL_TYPE) != Some(names::MAP_ENTRY) {
        return None;
    }
    let find = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.ty);
    Some(match (find("key"), find("value")) {
        (Some(key), Some(value)) if fields.len() == 2 => Ok((key, value)),
        _ => Err(Error::data(
            "Found map encoded as array of key-value pairs, but array elements do not match the expected format.",
        )),
    })
}

/// Writes values of one Connect schema.
pub struct Encoder {
    write: Write,
    /// Bytes that are the whole message carry no length.
    raw: bool,
}

impl Encoder {
    /// For a Connect schema and the Avro schema that it is written with.
    pub fn new(schema: Option<&SchemaRef>, avro: &AvroSchema, settings: &Settings) -> Result<Self> {
        let raw = matches!(avro.get(avro.root).kind, Kind::Bytes);
        let write = match schema {
            Some(schema) => encode::compile(avro, avro.root, schema, settings)?,
            None if avro.name() == Some(names::ANYTHING) => Write::Anything,
            None => {
                return Err(Error::data(
                    "Data without a schema can only be written with Connect's own schema of anything.",
                ));
            }
        };
        Ok(Self { write, raw })
    }

    /// Appends one value.
    pub fn encode(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        match (self.raw, value) {
            (true, Value::Bytes(bytes)) => out.extend_from_slice(bytes),
            (true, Value::Decimal(decimal)) => {
                // Checks the scale.
                self.write.write(&mut Vec::new(), value)?;
                out.extend_from_slice(decimal.unscaled());
            }
            _ => self.write.write(out, value)?,
        }
        Ok(())
    }

    /// The same as Avro itself does it: bytes always carry their length.
    pub fn encode_framed(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        self.write.write(out, value)
    }
}

/// Reads values of one Avro schema.
pub struct Decoder {
    schema: Option<SchemaRef>,
    read: Read,
    raw: bool,
}

impl Decoder {
    /// For an Avro schema, and its version in the registry.
    pub fn new(avro: &AvroSchema, version: Option<i32>, settings: &Settings) -> Result<Self> {
        let schema = match avro.name() {
            Some(names::ANYTHING) => None,
            _ => Some(ToConnect::new(avro, settings).root(version)?),
        };
        let read = decode::compile_root(avro, schema.as_ref(), settings)?;
        Ok(Self { schema, read, raw: matches!(avro.get(avro.root).kind, Kind::Bytes) })
    }

    /// Reads a message behind its first `skip` bytes. As in Java, what follows the value is ignored.
    pub fn decode(&self, message: &Bytes, skip: usize) -> Result<Data> {
        Ok(self.decode_as(message, skip, self.raw)?.0)
    }

    /// The same as Avro itself does it: bytes always carry their length.
    pub fn decode_framed(&self, message: &Bytes) -> Result<Data> {
        Ok(self.decode_as(message, 0, false)?.0)
    }

    /// The value, and how many bytes follow it.
    fn decode_as(&self, message: &Bytes, skip: usize, raw: bool) -> Result<(Data, usize)> {
        let mut input = Input::new(message, skip);
        let value = match (&self.read, raw) {
            (Read::Decimal { scale, .. }, true) => {
                Value::Decimal(barnabas_connect::Decimal::new(input.take(input.left())?, *scale))
            }
            (_, true) => Value::Bytes(input.take(input.left())?),
            (read, false) => read.read(&mut input)?,
        };
        match &self.schema {
            // A union may be null as a whole.
            Some(schema) if value.is_null() && !schema.is_optional() => {
                Err(Error::data("Found null value for non-optional schema"))
            }
            schema => Ok((Data { schema: schema.clone(), value }, input.left())),
        }
    }
}

/// Avro in the hands of a converter.
pub struct Avro {
    settings: Settings,
    /// `avro.fail.on.trailing.data`
    whole: bool,
}

impl Format for Avro {
    const CLASS: &'static str = "io.confluent.connect.avro.AvroConverter";
    const TYPE: SchemaType = SchemaType::Avro;
    type Writer = Encoder;
    type Reader = Decoder;

    fn config_def() -> ConfigDef {
        let whole = "Whether bytes behind the value are an error, instead of ignored.";
        refused::define(Settings::config_def().define(flag("avro.fail.on.trailing.data", false, whole)), refused::AVRO)
    }

    fn new(config: &Config, serde: &SerdeConfig) -> Self {
        Self {
            settings: Settings { strict: serde.strict, ..Settings::new(config) },
            whole: config.boolean("avro.fail.on.trailing.data"),
        }
    }

    fn writer(&self, asking: &Asking<'_>, topic: &str, schema: Option<&SchemaRef>) -> Result<Written<Self>> {
        let own = from_connect::from_connect(schema, &self.settings)?;
        let (id, avro) = match asking.writing(topic, own.name(), &SchemaText::new(own.render()))? {
            WriteWith::Own { id } => (id, own),
            WriteWith::Theirs { id, text } => (id, AvroSchema::parse(&text.schema, &asking.references(&text)?)?),
        };
        let writer = Encoder::new(schema, &avro, &self.settings).map_err(|error| serde::unfit(id, &error))?;
        Ok(Written { id, writer })
    }

    fn reader(&self, asking: &Asking<'_>, topic: &str, id: u32) -> Result<Decoder> {
        let text = asking.reading(topic, id)?;
        let avro = AvroSchema::parse(&text.schema, &asking.references(&text)?)?;
        let version = asking.version(topic, avro.name(), &text)?;
        Decoder::new(&avro, version, &self.settings)
    }

    fn write(&self, data: &Data, writer: impl FnOnce() -> Result<Arc<Written<Self>>>) -> Result<Option<Bytes>> {
        if data.value.is_null() {
            return match &data.schema {
                Some(schema) if !schema.is_optional() => Err(Error::data("Found null value for non-optional schema")),
                _ => Ok(None),
            };
        }
        let Written { id, writer } = &*writer()?;
        let mut out = serde::begin(*id);
        writer.encode(&mut out, &data.value)?;
        Ok(Some(out.into()))
    }

    fn read(&self, reader: &Decoder, message: &Bytes, skip: usize) -> Result<Data> {
        let (data, left) = reader.decode_as(message, skip, reader.raw)?;
        if self.whole && left > 0 {
            return Err(Error::data(format!(
                "The message has {left} bytes behind its value, and avro.fail.on.trailing.data is true."
            )));
        }
        Ok(data)
    }
}
