//! Connect schemas to Protobuf schemas (`ProtobufData.fromConnectSchema`).

use std::collections::BTreeSet;
use std::fmt::Write;

use barnabas_connect::schema::{Logical, SchemaKind};
use barnabas_connect::{Error, Result, Schema, SchemaRef};

use super::{
    DATE, DECIMAL, DEFAULT_NAME, ENUM, GENERAL_ENUM, GENERAL_UNION, Settings, TAG, TIME, TIMESTAMP, TYPE, UNION,
    WRAPPER, is_union,
};

/// The text of the Protobuf schema of a Connect schema. A plain value is a wrapper message of its own.
pub fn from_connect(schema: &SchemaRef, settings: &Settings) -> Result<String> {
    let mut maker = Maker { settings, imports: BTreeSet::new(), unnamed: 0 };
    if schema.kind() != SchemaKind::Struct {
        let (name, ty) = root_wrapper(schema.kind())?;
        // As the registry has Google's file.
        return Ok(format!(
            "syntax = \"proto3\";\npackage google.protobuf;\n\nmessage {name} {{\n  {ty} value = 1;\n}}\n"
        ));
    }
    let full = maker.full_name(schema.name());
    let (package, name) = match full.rsplit_once('.') {
        Some((package, name)) => (Some(package), name),
        None => (None, full.as_str()),
    };
    let body = maker.message(name, schema, 0)?;
    let mut text = String::from("syntax = \"proto3\";\n");
    if let Some(package) = package {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    for import in &maker.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !maker.imports.is_empty() {
        text.push('\n');
    }
    Ok(text + &body)
}

fn root_wrapper(kind: SchemaKind) -> Result<(&'static str, &'static str)> {
    Ok(match kind {
        SchemaKind::Int8 | SchemaKind::Int16 | SchemaKind::Int32 => ("Int32Value", "int32"),
        SchemaKind::Int64 => ("Int64Value", "int64"),
        SchemaKind::Float32 => ("FloatValue", "float"),
        SchemaKind::Float64 => ("DoubleValue", "double"),
        SchemaKind::Boolean => ("BoolValue", "bool"),
        SchemaKind::String => ("StringValue", "string"),
        SchemaKind::Bytes => ("BytesValue", "bytes"),
        other => return Err(Error::data(format!("Unsupported root schema of type {other}"))),
    })
}

struct Maker<'a> {
    settings: &'a Settings,
    imports: BTreeSet<&'static str>,
    unnamed: usize,
}

/// A message while it is written.
#[derive(Default)]
struct Body {
    fields: String,
    oneofs: String,
    nested: String,
    names: BTreeSet<String>,
}

/// The type of a field: its name, and what it says about Connect's own.
struct FieldType {
    name: String,
    params: Vec<(&'static str, String)>,
}

impl Maker<'_> {
    fn full_name(&mut self, name: Option<&str>) -> String {
        match name.filter(|name| !name.is_empty()) {
            Some(name) => name.split('.').map(|part| self.settings.name(part)).collect::<Vec<_>>().join("."),
            None => {
                self.unnamed += 1;
                format!("{DEFAULT_NAME}{}", self.unnamed)
            }
        }
    }

    fn simple_name(&mut self, name: Option<&str>) -> String {
        let full = self.full_name(name);
        full.rsplit('.').next().unwrap_or(&full).to_owned()
    }

    fn message(&mut self, name: &str, schema: &Schema, depth: usize) -> Result<String> {
        let mut body = Body::default();
        body.names.insert(name.to_owned());
        let mut number = 1;
        for field in schema.fields() {
            let tag = tag(field.schema())?.unwrap_or_else(|| {
                number += 1;
                number - 1
            });
            let name = self.settings.name(field.name());
            if is_union(field.schema()) {
                self.oneof(&mut body, &name, field.schema(), depth + 1)?;
            } else {
                let line = self.field(&mut body, &name, field.schema(), tag, false, depth + 1)?;
                body.fields.push_str(&line);
            }
        }
        let indent = "  ".repeat(depth);
        let parts = [body.fields, body.oneofs, body.nested].into_iter().filter(|part| !part.is_empty());
        Ok(format!("{indent}message {name} {{\n{}{indent}}}\n", parts.collect::<Vec<_>>().join("\n")))
    }

