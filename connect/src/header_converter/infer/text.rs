//! Values to text (`Values.convertToString`), and the three formats of dates and times.

use crate::error::Result;
use crate::java::{self, MILLIS_PER_DAY};
use crate::value::{Str, Value};

/// The text of a header; `None` for null.
pub fn to_text(value: &Value) -> Result<Option<Str>> {
    Ok(match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => {
            let mut out = String::new();
            append(&mut out, other, false);
            Some(Str::from(out))
        }
    })
}

fn append(out: &mut String, value: &Value, embedded: bool) {
    match value {
        Value::String(text) if embedded => quote(out, &escape(text)),
        Value::Bytes(bytes) if embedded => quote(out, &java::base64_encode(bytes)),
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                separate(out, index);
                append(out, value, true);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                separate(out, index);
                append(out, key, true);
                out.push(':');
                append(out, value, true);
            }
            out.push('}');
        }
        Value::Struct(fields) => {
            out.push('{');
            for (index, field) in fields.schema().fields().iter().enumerate() {
                separate(out, index);
                quote(out, &escape(field.name()));
                out.push(':');
                append(out, fields.get_at(index), true);
            }
            out.push('}');
        }
        Value::Date(days) => out.push_str(&date_to_text(i64::from(*days) * MILLIS_PER_DAY)),
        Value::Time(millis) => out.push_str(&date_to_text(i64::from(*millis))),
        Value::Timestamp(millis) => out.push_str(&date_to_text(*millis)),
        other => out.push_str(&other.to_string()),
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    out.push_str(text);
    out.push('"');
}

/// `Values.escape`: pairs of backslashes and quotes.
fn escape(text: &str) -> String {
    text.replace("\\", "\\\\").replace('"', "\\\"")
}

/// `Values.dateFormatFor`: the format follows from the value alone.
pub fn date_to_text(millis: i64) -> String {
    let (year, month, day) = java::civil_from_days(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let time = format!(
        "{:02}:{:02}:{:02}.{:03}Z",
        of_day / 3_600_000,
        of_day / 60_000 % 60,
        of_day / 1000 % 60,
        of_day % 1000
    );
    if millis < MILLIS_PER_DAY {
        time
    } else if of_day == 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02}T{time}")
    }
}

/// `yyyy-MM-dd`. Lenient as `SimpleDateFormat`: the thirteenth month is the first of the next year.
pub fn parse_date(text: &str) -> Option<i32> {
    let mut fields = Fields { rest: text };
    let days = fields.days()?;
    i32::try_from(days).ok()
}

/// `HH:mm:ss.SSS'Z'`
pub fn parse_time(text: &str) -> Option<i32> {
    let mut fields = Fields { rest: text };
    i32::try_from(fields.millis()?).ok()
}

/// `yyyy-MM-dd'T'HH:mm:ss.SSS'Z'`
pub fn parse_timestamp(text: &str) -> Option<i64> {
    let mut fields = Fields { rest: text };
    let days = fields.days()?;
    fields.literal('T')?;
    // Eleven digits of a year are too many for 64 bits.
    days.checked_mul(MILLIS_PER_DAY)?.checked_add(fields.millis()?)
}

struct Fields<'a> {
    rest: &'a str,
}

impl Fields<'_> {
    fn days(&mut self) -> Option<i64> {
        let year = self.number()?;
        self.literal('-')?;
        let month = self.number()? - 1;
        self.literal('-')?;
        let day = self.number()?;
        let (year, month) = (year + month.div_euclid(12), month.rem_euclid(12) as u32 + 1);
        Some(java::days_from_civil(year, month, 1) + day - 1)
    }

    fn millis(&mut self) -> Option<i64> {
        let hours = self.number()?;
        self.literal(':')?;
        let minutes = self.number()?;
        self.literal(':')?;
        let seconds = self.number()?;
        self.literal('.')?;
        let millis = self.number()?;
        self.literal('Z')?;
        Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
    }

    fn number(&mut self) -> Option<i64> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().ok()
    }

    fn literal(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }
}
