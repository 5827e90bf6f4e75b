//! Maps in a defined order.

use super::Value;
use crate::java;

/// The entries of a `MAP`, in a defined order and with unique keys.
///
/// Java's Connect builds a `HashMap` wherever a converter or transform makes a map, and the order in which that iterates is
/// what a consumer sees in the bytes. [`Map::into_hash_order`] puts entries into just that order, so that the bytes are the same.
/// Look-ups are linear: the maps of records have few entries.
#[derive(Clone, Debug, Default)]
pub struct Map(Vec<(Value, Value)>);

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room for `capacity` entries.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Takes entries whose keys the caller knows to be unique.
    pub fn from_unique(entries: Vec<(Value, Value)>) -> Self {
        Self(entries)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value under a string key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// Sets the value under a key: in place when the key is there, else at the end.
    pub fn insert(&mut self, key: Value, value: Value) -> Option<Value> {
        match self.0.iter_mut().find(|(k, _)| *k == key) {
            Some((_, old)) => Some(std::mem::replace(old, value)),
            None => {
                self.0.push((key, value));
                None
            }
        }
    }

    /// Removes a string key.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(k, _)| k.as_str() == Some(key))?;
        Some(self.0.remove(index).1)
    }

    /// The entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.0.iter()
    }

    /// The entries themselves.
    pub fn into_entries(self) -> Vec<(Value, Value)> {
        self.0
    }

    /// Reorders as a `java.util.HashMap` iterates after the entries were put into it in their present order, when it was
    /// created with `initial` buckets ([`java::HASH_MAP_DEFAULT`], [`java::hash_map_capacity`], [`java::hash_map_copy`]).
    /// Maps with keys whose Java hash is not defined by their value (arrays of bytes) keep their order.
    #[must_use]
    pub fn into_hash_order(mut self, initial: u32) -> Self {
        java::hash_order(&mut self.0, initial, |(key, _)| java::hash_code(key));
        self
    }
}

impl PartialEq for Map {
    /// As `java.util.Map`: the order does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.0.iter().all(|(key, value)| other.0.iter().any(|(k, v)| k == key && v == value))
    }
}

impl FromIterator<(Value, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a (Value, Value);
    type IntoIter = std::slice::Iter<'a, (Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
