//! Strings that share the bytes they were read from.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use bytestring::ByteString;

/// UTF-8 text in shared [`Bytes`]: cloning and slicing copy nothing, and [`Str::into_bytes`] hands on the very bytes, so that
/// a line read from a file can go to the producer as it was read.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str(ByteString);

impl Str {
    /// The empty string.
    pub const fn new() -> Self {
        Self(ByteString::new())
    }

    /// A string that lives as long as the program; nothing is allocated.
    pub const fn from_static(text: &'static str) -> Self {
        Self(ByteString::from_static(text))
    }

    /// A copy of borrowed text.
    pub fn copy_from(text: &str) -> Self {
        Self(ByteString::from(text.to_owned()))
    }

    /// Decodes as Java's `new String(bytes, UTF_8)`: malformed input becomes U+FFFD. Valid bytes are shared, not copied.
    pub fn from_utf8_lossy(bytes: Bytes) -> Self {
        match ByteString::try_from(bytes.clone()) {
            Ok(text) => Self(text),
            Err(_) => Self::from(lossy(&bytes)),
        }
    }

    /// A part of this string that shares its bytes. `part` must be a slice of this very string.
    ///
    /// # Panics
    /// When `part` does not lie inside this string.
    pub fn slice_ref(&self, part: &str) -> Self {
        Self(self.0.slice_ref(part))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shared bytes.
    pub fn as_shared_bytes(&self) -> &Bytes {
        self.0.as_bytes()
    }

    /// The shared bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

/// As `String::from_utf8_lossy`, but for surrogates: what would be a surrogate in three bytes is one U+FFFD in Java, and three here.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut at = 0;
    let mut skip = 0;
    for chunk in bytes.utf8_chunks() {
        at += chunk.valid().len() + chunk.invalid().len();
        text.push_str(chunk.valid());
        if !chunk.valid().is_empty() {
            skip = 0;
        }
        match chunk.invalid() {
            [] => {}
            _ if skip > 0 => skip -= 1,
            invalid => {
                text.push(char::REPLACEMENT_CHARACTER);
                if *invalid == [0xed] && matches!(bytes.get(at), Some(0xa0..=0xbf)) {
                    skip = if matches!(bytes.get(at + 1), Some(0x80..=0xbf)) { 2 } else { 1 };
                }
            }
        }
    }
    text
}

impl Deref for Str {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl From<&'static str> for Str {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl TryFrom<Bytes> for Str {
    type Error = std::str::Utf8Error;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        ByteString::try_from(bytes).map(Self)
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl serde::Serialize for Str {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Str {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