    fn oneof(&mut self, body: &mut Body, field: &str, schema: &Schema, depth: usize) -> Result<()> {
        let name = match schema.parameter(GENERAL_UNION) {
            Some(name) if self.settings.general => name.to_owned(),
            _ => {
                let own =
                    schema.name().and_then(|name| name.strip_prefix(UNION)).and_then(|name| name.strip_prefix('.'));
                self.simple_name(own.or(Some(field)))
            }
        };
        let mut lines = String::new();
        for (index, member) in schema.fields().iter().enumerate() {
            let tag = tag(member.schema())?.unwrap_or(index as u32 + 1);
            let line = self.field(body, &self.settings.name(member.name()), member.schema(), tag, true, depth + 1)?;
            lines.push_str(&line);
        }
        let indent = "  ".repeat(depth);
        let _ = write!(body.oneofs, "{indent}oneof {name} {{\n{lines}{indent}}}\n");
        Ok(())
    }

    fn field(
        &mut self,
        body: &mut Body,
        name: &str,
        schema: &SchemaRef,
        tag: u32,
        in_oneof: bool,
        depth: usize,
    ) -> Result<String> {
        let label = match schema.kind() {
            SchemaKind::Array | SchemaKind::Map => "repeated ",
            _ if self.settings.optional_for_nullables && schema.is_optional() && !in_oneof => "optional ",
            _ => "",
        };
        let inner = match schema.kind() {
            SchemaKind::Array => {
                schema.value_schema().ok_or_else(|| Error::data("An ARRAY schema has no schema for its items."))?
            }
            _ => schema,
        };
        let ty = self.field_type(body, name, inner, in_oneof, depth)?;
        let mut options = String::new();
        if !ty.params.is_empty() {
            self.imports.insert("confluent/meta.proto");
            let params = ty.params.iter().map(|(key, value)| format!("{{key: \"{key}\", value: \"{value}\"}}"));
            let params = params.collect::<Vec<_>>().join(", ");
            options = format!(" [(confluent.field_meta) = {{params: [{params}]}}]");
        }
        Ok(format!("{}{label}{} {name} = {tag}{options};\n", "  ".repeat(depth), ty.name))
    }

