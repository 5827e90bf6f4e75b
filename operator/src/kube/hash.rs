//! Hashes that end up in annotations.

use std::fmt::Write;

use ring::{digest, hmac};

/// SHA-256 of something that is no secret, in hexadecimal.
pub fn sha256_hex(data: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, data).as_ref())
}

/// Keyed hash of secret parts: changes when one of them does, and tells nothing
/// about them to somebody who has not the key, however short they are.
pub fn keyed<'a>(key: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    hex(context.sign().as_ref())
}

/// A random key for [`keyed`].
pub fn random_key() -> Result<Vec<u8>, ring::error::Unspecified> {
    let mut key = vec![0; 32];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut key)?;
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    // 128 bits are plenty to tell two configurations apart.
    bytes.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyed_hash_depends_on_the_key_the_parts_and_where_they_end() {
        let hash = |key: &[u8], parts: &[&[u8]]| keyed(key, parts.iter().copied());
        assert_eq!(hash(b"k", &[b"ab", b"c"]), hash(b"k", &[b"ab", b"c"]));
        assert_ne!(hash(b"k", &[b"ab", b"c"]), hash(b"k", &[b"a", b"bc"]));
        assert_ne!(hash(b"k", &[b"ab", b"c"]), hash(b"j", &[b"ab", b"c"]));
        assert_eq!(sha256_hex(b"").len(), 32);
    }
}
