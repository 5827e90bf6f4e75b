//! Protobuf messages to Connect schemas (`ProtobufData.toConnectSchema`).

use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Error, Result, SchemaBuilder, SchemaRef};
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, OneofDescriptor, ReflectMessage,
    Syntax, Value as Proto,
};

use super::{
    DATE, DECIMAL, ENUM, GENERAL_ENUM, GENERAL_UNION, Settings, TAG, TIME, TIMESTAMP, TYPE, UNION, WRAPPER, map_entry,
    wrapped,
};

/// The Connect schema of a message, with its version in the registry.
pub fn to_connect(message: &MessageDescriptor, version: Option<i32>, settings: &Settings) -> Result<SchemaRef> {
    let mut maker = Maker { settings, path: Vec::new() };
    let builder = match wrapped(message).filter(|_| settings.wrapper_for_raw_primitives) {
        Some(field) => SchemaBuilder::new(scalar(&field)),
        None => maker.message(message)?,
    };
    match version {
        Some(version) => builder.version(version).build(),
        None => builder.build(),
    }
}

/// The `oneof`s that were written as such, with their index; a label `optional` makes one, too.
pub fn real_oneofs(message: &MessageDescriptor) -> impl Iterator<Item = (usize, OneofDescriptor)> + '_ {
    message.oneofs().filter(|oneof| !oneof.is_synthetic()).enumerate()
}

pub fn in_real_oneof(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic())
}

/// Whether the field has the label `optional`, in the sense in which it makes a difference.
pub fn has_optional(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| oneof.is_synthetic())
        || (field.parent_file().syntax() == Syntax::Proto2
            && field.cardinality() == Cardinality::Optional
            && field.containing_oneof().is_none())
}

struct Maker<'a> {
    settings: &'a Settings,
    path: Vec<String>,
}

