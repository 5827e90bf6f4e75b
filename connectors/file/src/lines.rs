//! From blocks of bytes to lines, as `FileStreamSourceTask.extractLine` divides them: a line ends with `\n`, `\r\n` or `\r`, and a
//! `\r` at the very end of what is known waits, because a `\n` may follow.

use barnabas_connect::Str;
use bytes::Bytes;

/// A block that ends with the end of a line, and the beginning of the next line.
pub struct Block {
    /// Whole lines.
    whole: Bytes,
    // The same as text when it is valid UTF-8, which is checked once for all lines.
    text: Option<Str>,
    at: usize,
}

/// Divides bytes into whole lines and the rest, which belongs in front of the next block.
pub fn divide(bytes: Bytes) -> (Block, Bytes) {
    let end = match memchr::memrchr2(b'\n', b'\r', &bytes) {
        // A `\r` in last place may be half of `\r\n`; what counts is the line end before it.
        Some(last) if bytes[last] == b'\r' && last + 1 == bytes.len() => {
            memchr::memrchr2(b'\n', b'\r', &bytes[..last]).map_or(0, |before| before + 1)
        }
        Some(last) => last + 1,
        None => 0,
    };
    let rest = bytes.slice(end..);
    let whole = bytes.slice(..end);
    let text = Str::try_from(whole.clone()).ok();
    (Block { whole, text, at: 0 }, rest)
}

impl Block {
    /// A block without lines.
    pub fn empty() -> Self {
        Self { whole: Bytes::new(), text: None, at: 0 }
    }

    /// The next line without its end, and the bytes that line and end take. The line shares the bytes of the block; malformed
    /// UTF-8 becomes U+FFFD.
    pub fn next_line(&mut self) -> Option<(Str, usize)> {
        let rest = &self.whole[self.at..];
        let until = memchr::memchr2(b'\n', b'\r', rest)?;
        let taken = if rest[until] == b'\r' && rest.get(until + 1) == Some(&b'\n') { until + 2 } else { until + 1 };
        let range = self.at..self.at + until;
        let line = match &self.text {
            Some(text) => text.slice_ref(&text[range]),
            None => Str::from_utf8_lossy(self.whole.slice(range)),
        };
        self.at += taken;
        Some((line, taken))
    }

    /// Whether all lines were taken.
    pub fn is_done(&self) -> bool {
        self.at == self.whole.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    /// Feeds chunks as the task does.
    fn lines_of(chunks: &[Vec<u8>]) -> (Vec<(String, usize)>, Vec<u8>) {
        let mut rest = Bytes::new();
        let mut lines = Vec::new();
        let mut position = 0;
        for chunk in chunks {
            let (mut block, after) = divide([&rest[..], chunk].concat().into());
            while let Some((line, taken)) = block.next_line() {
                position += taken;
                lines.push((line.to_string(), position));
            }
            assert!(block.is_done());
            rest = after;
        }
        (lines, rest.to_vec())
    }

    /// One character at a time over the whole text, without look-back: the definition.
    fn reference(bytes: &[u8]) -> (Vec<(String, usize)>, Vec<u8>) {
        let mut lines = Vec::new();
        let mut start = 0;
        let mut at = 0;
        while at < bytes.len() {
            let end = match (bytes[at], bytes.get(at + 1)) {
                (b'\n', _) => at + 1,
                (b'\r', Some(b'\n')) => at + 2,
                (b'\r', Some(_)) => at + 1,
                _ => {
                    at += 1;
                    continue;
                }
            };
            let line = Str::from_utf8_lossy(Bytes::copy_from_slice(&bytes[start..at]));
            lines.push((line.to_string(), end));
            start = end;
            at = end;
        }
        (lines, bytes[start..].to_vec())
    }

    #[test]
    fn a_trailing_carriage_return_waits() {
        let (lines, rest) = lines_of(&[b"a\r".to_vec(), b"\nb\r".to_vec(), b"c\r\r".to_vec()]);
        assert_eq!(lines, [("a".to_owned(), 3), ("b".to_owned(), 5), ("c".to_owned(), 7)]);
        assert_eq!(rest, b"\r");
    }

    #[test]
    fn lines_share_the_bytes_of_their_block() {
        let bytes = Bytes::from_static(b"one\ntwo\n");
        let (mut block, _) = divide(bytes.clone());
        let (_, _) = block.next_line().unwrap();
        let (two, _) = block.next_line().unwrap();
        assert_eq!(two.as_bytes().as_ptr(), bytes[4..].as_ptr());
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            chunks in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), Just(0xc3), Just(0xa4), any::<u8>()], 0..12),
                0..8,
            )
        ) {
            prop_assert_eq!(lines_of(&chunks), reference(&chunks.concat()));
        }
    }
}
