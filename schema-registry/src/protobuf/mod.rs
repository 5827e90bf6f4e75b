//! `io.confluent.connect.protobuf.ProtobufConverter`: Protobuf's binary form, the schema in a registry.

mod decode;
mod encode;
mod from_connect;
mod pool;
mod to_connect;

use std::collections::HashMap;
use std::sync::Arc;

use barnabas_connect::{Config, ConfigDef, Data, Error, Result, Schema, SchemaRef, Value};
use bytes::Bytes;
use parking_lot::Mutex;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::client::{SchemaText, SchemaType};
use crate::config::{SerdeConfig, data_keys, flag, refused};
use crate::converter::{Format, RegistryConverter, Written};
use crate::input::Input;
use crate::serde::{self, Asking, WriteWith};
use decode::MessageRead;
use encode::Write;

pub use from_connect::from_connect;
pub use pool::ProtoSchema;

/// The converter.
pub type ProtobufConverter = RegistryConverter<Protobuf>;

/// The name of a struct that stands for a `oneof`, and what it begins with.
const UNION: &str = "io.confluent.connect.protobuf.Union";
const ENUM: &str = "io.confluent.connect.protobuf.Enum";
const TAG: &str = "io.confluent.connect.protobuf.Tag";
const TYPE: &str = "io.confluent.connect.protobuf.Type";
const WRAPPER: &str = "io.confluent.connect.protobuf.Wrapper";
const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
const DEFAULT_NAME: &str = "ConnectDefault";
const DECIMAL: &str = "confluent.type.Decimal";
const DATE: &str = "google.type.Date";
const TIME: &str = "google.type.TimeOfDay";
const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// How Connect's data and Protobuf's are mapped (`ProtobufDataConfig`).
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `enhanced.protobuf.schema.support`
    pub enhanced: bool,
    /// `scrub.invalid.names`
    pub scrub: bool,
    /// `int.for.enums`
    pub int_for_enums: bool,
    /// `optional.for.nullables`
    pub optional_for_nullables: bool,
    /// `optional.for.proto2`
    pub optional_for_proto2: bool,
    /// `wrapper.for.nullables`
    pub wrapper_for_nullables: bool,
    /// `wrapper.for.raw.primitives`
    pub wrapper_for_raw_primitives: bool,
    /// `generate.struct.for.nulls`
    pub struct_for_nulls: bool,
    /// `generate.index.for.unions`
    pub index_for_unions: bool,
    /// `flatten.unions`
    pub flatten_unions: bool,
    /// `generalized.sum.type.support`
    pub general: bool,
    /// `ignore.default.for.nullables`
    pub ignore_default: bool,
}

impl Settings {
    /// The keys of the mapping.
    pub fn config_def() -> ConfigDef {
        data_keys()
            .define(flag(
                "enhanced.protobuf.schema.support",
                false,
                "Whether the names of Connect's schemas have the package in front.",
            ))
            .define(flag(
                "scrub.invalid.names",
                false,
                "Whether names that Protobuf does not allow are replaced by valid ones.",
            ))
            .define(flag("int.for.enums", false, "Whether enums are read as integers instead of strings."))
            .define(flag("optional.for.nullables", false, "Whether what may be null has the label `optional`."))
            .define(flag("optional.for.proto2", true, "Whether the label `optional` of proto2 makes a field nullable."))
            .define(flag("wrapper.for.nullables", false, "Whether what may be null is in a wrapper message."))
            .define(flag(
                "wrapper.for.raw.primitives",
                true,
                "Whether a wrapper message at the root is read as the value in it.",
            ))
            .define(flag(
                "generate.struct.for.nulls",
                false,
                "Whether a message that is not there is read as one with default values.",
            ))
            .define(flag(
                "generate.index.for.unions",
                true,
                "Whether the field that stands for a `oneof` has its index behind its name.",
            ))
            .define(flag("flatten.unions", false, "Whether the fields of a `oneof` are read as fields of the message."))
    }

