//! What Java does, where Connect's bytes depend on it: number and date formats, base64, hash codes and the order of a `HashMap`.

pub(crate) mod calendar;
mod date_format;

use std::borrow::Cow;

pub use date_format::SimpleDateFormat;

use crate::value::Value;

/// Milliseconds of a day.
pub const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

/// The buckets of `new HashMap<>()`.
pub const HASH_MAP_DEFAULT: u32 = 16;

/// The buckets of `new HashMap<>(capacity)`.
pub fn hash_map_capacity(capacity: usize) -> u32 {
    u32::try_from(capacity.max(1)).ok().and_then(u32::checked_next_power_of_two).unwrap_or(1 << 30).min(1 << 30)
}

/// The buckets of `new HashMap<>(other)` where `other` has that many entries.
pub fn hash_map_copy(entries: usize) -> u32 {
    if entries == 0 { HASH_MAP_DEFAULT } else { hash_map_capacity((entries as f32 / 0.75 + 1.0) as usize) }
}

/// Sorts entries as a `java.util.HashMap` iterates after they were put into it in the given order, when it began with
/// `initial` buckets. Leaves everything as it is when one of the hashes is not defined by the key's value.
pub fn hash_order<T>(entries: &mut [T], initial: u32, hash: impl Fn(&T) -> Option<i32>) {
    let mut buckets = initial;
    while buckets < 1 << 30 && entries.len() as f64 > f64::from(buckets) * 0.75 {
        buckets *= 2;
    }
    let bucket = |entry: &T| {
        let hash = hash(entry)? as u32;
        Some((hash ^ (hash >> 16)) & (buckets - 1))
    };
    // Stable: entries of one bucket keep the order in which they were put. The maps of records are small, so they are sorted
    // where they are, by insertion.
    let mut small = [0; 32];
    if entries.len() <= small.len() {
        for (slot, entry) in small.iter_mut().zip(&*entries) {
            match bucket(entry) {
                Some(bucket) => *slot = bucket,
                None => return,
            }
        }
        for end in 1..entries.len() {
            let place = small[..end].partition_point(|bucket| *bucket <= small[end]);
            if place < end {
                small[place..=end].rotate_right(1);
                entries[place..=end].rotate_right(1);
            }
        }
        return;
    }
    if entries.iter().all(|entry| bucket(entry).is_some()) {
        entries.sort_by_cached_key(bucket);
    }
}

/// `Object.hashCode` of a map key; `None` where Java uses an address.
pub fn hash_code(value: &Value) -> Option<i32> {
    Some(match value {
        Value::Null => 0,
        Value::Boolean(value) => {
            if *value {
                1231
            } else {
                1237
            }
        }
        Value::Int8(value) => i32::from(*value),
        Value::Int16(value) => i32::from(*value),
        Value::Int32(value) => *value,
        Value::Int64(value) => fold(*value as u64),
        Value::Float32(value) => {
            if value.is_nan() {
                0x7fc0_0000
            } else {
                value.to_bits() as i32
            }
        }
        Value::Float64(value) => fold(if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() }),
        Value::String(text) => string_hash(text),
        Value::Date(days) => fold((i64::from(*days) * MILLIS_PER_DAY) as u64),
        Value::Time(millis) => fold(i64::from(*millis) as u64),
        Value::Timestamp(millis) => fold(*millis as u64),
        Value::Array(values) => {
            let mut hash = 1i32;
            for value in values.iter() {
                hash = hash.wrapping_mul(31).wrapping_add(hash_code(value)?);
            }
            hash
        }
        Value::Bytes(_) | Value::Map(_) | Value::Struct(_) | Value::Decimal(_) => return None,
    })
}

fn fold(bits: u64) -> i32 {
    (bits ^ (bits >> 32)) as i32
}

/// `String.hashCode`, over UTF-16 units.
pub fn string_hash(text: &str) -> i32 {
    let step = |hash: i32, unit: u32| hash.wrapping_mul(31).wrapping_add(unit as i32);
    if text.is_ascii() {
        text.bytes().fold(0, |hash, byte| step(hash, byte.into()))
    } else {
        text.encode_utf16().fold(0, |hash, unit| step(hash, unit.into()))
    }
}