impl Maker<'_> {
    fn message(&mut self, message: &MessageDescriptor) -> Result<SchemaBuilder> {
        let full = message.full_name().to_owned();
        if self.path.contains(&full) {
            return Err(Error::data(format!(
                "The Protobuf message {full} contains itself. Connect's data has no such schema here."
            )));
        }
        self.path.push(full);
        let name = if self.settings.enhanced { message.full_name() } else { message.name() };
        let mut builder = SchemaBuilder::structure().name(name.to_owned());
        for (index, oneof) in real_oneofs(message) {
            if self.settings.flatten_unions {
                for field in oneof.fields() {
                    builder = builder.field(field.name().to_owned(), self.field(&field, true)?);
                }
            } else {
                let name = self.settings.union_field(oneof.name(), index);
                builder = builder.field(name, self.union(&oneof)?);
            }
        }
        // In the order of the declaration.
        let mut fields: Vec<FieldDescriptor> = message.fields().filter(|field| !in_real_oneof(field)).collect();
        fields.sort_by_key(|field| field.path().last().copied());
        for field in fields {
            builder = builder.field(field.name().to_owned(), self.field(&field, false)?);
        }
        self.path.pop();
        Ok(builder)
    }

    fn union(&mut self, oneof: &OneofDescriptor) -> Result<SchemaRef> {
        let mut builder = SchemaBuilder::structure();
        if self.settings.general {
            builder = builder.name(oneof.name().to_owned()).parameter(GENERAL_UNION, oneof.name().to_owned());
        } else {
            let name = if self.settings.enhanced { oneof.full_name() } else { oneof.name() };
            builder = builder.name(format!("{UNION}.{name}"));
        }
        for field in oneof.fields() {
            builder = builder.field(field.name().to_owned(), self.field(&field, true)?);
        }
        builder.optional().build()
    }

    fn field(&mut self, field: &FieldDescriptor, in_oneof: bool) -> Result<SchemaRef> {
        let mut optional = false;
        let mut builder = match field.kind() {
            Kind::Message(message) => {
                optional = true;
                self.message_field(field, &message)?
            }
            Kind::Enum(ty) => {
                optional = true;
                let kind = if self.settings.int_for_enums { SchemaKind::Int32 } else { SchemaKind::String };
                let marker = if self.settings.general { GENERAL_ENUM } else { ENUM };
                let name = if self.settings.enhanced { ty.full_name() } else { ty.name() };
                let builder = SchemaBuilder::new(kind).name(name.to_owned()).parameter(marker, ty.name().to_owned());
                ty.values().fold(builder, |builder, value| {
                    builder.parameter(format!("{marker}.{}", value.name()), value.number().to_string())
                })
            }
            kind => {
                let connect = param(field, "connect.type");
                match (&kind, connect.as_deref()) {
                    (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, Some("int8")) => SchemaBuilder::new(SchemaKind::Int8),
                    (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, Some("int16")) => {
                        SchemaBuilder::new(SchemaKind::Int16)
                    }
                    _ => match own_type(&kind) {
                        Some(name) => SchemaBuilder::new(scalar(field)).parameter(TYPE, name),
                        None => SchemaBuilder::new(scalar(field)),
                    },
                }
            }
        };
        if field.is_list() && map_entry(field).is_none() {
            builder = SchemaBuilder::array(builder.optional().build()?);
            optional = true;
        }
        if in_oneof {
            optional = true;
            if self.settings.wrapper_for_nullables
                && matches!(field.kind(), Kind::Message(message) if wrapped(&message).is_some())
            {
                builder = builder.parameter(WRAPPER, "true");
            }
        } else if self.settings.optional_for_nullables {
            optional |= has_optional(field);
        } else if !self.settings.wrapper_for_nullables {
            optional = true;
        }
        builder.set_optional(optional).parameter(TAG, field.number().to_string()).build()
    }

    fn message_field(&mut self, field: &FieldDescriptor, message: &MessageDescriptor) -> Result<SchemaBuilder> {
        Ok(match message.full_name() {
            DECIMAL => {
                let number = |name: &str| param(field, name).and_then(|text| text.parse::<i32>().ok());
                let builder = SchemaBuilder::decimal(number("scale").unwrap_or(0));
                match number("precision") {
                    Some(precision) => builder.parameter("connect.decimal.precision", precision.to_string()),
                    None => builder,
                }
            }
            DATE => SchemaBuilder::date(),
            TIME => SchemaBuilder::time(),
            TIMESTAMP => SchemaBuilder::timestamp(),
            _ => match (wrapped(message).filter(|_| self.settings.wrapper_for_nullables), map_entry(field)) {
                (Some(inner), _) => SchemaBuilder::new(scalar(&inner)),
                (None, Some((key, value))) => {
                    let name = if self.settings.enhanced { message.full_name() } else { message.name() };
                    SchemaBuilder::map(self.field(&key, false)?, self.field(&value, false)?).name(map_field_name(name))
                }
                (None, None) => self.message(message)?,
            },
        })
    }
}

/// The type of a field that is no message and no enum.
pub fn scalar(field: &FieldDescriptor) -> SchemaKind {
    match field.kind() {
        Kind::Double => SchemaKind::Float64,
        Kind::Float => SchemaKind::Float32,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => SchemaKind::Int32,
        Kind::Bool => SchemaKind::Boolean,
        Kind::String => SchemaKind::String,
        Kind::Bytes => SchemaKind::Bytes,
        _ => SchemaKind::Int64,
    }
}

/// The name of a type that Connect's own does not say.
fn own_type(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Sint32 => "sint32",
        Kind::Sfixed32 => "sfixed32",
        Kind::Uint32 => "uint32",
        Kind::Fixed32 => "fixed32",
        Kind::Uint64 => "uint64",
        Kind::Sint64 => "sint64",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed64 => "sfixed64",
        _ => return None,
    })
}

/// A parameter of the option `confluent.field_meta`.
fn param(field: &FieldDescriptor, name: &str) -> Option<String> {
    let options: DynamicMessage = field.options();
    let extension = field.parent_pool().get_extension_by_name("confluent.field_meta")?;
    if !options.has_extension(&extension) {
        return None;
    }
    let meta = options.get_extension(&extension).into_owned();
    let params = meta.as_message()?.transcode_to_dynamic().get_field_by_name("params")?.into_owned();
    match params.as_map()?.get(&MapKey::String(name.to_owned()))? {
        Proto::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// `ProtobufSchema.toMapField`: the name without `Entry`, its words in small letters.
fn map_field_name(entry: &str) -> String {
    let name = entry.strip_suffix("Entry").unwrap_or(entry);
    let mut out = String::with_capacity(name.len() + 4);
    for (index, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && index > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
