//! JSON Schemas to Connect schemas (`JsonSchemaData.toConnectSchema`).

use barnabas_connect::json::parse;
use barnabas_connect::schema::SchemaKind;
use barnabas_connect::{Error, Result, Schema, SchemaBuilder, SchemaRef, Value, java};
use serde_json::{Map, Value as Json, json};

use super::{ENUM, GENERAL_ENUM, GENERAL_UNION, ONE_OF, Settings, read};

/// The Connect schema of a JSON Schema; `references` are the schemas that it names, `version` is its version in the registry.
pub fn to_connect(
    schema: &Json,
    references: &[(String, String)],
    version: Option<i32>,
    settings: &Settings,
) -> Result<SchemaRef> {
    let mut documents = vec![(String::new(), schema.clone())];
    for (name, text) in references {
        let json = serde_json::from_str(text)
            .map_err(|error| Error::data(format!("The schema {name} is not JSON: {error}")))?;
        documents.push((name.clone(), json));
    }
    let mut reader = Reader { documents: &documents, settings, unions: 0, depth: 0 };
    reader.make(schema, 0, version, false)
}

/// Schemas may refer to themselves, which Connect's data here cannot.
const MAX_DEPTH: usize = 64;

struct Reader<'a> {
    /// The schema itself, then those that it refers to, by name.
    documents: &'a [(String, Json)],
    settings: &'a Settings,
    unions: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn make(&mut self, schema: &Json, document: usize, version: Option<i32>, optional: bool) -> Result<SchemaRef> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::data(
                "The JSON Schema contains itself or is nested more than 64 levels deep. Connect's data has no such schema here.",
            ));
        }
        let made = self.make_inside(schema, document, version, optional);
        self.depth -= 1;
        made
    }

    fn make_inside(
        &mut self,
        schema: &Json,
        document: usize,
        version: Option<i32>,
        optional: bool,
    ) -> Result<SchemaRef> {
        let Json::Object(members) = schema else {
            return Err(Error::data(format!("Unsupported schema: {schema}")));
        };
        if let Some(reference) = members.get("$ref").and_then(Json::as_str) {
            let (referred, document) = self.resolve(reference, document)?;
            return self.make(referred, document, version, optional);
        }
        if let Some(Json::Array(types)) = members.get("type") {
            // Several types are any of them, each with all other rules.
            let each = types.iter().map(|ty| {
                let mut own = if ty == "null" { Map::new() } else { members.clone() };
                own.insert("type".into(), ty.clone());
                Json::Object(own)
            });
            let each: Vec<Json> = each.collect();
            return match &each[..] {
                [only] => self.make(only, document, version, optional),
                _ => self.union(&each, &Map::new(), document, version, optional),
            };
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(Json::Array(schemas)) = members.get(word) {
                return self.union(schemas, members, document, version, optional);
            }
        }
        if let Some(Json::Array(schemas)) = members.get("allOf") {
            let merged = self.all_of(schemas, document)?;
            return self.make(&merged, document, version, optional);
        }
        let builder = self.base(members, document)?;
        finish(builder, members, version, optional)
    }

    fn base(&mut self, members: &Map<String, Json>, document: usize) -> Result<SchemaBuilder> {
        let connect = members.get("connect.type").and_then(Json::as_str);
        if let Some(symbols) = members.get("enum").and_then(Json::as_array) {
            return Ok(self.enumeration(symbols));
        }
        if let Some(only) = members.get("const") {
            return Ok(self.enumeration(std::slice::from_ref(only)));
        }
        let ty = members.get("type").and_then(Json::as_str).or_else(|| implied(members)).unwrap_or_default();
        Ok(match (ty, connect) {
            ("boolean", _) => SchemaBuilder::new(SchemaKind::Boolean),
            ("integer" | "number", Some(connect)) => SchemaBuilder::new(number_kind(connect)?),
            ("integer", None) => SchemaBuilder::new(SchemaKind::Int64),
            ("number", None) => SchemaBuilder::new(SchemaKind::Float64),
            ("string", Some("bytes")) => SchemaBuilder::new(SchemaKind::Bytes),
            ("string", _) => SchemaBuilder::new(SchemaKind::String),
            ("array", connect) => {
                let items =
                    members.get("items").ok_or_else(|| Error::data("Array schema did not specify the items type"))?;
                match (connect, items.get("properties")) {
                    (Some("map"), Some(entry)) => {
                        let part = |name: &str| {
                            entry
                                .get(name)
                                .ok_or_else(|| Error::data(format!("The entries of a map have no property {name}.")))
                        };
                        let (key, value) = (part("key")?, part("value")?);
                        SchemaBuilder::map(
                            self.make(key, document, None, false)?,
                            self.make(value, document, None, false)?,
                        )
                    }
                    _ => SchemaBuilder::array(self.make(items, document, None, false)?),
                }
            }
            ("object", Some("map")) => {
                let values = members.get("additionalProperties").cloned().unwrap_or_else(|| json!({}));
                SchemaBuilder::map(Schema::string(), self.make(&values, document, None, false)?)
            }
            ("object", _) => self.structure(members, document)?,
            _ => {
                return Err(Error::data(format!(
                    "Unsupported schema type: {} says neither type nor properties",
                    Json::Object(members.clone())
                )));
            }
        })
    }

    fn structure(&mut self, members: &Map<String, Json>, document: usize) -> Result<SchemaBuilder> {
        let required = members.get("required").and_then(Json::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|required| required == name));
        let mut properties: Vec<(&String, &Json)> =
            members.get("properties").and_then(Json::as_object).into_iter().flatten().collect();
        // The original keeps properties in a hash map; those with an index then take its place.
        java::hash_order(&mut properties, java::HASH_MAP_DEFAULT, |(name, _)| Some(java::string_hash(name)));
        let mut ordered: Vec<(u64, &String, &Json)> = Vec::with_capacity(properties.len());
        for (at, (name, schema)) in properties.into_iter().enumerate() {
            ordered.push((schema.get("connect.index").and_then(Json::as_u64).unwrap_or(at as u64), name, schema));
        }
        ordered.sort_by_key(|(index, _, _)| *index);
        let mut builder = SchemaBuilder::structure();
        for (_, name, schema) in ordered {
            let optional = self.settings.optional_for_nonrequired && !is_required(name);
            builder = builder.field(name.clone(), self.make(schema, document, None, optional)?);
        }
        Ok(builder)
    }

    fn union(
        &mut self,
        schemas: &[Json],
        members: &Map<String, Json>,
        document: usize,
        version: Option<i32>,
        optional: bool,
    ) -> Result<SchemaRef> {
        let is_null = |schema: &Json| schema.get("type").is_some_and(|ty| ty == "null");
        match schemas {
            [only] if self.settings.flatten_singleton => return self.make(only, document, None, false),
            [null, other] | [other, null] if is_null(null) => return self.make(other, document, version, true),
            _ => {}
        }
        let mut builder = SchemaBuilder::structure();
        let name = if self.settings.general { format!("connect_union_{}", self.unions) } else { ONE_OF.to_owned() };
        if self.settings.general {
            self.unions += 1;
            builder = builder.parameter(GENERAL_UNION, name.clone());
        }
        let prefix = if self.settings.general { "connect_union_field_".to_owned() } else { format!("{name}.field.") };
        builder = builder.name(name);
        for (index, schema) in schemas.iter().filter(|schema| !is_null(schema)).enumerate() {
            builder = builder.field(format!("{prefix}{index}"), self.make(schema, document, None, true)?);
        }
        finish(builder, members, version, optional || schemas.iter().any(is_null))
    }

    /// One schema that says what all say: the properties of all, or the rules of plain values.
    fn all_of(&mut self, schemas: &[Json], document: usize) -> Result<Json> {
        let mut merged = Map::new();
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for schema in schemas {
            let mut schema = schema.clone();
            for _ in 0..MAX_DEPTH {
                let Some(reference) = schema.get("$ref").and_then(Json::as_str) else { break };
                schema = self.resolve(reference, document)?.0.clone();
            }
            if let Some(Json::Array(inner)) = schema.get("allOf") {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Error::data("The JSON Schema contains itself."));
                }
                schema = self.all_of(inner, document)?;
                self.depth -= 1;
            }
            let Json::Object(members) = schema else { continue };
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("properties", Json::Object(own)) => properties.extend(own),
                    ("required", Json::Array(own)) => required.extend(own),
                    (_, value) => _ = merged.insert(name, value),
                }
            }
        }
        if !properties.is_empty() {
            merged.insert("type".into(), "object".into());
            merged.insert("properties".into(), properties.into());
            merged.insert("required".into(), required.into());
        }
        Ok(merged.into())
    }

    fn enumeration(&self, symbols: &[Json]) -> SchemaBuilder {
        let marker = if self.settings.general { GENERAL_ENUM } else { ENUM };
        let mut builder = SchemaBuilder::new(SchemaKind::String).parameter(marker, "");
        for (index, symbol) in symbols.iter().enumerate() {
            let symbol = match symbol {
                Json::Null => "<NULL>".to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let value = if self.settings.general { index.to_string() } else { symbol.clone() };
            builder = builder.parameter(format!("{marker}.{symbol}"), value);
        }
        builder
    }

    fn resolve(&self, reference: &str, document: usize) -> Result<(&'a Json, usize)> {
        let unknown = || Error::data(format!("The JSON Schema refers to {reference}, which is not there."));
        let (name, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let index = if name.is_empty() {
            document
        } else {
            let found = self.documents.iter().skip(1).position(|(known, _)| known == name || known == reference);
            found.ok_or_else(unknown)? + 1
        };
        let pointer = if pointer.is_empty() || pointer == "/" { "" } else { pointer };
        Ok((self.documents[index].1.pointer(pointer).ok_or_else(unknown)?, index))
    }
}

fn finish(
    mut builder: SchemaBuilder,
    members: &Map<String, Json>,
    version: Option<i32>,
    optional: bool,
) -> Result<SchemaRef> {
    let text = |name: &str| members.get(name).and_then(Json::as_str);
    if let Some(title) = text("title")
        && builder.clone().build()?.name().is_none()
    {
        builder = builder.name(title.to_owned());
    }
    let own = members.get("connect.version").and_then(Json::as_i64).and_then(|version| i32::try_from(version).ok());
    if let Some(version) = own.or(version) {
        builder = builder.version(version);
    }
    if let Some(doc) = text("description") {
        builder = builder.doc(doc.to_owned());
    }
    for (name, value) in members.get("connect.parameters").and_then(Json::as_object).into_iter().flatten() {
        let value = value.as_str().ok_or_else(|| Error::data(format!("The parameter {name} is no string: {value}")))?;
        builder = builder.parameter(name.clone(), value.to_owned());
    }
    builder = builder.set_optional(optional);
    if let Some(default) = members.get("default") {
        let plain = builder.clone().build()?;
        let text = default.to_string();
        let node = parse(&text).map_err(|error| Error::data(format!("Invalid default value: {error}")))?;
        match read::value(&plain, node.as_ref())? {
            Value::Null => {}
            value => builder = builder.default_value(value),
        }
    }
    builder.build()
}

fn implied(members: &Map<String, Json>) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| members.contains_key(*word));
    if has(&["properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties"]) {
        Some("object")
    } else if has(&["items", "minItems", "maxItems", "uniqueItems"]) {
        Some("array")
    } else if has(&["minLength", "maxLength", "pattern", "format"]) {
        Some("string")
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        Some("number")
    } else {
        None
    }
}

fn number_kind(connect: &str) -> Result<SchemaKind> {
    use SchemaKind::{Bytes, Float32, Float64, Int8, Int16, Int32, Int64};
    let kinds = [Int8, Int16, Int32, Int64, Float32, Float64, Bytes];
    let found = kinds.into_iter().find(|kind| kind.name() == connect);
    found.ok_or_else(|| Error::data(format!("Unsupported type {connect}")))
}