/// `String.trim`: characters up to and including the space, at both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// `Double.toString` of Java 19 and later (the shortest digits; earlier releases sometimes print one digit more).
pub fn double_to_string(value: f64) -> String {
    if !value.is_finite() {
        return special(value);
    }
    if (1e-3..1e7).contains(&value.abs()) {
        return plain(value.to_string());
    }
    let mut text = format!("{value:e}");
    // Java has at least two digits, and takes the two that are nearest: the smallest double is 4.9E-324, not 5.0E-324.
    if !text.contains('.') {
        text = Some(format!("{value:.1e}")).filter(|two| two.parse() == Ok(value)).unwrap_or(text);
    }
    scientific(&text, value.is_sign_negative())
}

/// `Float.toString` of Java 19 and later.
pub fn float_to_string(value: f32) -> String {
    if !value.is_finite() {
        return special(value.into());
    }
    if (1e-3..1e7).contains(&value.abs()) {
        return plain(value.to_string());
    }
    let mut text = format!("{value:e}");
    if !text.contains('.') {
        text = Some(format!("{value:.1e}")).filter(|two| two.parse() == Ok(value)).unwrap_or(text);
    }
    scientific(&text, value.is_sign_negative())
}

/// In the middle range both languages print the same digits; Java always has a fraction.
fn plain(mut text: String) -> String {
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn special(value: f64) -> String {
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    text.to_owned()
}

/// From Rust's scientific form (`-1.25e-7`) to Java's (`-1.25E-7`).
fn scientific(text: &str, negative: bool) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let sign = if negative { "-" } else { "" };
    let (first, rest) = digits.trim_end_matches('0').split_at_checked(1).unwrap_or(("0", ""));
    let rest = if rest.is_empty() { "0" } else { rest };
    if first == "0" { format!("{sign}0.0") } else { format!("{sign}{first}.{rest}E{exponent}") }
}

/// The number in what `Double.parseDouble` and `Float.parseFloat` accept, in the spelling of Rust; hexadecimal numbers are not known.
pub fn float_literal(text: &str) -> Option<&str> {
    let text = trim(text);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "NaN" || unsigned == "Infinity" {
        // The sign of what is not a number is lost, as in Java.
        return Some(if unsigned == "NaN" { unsigned } else { text });
    }
    // Rust accepts other spellings of these.
    if unsigned.bytes().any(|b| b.is_ascii_alphabetic() && !b"eEdDfF".contains(&b)) {
        return None;
    }
    Some(text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text))
}

/// Year, month (1 to 12) and day (1 to 31) of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // The well-known algorithm over 400-year eras that begin in March.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted + 2) / 5 + 1) as u32;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`].
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `java.util.Date.toString` in UTC: `Thu Jan 01 00:00:00 UTC 1970`.
pub fn date_to_string(millis: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = millis.div_euclid(MILLIS_PER_DAY);
    let seconds = millis.rem_euclid(MILLIS_PER_DAY) / 1000;
    let (year, month, day) = civil_from_days(days);
    format!(
        "{} {} {day:02} {:02}:{:02}:{:02} UTC {year:04}",
        DAYS[days.rem_euclid(7) as usize],
        MONTHS[month as usize - 1],
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `Base64.getEncoder().encodeToString`: the standard alphabet with padding, in one line.
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            text.push(if position <= chunk.len() {
                BASE64[(group >> (18 - 6 * position) & 63) as usize] as char
            } else {
                '='
            });
        }
    }
    text
}

/// Decodes as Jackson's default variant does: white space between groups is skipped, padding is required.
/// The error says what is wrong.
pub fn base64_decode(text: &str) -> Result<Vec<u8>, Cow<'static, str>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut count, mut padding) = (0u32, 0u32, 0u32);
    for c in text.chars() {
        if c <= ' ' && count == 0 {
            continue;
        }
        let value = match c {
            'A'..='Z' => c as u32 - 'A' as u32,
            'a'..='z' => c as u32 - 'a' as u32 + 26,
            '0'..='9' => c as u32 - '0' as u32 + 52,
            '+' => 62,
            '/' => 63,
            '=' if count >= 2 => {
                padding += 1;
                0
            }
            _ => return Err(format!("Illegal character '{c}' in base64 content").into()),
        };
        if padding > 0 && c != '=' {
            return Err(format!("Unexpected character '{c}' after base64 padding").into());
        }
        group = group << 6 | value;
        count += 1;
        if count == 4 {
            let whole = group.to_be_bytes();
            bytes.extend_from_slice(&whole[1..4 - padding as usize]);
            (group, count) = (0, 0);
        } else if padding == 0 {
            continue;
        }
    }
    if count != 0 {
        return Err("Unexpected end of base64-encoded string".into());
    }
    Ok(bytes)
}
