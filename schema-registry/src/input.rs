//! Reading foreign bytes: nothing is read past the end, and nothing is allocated on a length that the bytes cannot hold.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use barnabas_connect::{Error, Result, Value};
use bytes::Bytes;

/// A message and how far it is read. What is taken shares its bytes.
pub struct Input<'a> {
    bytes: &'a Bytes,
    at: usize,
    end: usize,
    /// How many more items that take no bytes may follow.
    free: usize,
}

/// The items without bytes (nulls, empty records) that a message may have besides its length.
const FREE_ITEMS: usize = 1 << 16;

impl<'a> Input<'a> {
    /// Begins behind the first `skip` bytes.
    pub fn new(bytes: &'a Bytes, skip: usize) -> Self {
        Self { bytes, at: skip.min(bytes.len()), end: bytes.len(), free: FREE_ITEMS }
    }

    pub fn left(&self) -> usize {
        self.end - self.at
    }

    pub fn byte(&mut self) -> Result<u8> {
        let byte = *self.bytes.get(self.at).filter(|_| self.at < self.end).ok_or_else(ends)?;
        self.at += 1;
        Ok(byte)
    }

    /// So many bytes, shared.
    pub fn take(&mut self, length: usize) -> Result<Bytes> {
        if length > self.left() {
            return Err(Error::data(format!(
                "A value of {length} bytes is announced, but only {} follow.",
                self.left()
            )));
        }
        let taken = self.bytes.slice(self.at..self.at + length);
        self.at += length;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = self.bytes[self.at..self.end].first_chunk::<N>().copied().ok_or_else(ends)?;
        self.at += N;
        Ok(array)
    }

    /// A number in groups of seven bits, the lowest first.
    pub fn varint(&mut self, longest: u32) -> Result<u64> {
        let mut value = 0;
        for index in 0..longest {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(7 * index).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::data(format!("A number has more than {longest} bytes.")))
    }

    /// A part of the message as an input of its own.
    pub fn part(&mut self, length: usize) -> Result<Input<'a>> {
        if length > self.left() {
            return Err(Error::data(format!(
                "A value of {length} bytes is announced, but only {} follow.",
                self.left()
            )));
        }
        let part = Self { bytes: self.bytes, at: self.at, end: self.at + length, free: self.free };
        self.at += length;
        Ok(part)
    }

    /// Fails when so many items of at least that many bytes cannot follow.
    pub fn expect_items(&mut self, count: usize, least: usize) -> Result<()> {
        if let Some(most) = self.left().checked_div(least) {
            if count > most {
                return Err(Error::data(format!(
                    "{count} items are announced, but only {} bytes follow.",
                    self.left()
                )));
            }
            return Ok(());
        }
        self.free = self
            .free
            .checked_sub(count)
            .ok_or_else(|| Error::data(format!("More than {FREE_ITEMS} items without content are announced.")))?;
        Ok(())
    }
}

fn ends() -> Error {
    Error::data("The message ends too early.")
}

/// Of entries with the same key the first keeps its place and the last its value, as in a map of Java.
pub fn unique(entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
    let mut places: HashMap<u64, Vec<usize>> = HashMap::with_capacity(entries.len());
    for (key, value) in entries {
        let known = places.entry(hash(&key)).or_default();
        match known.iter().find(|place| kept[**place].0 == key) {
            Some(place) => kept[*place].1 = value,
            None => {
                known.push(kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

fn hash(key: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    match key {
        Value::String(text) => text.hash(&mut hasher),
        Value::Bytes(bytes) => bytes.hash(&mut hasher),
        other => other.to_string().hash(&mut hasher),
    }
    hasher.finish()
}
