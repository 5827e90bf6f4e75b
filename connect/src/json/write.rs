//! Writing, with Jackson's escapes and number formats.

use serde_json::Value as Json;

use crate::java;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Writes a quoted string. Quotes, backslashes, control characters and characters beyond U+FFFF are escaped; other text stays
/// UTF-8.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    // Most text is written as it is. Looking at all of it without a branch is the fastest way to know.
    if !bytes.iter().fold(false, |found, byte| found | escaped(*byte)) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut written = 0;
    for (index, byte) in bytes.iter().enumerate() {
        // Jackson escapes what takes four bytes in UTF-8 as a pair of surrogates.
        if *byte >= 0xf0 {
            out.extend_from_slice(&bytes[written..index]);
            written = index + 4;
            let mut units = [0; 2];
            for unit in text[index..].chars().next().map(|c| c.encode_utf16(&mut units)).into_iter().flatten() {
                out.extend_from_slice(b"\\u");
                out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from(*unit >> shift & 15)]));
            }
            continue;
        }
        if !escaped(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            _ => 0,
        };
        if short != 0 {
            out.extend_from_slice(&[b'\\', short]);
        } else {
            // Jackson's hexadecimal digits are upper case.
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

/// Whether a character that begins with this byte has to be escaped.
fn escaped(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte >= 0xf0)
}

/// Writes a double as Java prints it; what JSON has no number for is quoted, `"NaN"`.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(java::double_to_string(value).as_bytes());
    } else {
        write_string(out, &java::double_to_string(value));
    }
}

/// Writes a float as Java prints it; what JSON has no number for is quoted, `"NaN"`.
pub fn write_float(out: &mut Vec<u8>, value: f32) {
    if value.is_finite() {
        out.extend_from_slice(java::float_to_string(value).as_bytes());
    } else {
        write_string(out, &java::float_to_string(value));
    }
}

/// Writes a JSON value compactly, members in their order.
pub fn write_json(out: &mut Vec<u8>, value: &Json) {
    match value {
        Json::Null => out.extend_from_slice(b"null"),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Number(number) => match number.as_f64() {
            Some(double) if number.is_f64() => write_double(out, double),
            _ => out.extend_from_slice(number.to_string().as_bytes()),
        },
        Json::String(text) => write_string(out, text),
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json(out, item);
            }
            out.push(b']');
        }
        Json::Object(members) => {
            out.push(b'{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(out, name);
                out.push(b':');
                write_json(out, member);
            }
            out.push(b'}');
        }
    }
}
