//! Schemas as text, as Avro's `Schema.toString` writes them: the registry compares texts.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::schema::{AvroField, AvroSchema, Kind, TypeId, namespace, simple_name};

impl AvroSchema {
    /// The JSON text.
    pub fn render(&self) -> String {
        let mut writer = Writer { schema: self, out: String::with_capacity(256), known: HashMap::new() };
        writer.ty(self.root, None);
        writer.out
    }
}

struct Writer<'a> {
    schema: &'a AvroSchema,
    out: String,
    /// The named types that were written.
    known: HashMap<&'a str, TypeId>,
}

impl<'a> Writer<'a> {
    fn string(&mut self, text: &str) {
        self.json(&Json::from(text));
    }

    fn json(&mut self, json: &Json) {
        self.out.push_str(&json.to_string());
    }

    fn member(&mut self, name: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.string(name);
        self.out.push(':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.member(name);
        self.string(value);
    }

    fn ty(&mut self, id: TypeId, space: Option<&'a str>) {
        let ty = self.schema.get(id);
        if let Some(full) = ty.kind.full_name() {
            if self.known.get(full) == Some(&id) {
                let short = simple_name(full);
                // A simple name that is a type's would be taken for that.
                let shortened = namespace(full) == space && !is_reserved(short);
                return self.string(if shortened { short } else { full });
            }
            self.known.insert(full, id);
            self.out.push('{');
            self.text("type", ty.kind.type_name());
            self.text("name", simple_name(full));
            match (namespace(full), space) {
                (Some(own), _) if Some(own) != space => self.text("namespace", own),
                (None, Some(_)) => self.text("namespace", ""),
                _ => {}
            }
            if let Some(doc) = &ty.doc {
                self.text("doc", doc);
            }
            match &ty.kind {
                Kind::Record { fields, .. } => {
                    self.member("fields");
                    self.list('[', fields, ']', |writer, field| writer.field(field, namespace(full)));
                }
                Kind::Enum { symbols, default, .. } => {
                    self.member("symbols");
                    self.list('[', symbols, ']', |writer, symbol| writer.string(symbol));
                    if let Some(default) = default {
                        self.text("default", default);
                    }
                }
                Kind::Fixed { size, .. } => {
                    self.member("size");
                    self.out.push_str(&size.to_string());
                }
                _ => {}
            }
            self.props(&ty.props);
            return self.out.push('}');
        }
        match &ty.kind {
            Kind::Union(branches) => self.list('[', branches, ']', |writer, branch| writer.ty(*branch, space)),
            Kind::Array(inner) | Kind::Map(inner) => {
                self.out.push('{');
                self.text("type", ty.kind.type_name());
                self.member(if matches!(ty.kind, Kind::Array(_)) { "items" } else { "values" });
                self.ty(*inner, space);
                self.props(&ty.props);
                self.out.push('}');
            }
            primitive if ty.props.is_empty() => self.string(primitive.type_name()),
            primitive => {
                self.out.push('{');
                self.text("type", primitive.type_name());
                self.props(&ty.props);
                self.out.push('}');
            }
        }
    }

    fn field(&mut self, field: &'a AvroField, space: Option<&'a str>) {
        self.out.push('{');
        self.text("name", &field.name);
        self.member("type");
        self.ty(field.ty, space);
        if let Some(doc) = &field.doc {
            self.text("doc", doc);
        }
        if let Some(default) = &field.default {
            self.member("default");
            self.json(default);
        }
        self.props(&field.props);
        self.out.push('}');
    }

    fn list<T>(&mut self, open: char, items: &'a [T], close: char, mut write: impl FnMut(&mut Self, &'a T)) {
        self.out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
        self.out.push(close);
    }

    fn props(&mut self, props: &Map<String, Json>) {
        for (name, value) in props {
            self.member(name);
            self.json(value);
        }
    }
}

fn is_reserved(name: &str) -> bool {
    const TYPES: [&str; 14] = [
        "null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum", "array", "map",
        "union", "fixed",
    ];
    TYPES.contains(&name)
}
