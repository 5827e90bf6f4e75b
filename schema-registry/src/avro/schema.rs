//! Avro schemas, with every property that a schema has beside what Avro itself knows: Connect's metadata is there.

use std::collections::HashMap;

use barnabas_connect::{Error, Result};
use serde_json::{Map, Value as Json};

/// The index of a type in its schema. Types may refer to each other in circles.
pub type TypeId = usize;

/// A whole schema: its types, and which of them is the schema.
#[derive(Clone, Debug, Default)]
pub struct AvroSchema {
    pub(super) types: Vec<Type>,
    pub(super) root: TypeId,
}

/// One type.
#[derive(Clone, Debug)]
pub struct Type {
    pub kind: Kind,
    pub doc: Option<String>,
    /// All else, in order.
    pub props: Map<String, Json>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    Record { name: String, fields: Vec<AvroField> },
    Enum { name: String, symbols: Vec<String>, default: Option<String> },
    Fixed { name: String, size: usize },
}

#[derive(Clone, Debug, PartialEq)]
pub struct AvroField {
    pub name: String,
    pub ty: TypeId,
    pub doc: Option<String>,
    pub default: Option<Json>,
    pub props: Map<String, Json>,
}

impl Kind {
    /// The name of the type, `record`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record { .. } => "record",
            Self::Enum { .. } => "enum",
            Self::Fixed { .. } => "fixed",
        }
    }

    /// The full name of a named type.
    pub fn full_name(&self) -> Option<&str> {
        match self {
            Self::Record { name, .. } | Self::Enum { name, .. } | Self::Fixed { name, .. } => Some(name),
            _ => None,
        }
    }

    fn primitive(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }
}

impl Type {
    pub fn new(kind: Kind) -> Self {
        Self { kind, doc: None, props: Map::new() }
    }

    /// A property that is text.
    pub fn prop(&self, name: &str) -> Option<&str> {
        self.props.get(name)?.as_str()
    }
}

/// The part behind the last dot.
pub fn simple_name(full: &str) -> &str {
    full.rsplit('.').next().unwrap_or(full)
}

/// The part before the last dot.
pub fn namespace(full: &str) -> Option<&str> {
    full.rsplit_once('.').map(|(namespace, _)| namespace)
}

impl AvroSchema {
    /// Parses a schema. Those in `references` may be used by name.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<Self> {
        let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
        for (name, reference) in references {
            parser.text(reference, &format!("The schema {name}"))?;
        }
        let root = parser.text(text, "The schema")?;
        Ok(Self { types: parser.types, root })
    }

    pub(super) fn get(&self, id: TypeId) -> &Type {
        &self.types[id]
    }

    pub(super) fn add(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        self.types.len() - 1
    }

    /// The full name of the schema itself, when it is a record or another named type.
    pub fn name(&self) -> Option<&str> {
        self.get(self.root).kind.full_name()
    }
}

struct Parser {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
}

