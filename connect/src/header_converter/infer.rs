//! Placeholder, filled next.
use crate::error::Result;
use crate::record::Data;
use crate::schema::Schema;
use crate::value::{Str, Value};

pub(super) fn to_text(value: &Value) -> Result<Option<Str>> {
    Ok(if value.is_null() { None } else { Some(Str::from(value.to_string())) })
}

/// Guesses the type of a value from its text.
pub fn parse_string(text: &Str) -> Data {
    Data::new(Schema::string(), text.clone())
}
