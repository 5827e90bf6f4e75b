//! Schemas are rendered and parsed once each. Nearly every task sees one schema, so the last one is asked first.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;
use crate::schema::SchemaRef;

/// From schemas to their JSON.
pub(super) struct FromConnectCache {
    capacity: usize,
    entries: Vec<(SchemaRef, Bytes)>,
}

impl FromConnectCache {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, entries: Vec::new() }
    }

    pub fn get_or(&mut self, schema: &SchemaRef, render: impl FnOnce() -> Result<Bytes>) -> Result<Bytes> {
        let found = self
            .entries
            .iter()
            .rposition(|(known, _)| Arc::ptr_eq(known, schema))
            .or_else(|| self.entries.iter().rposition(|(known, _)| known == schema));
        if let Some(index) = found {
            let last = self.entries.len() - 1;
            self.entries.swap(index, last);
            return Ok(self.entries[last].1.clone());
        }
        let rendered = render()?;
        if self.capacity > 0 {
            if self.entries.len() >= self.capacity {
                self.entries.remove(0);
            }
            self.entries.push((schema.clone(), rendered.clone()));
        }
        Ok(rendered)
    }
}

/// From the JSON of schemas to schemas. The key is the text, so that a schema seen before is not even parsed.
pub(super) struct ToConnectCache {
    capacity: usize,
    last: Option<(Box<str>, Option<SchemaRef>)>,
    entries: HashMap<Box<str>, Option<SchemaRef>>,
}

impl ToConnectCache {
    pub fn new(capacity: usize) -> Self {
        Self { capacity, last: None, entries: HashMap::new() }
    }

    /// How long the schema is that `text` begins with, when that is the last one. Only an object says by itself where it ends.
    pub fn last_length(&self, text: &str) -> Option<usize> {
        let (known, _) = self.last.as_ref()?;
        (known.starts_with('{') && text.starts_with(&**known)).then_some(known.len())
    }

    pub fn get_or(
        &mut self,
        json: &str,
        parse: impl FnOnce() -> Result<Option<SchemaRef>>,
    ) -> Result<Option<SchemaRef>> {
        if let Some((known, schema)) = &self.last
            && **known == *json
        {
            return Ok(schema.clone());
        }
        let schema = match self.entries.get(json) {
            Some(schema) => schema.clone(),
            None => {
                let schema = parse()?;
                // Bounded, and as good as exact: a task that sees more schemas than this gains nothing from any order.
                if self.entries.len() >= self.capacity {
                    self.entries.clear();
                }
                if self.capacity > 0 {
                    self.entries.insert(json.into(), schema.clone());
                }
                schema
            }
        };
        self.last = Some((json.into(), schema.clone()));
        Ok(schema)
    }
}