impl Parser {
    fn text(&mut self, text: &str, what: &str) -> Result<TypeId> {
        // A schema that is just a name need not be quoted.
        let json = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(_) if Kind::primitive(text.trim()).is_some() => Json::from(text.trim()),
            Err(error) => return Err(Error::data(format!("{what} is not an Avro schema: {error}"))),
        };
        self.schema(&json, None)
            .map_err(|error| Error::data(format!("{what} is not an Avro schema: {}", error.message())))
    }

    fn add(&mut self, ty: Type) -> TypeId {
        self.types.push(ty);
        self.types.len() - 1
    }

    fn schema(&mut self, json: &Json, space: Option<&str>) -> Result<TypeId> {
        match json {
            Json::String(name) => self.named(name, space),
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, space)).collect::<Result<Vec<_>>>()?;
                Ok(self.add(Type::new(Kind::Union(branches))))
            }
            Json::Object(members) => self.object(members, space),
            other => Err(Error::data(format!("{other} is no type"))),
        }
    }

    fn named(&mut self, name: &str, space: Option<&str>) -> Result<TypeId> {
        if let Some(kind) = Kind::primitive(name) {
            return Ok(self.add(Type::new(kind)));
        }
        let qualified = space.filter(|_| !name.contains('.')).map(|space| format!("{space}.{name}"));
        let found = qualified.and_then(|name| self.names.get(&name)).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| Error::data(format!("{name} is not defined")))
    }

    fn object(&mut self, members: &Map<String, Json>, space: Option<&str>) -> Result<TypeId> {
        let ty = match members.get("type") {
            Some(Json::String(ty)) => ty.as_str(),
            Some(nested) => return self.schema(nested, space),
            None => return Err(Error::data("a type has no \"type\"")),
        };
        let kind = match ty {
            "array" => Kind::Array(self.member(members, "items", space)?),
            "map" => Kind::Map(self.member(members, "values", space)?),
            "record" | "error" | "enum" | "fixed" => return self.define(ty, members, space),
            _ => match Kind::primitive(ty) {
                Some(kind) => kind,
                None => return self.named(ty, space),
            },
        };
        Ok(self.add(Type { kind, doc: None, props: props(members, &SCHEMA_RESERVED) }))
    }

    fn member(&mut self, members: &Map<String, Json>, name: &str, space: Option<&str>) -> Result<TypeId> {
        match members.get(name) {
            Some(json) => self.schema(json, space),
            None => Err(Error::data(format!("\"{name}\" is missing"))),
        }
    }

    fn define(&mut self, ty: &str, members: &Map<String, Json>, space: Option<&str>) -> Result<TypeId> {
        let text = |name: &str| members.get(name).and_then(Json::as_str);
        let name = text("name").ok_or_else(|| Error::data(format!("a {ty} has no \"name\"")))?;
        let full = match text("namespace").or(space).filter(|space| !space.is_empty()) {
            Some(space) if !name.contains('.') => format!("{space}.{name}"),
            _ => name.to_owned(),
        };
        if self.names.contains_key(&full) {
            return Err(Error::data(format!("{full} is defined twice")));
        }
        let kind = match ty {
            "enum" => {
                let symbols = members.get("symbols").and_then(Json::as_array);
                let symbols = symbols.ok_or_else(|| Error::data(format!("the enum {full} has no \"symbols\"")))?;
                let symbols = symbols.iter().map(|symbol| symbol.as_str().unwrap_or_default().to_owned()).collect();
                Kind::Enum { name: full.clone(), symbols, default: text("default").map(str::to_owned) }
            }
            "fixed" => {
                let size = members.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| Error::data(format!("the fixed {full} has no \"size\"")))?;
                Kind::Fixed { name: full.clone(), size }
            }
            _ => Kind::Record { name: full.clone(), fields: Vec::new() },
        };
        let reserved: &[&str] = if ty == "enum" { &ENUM_RESERVED } else { &SCHEMA_RESERVED };
        let doc = text("doc").map(str::to_owned);
        let id = self.add(Type { kind, doc, props: props(members, reserved) });
        self.names.insert(full.clone(), id);
        if matches!(ty, "record" | "error") {
            let json = members.get("fields").and_then(Json::as_array);
            let json = json.ok_or_else(|| Error::data(format!("the record {full} has no \"fields\"")))?;
            let inner = namespace(&full).map(str::to_owned);
            let parsed =
                json.iter().map(|field| self.field(field, &full, inner.as_deref())).collect::<Result<Vec<_>>>()?;
            if let Some(twice) =
                parsed.iter().enumerate().find(|(at, field)| parsed[..*at].iter().any(|other| other.name == field.name))
            {
                return Err(Error::data(format!("the record {full} has two fields {}", twice.1.name)));
            }
            if let Kind::Record { fields, .. } = &mut self.types[id].kind {
                *fields = parsed;
            }
        }
        Ok(id)
    }

    fn field(&mut self, json: &Json, record: &str, space: Option<&str>) -> Result<AvroField> {
        let members = json.as_object().ok_or_else(|| Error::data(format!("a field of {record} is no object")))?;
        let text = |name: &str| members.get(name).and_then(Json::as_str);
        let name = text("name").ok_or_else(|| Error::data(format!("a field of {record} has no \"name\"")))?;
        Ok(AvroField {
            name: name.to_owned(),
            ty: self.member(members, "type", space)?,
            doc: text("doc").map(str::to_owned),
            default: members.get("default").cloned(),
            props: props(members, &FIELD_RESERVED),
        })
    }
}

const SCHEMA_RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const ENUM_RESERVED: [&str; 11] =
    ["default", "doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];

fn props(members: &Map<String, Json>, reserved: &[&str]) -> Map<String, Json> {
    let own = members.iter().filter(|(name, _)| !reserved.contains(&name.as_str()));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