    /// From parsed keys.
    pub fn new(config: &Config) -> Self {
        Self {
            enhanced: config.boolean("enhanced.protobuf.schema.support"),
            scrub: config.boolean("scrub.invalid.names"),
            int_for_enums: config.boolean("int.for.enums"),
            optional_for_nullables: config.boolean("optional.for.nullables"),
            optional_for_proto2: config.boolean("optional.for.proto2"),
            wrapper_for_nullables: config.boolean("wrapper.for.nullables"),
            wrapper_for_raw_primitives: config.boolean("wrapper.for.raw.primitives"),
            struct_for_nulls: config.boolean("generate.struct.for.nulls"),
            index_for_unions: config.boolean("generate.index.for.unions"),
            flatten_unions: config.boolean("flatten.unions"),
            general: config.boolean("generalized.sum.type.support"),
            ignore_default: config.boolean("ignore.default.for.nullables"),
        }
    }

    /// A name that Protobuf allows; it must not begin with an underscore either.
    fn name(&self, name: &str) -> String {
        if !self.scrub {
            return name.to_owned();
        }
        let scrubbed = crate::names::scrub(name);
        if scrubbed.starts_with('_') && name.starts_with('_') { format!("x{scrubbed}") } else { scrubbed }
    }

    fn union_field(&self, name: &str, index: usize) -> String {
        if self.index_for_unions { format!("{name}_{index}") } else { name.to_owned() }
    }
}

fn is_union(schema: &Schema) -> bool {
    schema.name().is_some_and(|name| name.starts_with(UNION)) || schema.parameter(GENERAL_UNION).is_some()
}

/// The only field of a wrapper message (`google.protobuf.Int32Value` and its like).
fn wrapped(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    let name = message.full_name().strip_prefix("google.protobuf.")?.strip_suffix("Value")?;
    let wrappers = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
    wrappers.contains(&name).then(|| message.get_field(1)).flatten()
}

/// The key and the value when a repeated message is the entry of a map; it need not have been declared as one.
fn map_entry(field: &FieldDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    let Kind::Message(message) = field.kind() else { return None };
    let (key, value) = (message.get_field_by_name("key")?, message.get_field_by_name("value")?);
    let is_entry = (field.is_list() || field.is_map())
        && message.name().ends_with("Entry")
        && message.fields().count() == 2
        && key.number() < value.number()
        && !key.is_list()
        && !value.is_list();
    is_entry.then_some((key, value))
}

/// Writes values of one Connect schema.
pub struct Encoder {
    index: Vec<u8>,
    write: Write,
}

impl Encoder {
    /// For a Connect schema and the Protobuf schema that it is written with.
    pub fn new(schema: &SchemaRef, proto: &ProtoSchema, settings: &Settings) -> Result<Self> {
        let message = proto.message_for(schema.name())?;
        let mut index = Vec::new();
        encode::put_indexes(&mut index, &proto.path_of(&message)?);
        Ok(Self { index, write: Write::root(schema, &message, settings)? })
    }

    /// Appends which message it is, and the message.
    pub fn encode(&self, out: &mut Vec<u8>, value: &Value) -> Result<()> {
        out.extend_from_slice(&self.index);
        self.write.message(out, value)
    }
}

/// Reads values of one Protobuf message.
pub struct Decoder {
    schema: SchemaRef,
    read: MessageRead,
}

impl Decoder {
    /// For the message with this path of indexes.
    pub fn new(proto: &ProtoSchema, path: &[usize], version: Option<i32>, settings: &Settings) -> Result<Self> {
        let message = proto.message_at(path)?;
        let schema = to_connect::to_connect(&message, version, settings)?;
        let read = decode::compile(&message, &schema, settings)?;
        Ok(Self { schema, read })
    }

    /// Reads a message behind its first `skip` bytes.
    pub fn decode(&self, bytes: &Bytes, skip: usize) -> Result<Data> {
        let value = self.read.read(Input::new(bytes, skip), None)?;
        Ok(Data { schema: Some(self.schema.clone()), value })
    }
}