    fn field_type(
        &mut self,
        body: &mut Body,
        field: &str,
        schema: &SchemaRef,
        in_oneof: bool,
        depth: usize,
    ) -> Result<FieldType> {
        let plain = |name: &str| FieldType { name: name.to_owned(), params: Vec::new() };
        if let Some(logical) = schema.logical() {
            let (import, name) = match logical {
                Logical::Decimal => ("confluent/type/decimal.proto", DECIMAL),
                Logical::Date => ("google/type/date.proto", DATE),
                Logical::Time => ("google/type/timeofday.proto", TIME),
                Logical::Timestamp => ("google/protobuf/timestamp.proto", TIMESTAMP),
            };
            self.imports.insert(import);
            let mut ty = plain(name);
            if logical == Logical::Decimal {
                ty.params
                    .extend(schema.parameter("connect.decimal.precision").map(|text| ("precision", text.to_owned())));
                ty.params.extend(schema.parameter("scale").map(|text| ("scale", text.to_owned())));
            }
            return Ok(ty);
        }
        if let Some(name) = self.enumeration(body, schema, depth) {
            return Ok(plain(&name));
        }
        let marked = schema.parameter(WRAPPER).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let wrap = self.settings.wrapper_for_nullables && schema.is_optional() && (!in_oneof || marked);
        let own = |default: &'static str| schema.parameter(TYPE).unwrap_or(default).to_owned();
        let mut params = Vec::new();
        let (scalar, wrapper) = match schema.kind() {
            SchemaKind::Int8 | SchemaKind::Int16 => {
                params.push(("connect.type", schema.kind().name().to_owned()));
                ("int32".to_owned(), "Int32Value")
            }
            SchemaKind::Int32 => (own("int32"), "Int32Value"),
            SchemaKind::Int64 => {
                let ty = own("int64");
                let wrapper = match ty.as_str() {
                    "uint32" | "fixed32" => "UInt32Value",
                    "uint64" | "fixed64" => "UInt64Value",
                    _ => "Int64Value",
                };
                (ty, wrapper)
            }
            SchemaKind::Float32 => ("float".to_owned(), "FloatValue"),
            SchemaKind::Float64 => ("double".to_owned(), "DoubleValue"),
            SchemaKind::Boolean => ("bool".to_owned(), "BoolValue"),
            SchemaKind::String => ("string".to_owned(), "StringValue"),
            SchemaKind::Bytes => ("bytes".to_owned(), "BytesValue"),
            SchemaKind::Array => return Err(Error::data("Array cannot be nested")),
            SchemaKind::Map => {
                let name = map_entry_name(&self.simple_name(schema.name()));
                let key = schema.key_schema().ok_or_else(|| Error::data("A MAP schema has no schema for its keys."))?;
                let value =
                    schema.value_schema().ok_or_else(|| Error::data("A MAP schema has no schema for its values."))?;
                let mut entry = Body::default();
                let key = self.field(&mut entry, "key", key, 1, false, depth + 1)?;
                let value = self.field(&mut entry, "value", value, 2, false, depth + 1)?;
                if body.names.insert(name.clone()) {
                    let indent = "  ".repeat(depth);
                    let _ = write!(body.nested, "{indent}message {name} {{\n{key}{value}{}{indent}}}\n", entry.nested);
                }
                return Ok(plain(&name));
            }
            SchemaKind::Struct => {
                let mut name = self.simple_name(schema.name());
                if name == field {
                    name.push_str("Message");
                }
                if body.names.insert(name.clone()) {
                    let nested = self.message(&name, schema, depth)?;
                    body.nested.push_str(&nested);
                }
                return Ok(plain(&name));
            }
        };
        if wrap {
            self.imports.insert("google/protobuf/wrappers.proto");
            return Ok(FieldType { name: format!("google.protobuf.{wrapper}"), params });
        }
        Ok(FieldType { name: scalar, params })
    }

    fn enumeration(&mut self, body: &mut Body, schema: &Schema, depth: usize) -> Option<String> {
        let marker = if self.settings.general { GENERAL_ENUM } else { ENUM };
        let name = schema.parameter(GENERAL_ENUM).or_else(|| schema.parameter(ENUM))?.to_owned();
        if body.names.insert(name.clone()) {
            let indent = "  ".repeat(depth);
            let _ = writeln!(body.nested, "{indent}enum {name} {{");
            for (key, value) in schema.parameters().unwrap_or_default() {
                if let Some(symbol) = key.strip_prefix(marker).and_then(|rest| rest.strip_prefix('.')) {
                    let _ = writeln!(body.nested, "{indent}  {symbol} = {value};");
                }
            }
            let _ = writeln!(body.nested, "{indent}}}");
        }
        Some(name)
    }
}

fn tag(schema: &Schema) -> Result<Option<u32>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Error::data(format!("Invalid parameter {TAG}: {text} is not a field number.")))
    };
    schema.parameter(TAG).map(parse).transpose()
}

/// `ProtobufSchema.toMapEntry`
fn map_entry_name(name: &str) -> String {
    let camel = if name.contains('_') {
        name.split('_')
            .map(|word| {
                let mut chars = word.chars();
                chars.next().map_or_else(String::new, |first| {
                    first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect()
                })
            })
            .collect()
    } else {
        name.to_owned()
    };
    format!("{camel}Entry")
}
