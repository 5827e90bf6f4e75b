//! Source positions, and their form in the offsets topic.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::json;
use crate::value::Str;

/// A source partition or source offset: an ordered map of names to JSON values.
///
/// With one entry, the most common case, a clone allocates nothing.
#[derive(Clone, Default)]
pub struct OffsetMap(Repr);

#[derive(Clone, Default)]
enum Repr {
    #[default]
    Empty,
    One(Str, Json),
    Many(Arc<Vec<(Str, Json)>>),
}

impl OffsetMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map of one entry.
    pub fn single(key: impl Into<Str>, value: impl Into<Json>) -> Self {
        Self(Repr::One(key.into(), value.into()))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under a name.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Sets the value under a name: in place when it is there, else at the end.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Json>) {
        let (key, value) = (key.into(), value.into());
        let mut entries = match std::mem::take(&mut self.0) {
            Repr::Empty => {
                self.0 = Repr::One(key, value);
                return;
            }
            Repr::One(name, old) => vec![(name, old)],
            Repr::Many(entries) => Arc::unwrap_or_clone(entries),
        };
        match entries.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key, value)),
        }
        *self = Self::from_entries(entries);
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        match &self.0 {
            Repr::Empty => OffsetIter { one: None, many: [].iter() },
            Repr::One(name, value) => OffsetIter { one: Some((name, value)), many: [].iter() },
            Repr::Many(entries) => OffsetIter { one: None, many: entries.iter() },
        }
    }

    /// As a JSON object.
    pub fn to_json(&self) -> Json {
        Json::Object(self.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }

    /// From a JSON object; nothing else is a source partition or offset.
    pub fn from_json(json: Json) -> Option<Self> {
        match json {
            Json::Object(entries) => {
                Some(Self::from_entries(entries.into_iter().map(|(name, value)| (Str::from(name), value)).collect()))
            }
            _ => None,
        }
    }

    fn from_entries(mut entries: Vec<(Str, Json)>) -> Self {
        Self(match entries.len() {
            0 => Repr::Empty,
            1 => entries.pop().map_or(Repr::Empty, |(name, value)| Repr::One(name, value)),
            _ => Repr::Many(Arc::new(entries)),
        })
    }
}

struct OffsetIter<'a> {
    one: Option<(&'a Str, &'a Json)>,
    many: std::slice::Iter<'a, (Str, Json)>,
}

impl<'a> Iterator for OffsetIter<'a> {
    type Item = (&'a str, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        match self.one.take() {
            Some((name, value)) => Some((name, value)),
            None => self.many.next().map(|(name, value)| (name.as_str(), value)),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.one.is_some()) + self.many.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for OffsetIter<'_> {}

impl PartialEq for OffsetMap {
    /// As `java.util.Map`: the order does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Eq for OffsetMap {}

impl std::hash::Hash for OffsetMap {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // The order must not matter, so the names are mixed by addition; values rarely decide.
        let mut sum = 0u64;
        for (name, value) in self.iter() {
            let mut hasher = std::hash::DefaultHasher::new();
            std::hash::Hash::hash(name, &mut hasher);
            std::hash::Hash::hash(value, &mut hasher);
            sum = sum.wrapping_add(std::hash::Hasher::finish(&hasher));
        }
        state.write_u64(sum);
    }
}

impl fmt::Debug for OffsetMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl fmt::Display for OffsetMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_json())
    }
}

impl<K: Into<Str>, V: Into<Json>> FromIterator<(K, V)> for OffsetMap {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl serde::Serialize for OffsetMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> serde::Deserialize<'de> for OffsetMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let entries = serde_json::Map::deserialize(deserializer)?;
        Ok(entries.into_iter().collect())
    }
}

/// Where in the outside system a source record was read: `SourceRecord.sourcePartition` and `.sourceOffset`.
#[derive(Clone, Debug, PartialEq)]
pub struct SourcePosition {
    /// Shared by all records of one partition; workers compare it by pointer first.
    pub partition: Arc<OffsetMap>,
    /// Where to go on after this record.
    pub offset: OffsetMap,
}

/// The key in the offsets topic, `["<connector>",{<partition>}]` (`OffsetStorageWriter`).
pub fn encode_key(connector: &str, partition: &OffsetMap) -> Bytes {
    let mut out = Vec::with_capacity(64);
    out.push(b'[');
    json::write_string(&mut out, connector);
    out.push(b',');
    write_map(&mut out, partition);
    out.push(b']');
    out.into()
}

/// The value in the offsets topic, `{<offset>}`. The tombstone that removes a position is no bytes at all.
pub fn encode_value(offset: &OffsetMap) -> Bytes {
    let mut out = Vec::with_capacity(64);
    write_map(&mut out, offset);
    out.into()
}

/// Reads a key of the offsets topic. Fails when it is not `["<connector>",{<partition>}]`; Connect skips such records.
pub fn decode_key(bytes: &[u8]) -> Result<(String, OffsetMap)> {
    let (connector, partition): (String, Json) = serde_json::from_slice(bytes).map_err(|error| {
        Error::data("The key of the offset record is not [connector, partition].").with_source(error)
    })?;
    match OffsetMap::from_json(partition) {
        Some(partition) => Ok((connector, partition)),
        None => Err(Error::data("The partition in the key of the offset record is not a JSON object.")),
    }
}

/// Reads a value of the offsets topic; `None` for `null`.
pub fn decode_value(bytes: &[u8]) -> Result<Option<OffsetMap>> {
    let value: Json = serde_json::from_slice(bytes)
        .map_err(|error| Error::data("The value of the offset record is not JSON.").with_source(error))?;
    match value {
        Json::Null => Ok(None),
        value => OffsetMap::from_json(value)
            .map(Some)
            .ok_or_else(|| Error::data("The value of the offset record is not a JSON object.")),
    }
}

fn write_map(out: &mut Vec<u8>, map: &OffsetMap) {
    out.push(b'{');
    for (index, (name, value)) in map.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(out, name);
        out.push(b':');
        json::write_json(out, value);
    }
    out.push(b'}');
}