/// The path of indexes at the beginning of a message, and how many bytes it takes.
pub fn message_indexes(bytes: &Bytes, skip: usize) -> Result<(Vec<usize>, usize)> {
    let mut input = Input::new(bytes, skip);
    let before = input.left();
    let mut number = || {
        let raw = input.varint(10)?;
        let value = (raw >> 1) as i64 ^ -((raw & 1) as i64);
        usize::try_from(value).map_err(|_| Error::data(format!("A message index is negative: {value}.")))
    };
    let count = number()?;
    // Messages are not nested any deeper.
    if count > 100 {
        return Err(Error::data(format!("{count} message indexes are announced.")));
    }
    let path = if count == 0 { vec![0] } else { (0..count).map(|_| number()).collect::<Result<Vec<_>>>()? };
    Ok((path, before - input.left()))
}

/// Protobuf in the hands of a converter.
pub struct Protobuf {
    settings: Settings,
}

/// Reads the messages of one schema, each of which says which of its kinds it is.
pub struct Reader {
    proto: ProtoSchema,
    version: Option<i32>,
    /// No more than the schema has kinds.
    decoders: Mutex<HashMap<Vec<usize>, Arc<Decoder>>>,
}

impl Reader {
    fn decoder(&self, path: Vec<usize>, settings: &Settings) -> Result<Arc<Decoder>> {
        let mut decoders = self.decoders.lock();
        if let Some(decoder) = decoders.get(&path) {
            return Ok(Arc::clone(decoder));
        }
        let decoder = Arc::new(Decoder::new(&self.proto, &path, self.version, settings)?);
        decoders.insert(path, Arc::clone(&decoder));
        Ok(decoder)
    }
}

impl Format for Protobuf {
    const CLASS: &'static str = "io.confluent.connect.protobuf.ProtobufConverter";
    const TYPE: SchemaType = SchemaType::Protobuf;
    type Writer = Encoder;
    type Reader = Reader;

    fn config_def() -> ConfigDef {
        refused::define(Settings::config_def(), refused::PROTOBUF)
    }

    fn new(config: &Config, _serde: &SerdeConfig) -> Self {
        Self { settings: Settings::new(config) }
    }

    fn writer(&self, asking: &Asking<'_>, topic: &str, schema: Option<&SchemaRef>) -> Result<Written<Self>> {
        let schema = schema.ok_or_else(|| Error::data("Data without a schema cannot be written as Protobuf"))?;
        let text = from_connect(schema, &self.settings)?;
        let own = ProtoSchema::parse(&text, &[])?;
        let name = own.message_for(schema.name())?.full_name().to_owned();
        let (id, proto) = match asking.writing(topic, Some(&name), &SchemaText::new(text))? {
            WriteWith::Own { id } => (id, own),
            WriteWith::Theirs { id, text } => (id, ProtoSchema::parse(&text.schema, &asking.references(&text)?)?),
        };
        let writer = Encoder::new(schema, &proto, &self.settings).map_err(|error| serde::unfit(id, &error))?;
        Ok(Written { id, writer })
    }

    fn reader(&self, asking: &Asking<'_>, topic: &str, id: u32) -> Result<Reader> {
        let text = asking.reading(topic, id)?;
        let proto = ProtoSchema::parse(&text.schema, &asking.references(&text)?)?;
        let name = proto.message_at(&[0]).ok().map(|message| message.full_name().to_owned());
        let version = asking.version(topic, name.as_deref(), &text)?;
        Ok(Reader { proto, version, decoders: Mutex::default() })
    }

    fn write(&self, data: &Data, writer: impl FnOnce() -> Result<Arc<Written<Self>>>) -> Result<Option<Bytes>> {
        if data.value.is_null() {
            return Ok(None);
        }
        let Written { id, writer } = &*writer()?;
        let mut out = serde::begin(*id);
        writer.encode(&mut out, &data.value)?;
        Ok(Some(out.into()))
    }

    fn read(&self, reader: &Reader, message: &Bytes, skip: usize) -> Result<Data> {
        let (path, length) = message_indexes(message, skip)?;
        reader.decoder(path, &self.settings)?.decode(message, skip + length)
    }
}
