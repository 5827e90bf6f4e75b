//! Times in a time zone. A number counts from 1970 in UTC; its date and time are taken for those of the zone.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::value::Value;

/// What a field holds, by the name of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `io.debezium.time.Timestamp` and the finer ones, by how many make a second.
    Number(i64),
    /// `org.apache.kafka.connect.data.Timestamp`
    Connect,
    /// `io.debezium.time.ZonedTimestamp`
    Zoned,
    /// `io.debezium.time.ZonedTime`
    ZonedTime,
    /// A number in the struct `source`, to which the offset of the zone is added.
    Shifted(i64),
}

impl Kind {
    pub fn of(schema: &str) -> Option<Self> {
        Some(match schema {
            "io.debezium.time.Timestamp" => Self::Number(1000),
            "io.debezium.time.MicroTimestamp" => Self::Number(1_000_000),
            "io.debezium.time.NanoTimestamp" => Self::Number(1_000_000_000),
            "org.apache.kafka.connect.data.Timestamp" => Self::Connect,
            "io.debezium.time.ZonedTimestamp" => Self::Zoned,
            "io.debezium.time.ZonedTime" => Self::ZonedTime,
            _ => return None,
        })
    }

    pub fn of_source(field: &str) -> Option<Self> {
        Some(Self::Shifted(match field {
            "ts_ms" => 1000,
            "ts_us" => 1_000_000,
            "ts_ns" => 1_000_000_000,
            _ => return None,
        }))
    }
}

/// A time zone.
pub(super) struct Zone(TimeZone);

impl Zone {
    /// A name of the tz database, or `+08:00`.
    pub fn new(text: &str) -> Option<Self> {
        if text.starts_with(['+', '-']) {
            let shape = matches!(text.len(), 6 | 9) && text.as_bytes()[3] == b':';
            return offset(text).filter(|_| shape).map(|offset| Self(TimeZone::fixed(offset)));
        }
        TimeZone::get(text).ok().map(Self)
    }

    /// The value in this zone; `None` when it is not what its schema says.
    pub fn convert(&self, kind: Kind, value: &Value) -> Option<Value> {
        Some(match (kind, value) {
            (Kind::Number(unit), Value::Int64(number)) => {
                let offset = self.at_local(number.div_euclid(unit))?;
                Value::Int64(number.wrapping_sub(offset * unit))
            }
            (Kind::Connect, Value::Timestamp(millis)) => {
                Value::Timestamp(millis - self.at_local(millis.div_euclid(1000))? * 1000)
            }
            (Kind::Shifted(unit), Value::Int64(number)) => {
                let at = Timestamp::from_second(number.div_euclid(unit)).ok()?;
                Value::Int64(number.wrapping_add(i64::from(self.0.to_offset(at).seconds()) * unit))
            }
            (Kind::Zoned, Value::String(text)) => {
                let (local, own) = split(text)?;
                let local: DateTime = local.parse().ok()?;
                let instant = own.to_timestamp(local).ok()?;
                // Debezium asks for the offset at the time on the clock, whatever its own offset.
                let offset = before(self.0.to_ambiguous_zoned(local).offset());
                Value::from(format!("{}{}", date_time(offset.to_datetime(instant)), shown(offset)))
            }
            (Kind::ZonedTime, Value::String(text)) => {
                let (local, own) = split(text)?;
                let local: DateTime = format!("1970-01-02T{local}").parse().ok()?;
                let offset = self.0.to_offset(Timestamp::now());
                let moved = offset.to_datetime(own.to_timestamp(local).ok()?);
                let text = date_time(moved);
                Value::from(format!("{}{}", text.split_once('T')?.1, shown(offset)))
            }
            _ => return None,
        })
    }

    /// The offset, in seconds, when the clocks of the zone show that second.
    fn at_local(&self, second: i64) -> Option<i64> {
        let local = Offset::UTC.to_datetime(Timestamp::from_second(second).ok()?);
        Some(i64::from(before(self.0.to_ambiguous_zoned(local).offset()).seconds()))
    }
}

/// Where clocks are put forward or back, the offset before that, as `ZoneRules.getOffset` says.
fn before(offset: AmbiguousOffset) -> Offset {
    match offset {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    }
}

/// The time and the offset behind it.
fn split(text: &str) -> Option<(&str, Offset)> {
    if let Some(local) = text.strip_suffix(['Z', 'z']) {
        return Some((local, Offset::UTC));
    }
    let time = text.find('T').map_or(0, |at| at + 1);
    let at = time + text[time..].find(['+', '-'])?;
    Some((&text[..at], offset(&text[at..])?))
}

/// `+01:00` or `+01:00:00`
fn offset(text: &str) -> Option<Offset> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let mut seconds = 0;
    let parts: Vec<&str> = text[1..].split(':').collect();
    for (part, unit) in parts.iter().zip([3600, 60, 1]) {
        if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        seconds += part.parse::<i32>().ok()? * unit;
    }
    if parts.len() > 3 || seconds > 18 * 3600 {
        return None;
    }
    Offset::from_seconds(sign * seconds).ok()
}

fn shown(offset: Offset) -> String {
    let seconds = offset.seconds();
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let text = format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 == 0 { text } else { format!("{text}:{:02}", seconds % 60) }
}

/// As `DateTimeFormatter.ISO_LOCAL_DATE_TIME`: with as many digits of a second as there are.
fn date_time(at: DateTime) -> String {
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    let nanos = at.subsec_nanosecond();
    if nanos > 0 {
        text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    text
}
