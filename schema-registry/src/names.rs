//! The names of properties and parameters in which Connect's metadata travels through Avro.

pub const NAMESPACE: &str = "io.confluent.connect.avro";
pub const DEFAULT_NAME: &str = "ConnectDefault";
pub const DEFAULT_FULL_NAME: &str = "io.confluent.connect.avro.ConnectDefault";
pub const MAP_ENTRY: &str = "MapEntry";
pub const UNION: &str = "io.confluent.connect.avro.Union";
pub const ENUM: &str = "io.confluent.connect.avro.Enum";
pub const ANYTHING: &str = "io.confluent.connect.avro.Anything";

pub const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
pub const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
pub const FIELD_DEFAULT_FLAG: &str = "io.confluent.connect.avro.field.default";
pub const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";

pub const CONNECT_NAME: &str = "connect.name";
pub const CONNECT_DOC: &str = "connect.doc";
pub const CONNECT_RECORD_DOC: &str = "connect.record.doc";
pub const CONNECT_ENUM_DOC: &str = "connect.enum.doc";
pub const CONNECT_VERSION: &str = "connect.version";
pub const CONNECT_DEFAULT: &str = "connect.default";
pub const CONNECT_PARAMETERS: &str = "connect.parameters";
pub const CONNECT_INTERNAL_TYPE: &str = "connect.internal.type";
pub const CONNECT_TYPE: &str = "connect.type";
pub const FIXED_SIZE: &str = "connect.fixed.size";
pub const PRECISION: &str = "connect.decimal.precision";
pub const DEFAULT_PRECISION: i64 = 64;

/// With `generalized.sum.type.support`: the parameters that mark unions and enums.
pub const GENERAL_UNION: &str = "org.apache.kafka.connect.data.Union";
pub const GENERAL_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub const GENERAL_UNION_PREFIX: &str = "connect_union_";
pub const GENERAL_FIELD_PREFIX: &str = "connect_union_field_";

/// Makes a valid Avro name of any other (`scrub.invalid.names`): URL-encodes, then replaces what is left by `_`.
pub fn scrub(name: &str) -> String {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || (name.chars().all(valid) && !name.starts_with(|c: char| c.is_ascii_digit())) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if valid(c) {
            out.push(c);
        } else if matches!(c, '.' | '-' | '*' | ' ') {
            // URLEncoder keeps the first three and makes a plus of the space; none may be in a name.
            out.push('_');
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("_{byte:02X}")));
        }
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, 'x');
    }
    out
}

/// The same for each part of a name with dots.
pub fn scrub_full(name: &str) -> String {
    name.split('.').map(scrub).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::{scrub, scrub_full};

    #[test]
    fn invalid_names_become_valid() {
        for (name, expected) in [
            ("abc_1", "abc_1"),
            ("1abc", "x1abc"),
            ("foo-bar", "foo_bar"),
            ("a b", "a_b"),
            ("a$", "a_24"),
            ("ü", "_C3_BC"),
            ("", ""),
        ] {
            assert_eq!(scrub(name), expected, "{name}");
        }
        assert_eq!(scrub_full("org.1x.a-b"), "org.x1x.a_b");
    }
}
