//! Parsing as `SimpleDateFormat` does: fields may be out of range, and what follows the date is left alone.

use crate::java::MILLIS_PER_DAY;
use crate::java::calendar::{Builder, Field, Fields};

use super::{DAYS, ERAS, HALVES, Item, MONTHS, SimpleDateFormat, short};

/// Zones that are known by name, in hours from UTC. Java knows some hundred, in the words of its locale.
const ZONES: [(&str, i64); 15] = [
    ("UTC", 0),
    ("Coordinated Universal Time", 0),
    ("Greenwich Mean Time", 0),
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
    ("WET", 0),
    ("CET", 1),
    ("CEST", 2),
    ("JST", 9),
];

const MILLIS_PER_HOUR: i64 = 3_600_000;

/// Eighty years before now.
pub(super) fn century_start(now: i64) -> i64 {
    let fields = Fields::of(now);
    let mut builder = Builder::default();
    let day = if (fields.month, fields.day) == (2, 29) { 28 } else { fields.day };
    builder.set(Field::Year, fields.year - 80);
    builder.set(Field::Month, i64::from(fields.month) - 1);
    builder.set(Field::DayOfMonth, i64::from(day));
    builder.millis() + now.rem_euclid(MILLIS_PER_DAY)
}

impl SimpleDateFormat {
    /// The instant that the text begins with, in milliseconds since 1970-01-01T00:00:00Z; `None` when it does not match.
    /// Text without a zone is in UTC.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let mut parser = Parser { format: self, text, at: 0, fields: Builder::default(), ambiguous: false };
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Literal(literal) => {
                    if !text[parser.at..].starts_with(literal.as_str()) {
                        return None;
                    }
                    parser.at += literal.len();
                }
                Item::Field(letter, count) => {
                    let obeys_count = match self.items.get(index + 1) {
                        Some(Item::Field('M' | 'L', count)) => *count <= 2,
                        Some(Item::Field(next, _)) => !"GEazZX".contains(*next),
                        _ => false,
                    };
                    parser.field(*letter, *count, obeys_count)?;
                }
            }
        }
        // As Java, which takes a match of no characters for none.
        if parser.at == 0 {
            return None;
        }
        let millis = parser.fields.millis();
        if parser.ambiguous && millis < self.century_start {
            parser.fields.add_years(100);
            return Some(parser.fields.millis());
        }
        Some(millis)
    }
}

struct Parser<'a> {
    format: &'a SimpleDateFormat,
    text: &'a str,
    at: usize,
    fields: Builder,
    /// A year of two digits is the one with which the century began.
    ambiguous: bool,
}

impl Parser<'_> {
    /// Parses one field and moves on; `obeys_count` when digits of the next field follow at once.
    fn field(&mut self, letter: char, count: usize, obeys_count: bool) -> Option<()> {
        let blanks = self.text[self.at..].bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let start = self.at + blanks;
        if start >= self.text.len() {
            return None;
        }
        let limit = if obeys_count { Some(self.at + count) } else { None };
        match letter {
            'G' => self.name(ERAS.iter().zip(0..).map(|(name, era)| (*name, era)), Field::Era),
            'M' | 'L' if count > 2 => self.name(named(&MONTHS, 0), Field::Month),
            'E' => self.name(named(&DAYS, 1), Field::DayOfWeek),
            'a' => self.name(HALVES.iter().zip(0..).map(|(name, half)| (*name, half)), Field::AmPm),
            'z' | 'Z' => self.zone(start),
            'X' => self.iso_zone(start, count),
            _ => {
                let value = self.number(start, limit)?;
                let length = self.at - start;
                let (field, value) = match letter {
                    'y' | 'Y' => {
                        let field = if letter == 'y' { Field::Year } else { Field::WeekYear };
                        let digits = self.text[start..self.at].bytes().all(|b| b.is_ascii_digit());
                        let literal = !(count <= 2 && length == 2 && digits);
                        (field, if literal { value } else { self.full_year(value) })
                    }
                    'M' | 'L' => (Field::Month, value - 1),
                    'k' => (Field::HourOfDay, if value == 24 { 0 } else { value }),
                    'h' => (Field::Hour, if value == 12 { 0 } else { value }),
                    'H' => (Field::HourOfDay, value),
                    'K' => (Field::Hour, value),
                    'w' => (Field::WeekOfYear, value),
                    'W' => (Field::WeekOfMonth, value),
                    'D' => (Field::DayOfYear, value),
                    'd' => (Field::DayOfMonth, value),
                    'F' => (Field::DayOfWeekInMonth, value),
                    'u' => (Field::DayOfWeek, if (1..=7).contains(&value) { value % 7 + 1 } else { value }),
                    'm' => (Field::Minute, value),
                    's' => (Field::Second, value),
                    _ => (Field::Millisecond, value),
                };
                self.fields.set(field, value);
                Some(())
            }
        }
    }

    /// A year of two digits, in the hundred years around now.
    fn full_year(&mut self, value: i64) -> i64 {
        let start = Fields::of(self.format.century_start).year;
        self.ambiguous = value == start % 100;
        value + start / 100 * 100 + if value < start % 100 { 100 } else { 0 }
    }

    /// An integer at `start`, which ends before `limit`. As Java's `Number.intValue`, one that is too large wraps or sticks.
    fn number(&mut self, start: usize, limit: Option<usize>) -> Option<i64> {
        let text = match limit {
            Some(limit) => self.text.get(..limit)?,
            None => self.text,
        };
        let rest = text.get(start..)?;
        let unsigned = rest.strip_prefix('-').unwrap_or(rest);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let length = rest.len() - unsigned.len() + digits;
        self.at = start + length;
        Some(match rest[..length].parse::<i64>() {
            Ok(value) => i64::from(value as i32),
            Err(_) if rest.starts_with('-') => i64::from(i32::MIN),
            Err(_) => i64::from(i32::MAX),
        })
    }

    /// The longest of the names with which the text goes on, in any case.
    fn name(&mut self, names: impl Iterator<Item = (&'static str, i64)>, field: Field) -> Option<()> {
        let (name, value) = names.filter(|(name, _)| self.has(self.at, name)).max_by_key(|(name, _)| name.len())?;
        self.at += name.len();
        self.fields.set(field, value);
        Some(())
    }

    fn has(&self, at: usize, name: &str) -> bool {
        self.text.get(at..at + name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name))
    }

    fn set_zone(&mut self, end: usize, millis: i64) -> Option<()> {
        self.at = end;
        self.fields.set(Field::ZoneOffset, millis);
        Some(())
    }

    /// `+0100`, `GMT`, `GMT+1:00`, or the name of a zone.
    fn zone(&mut self, start: usize) -> Option<()> {
        if let Some(sign) = self.sign(start) {
            return self.offset(start + 1, sign, 0, false);
        }
        if self.has(start, "GMT") {
            return match self.sign(start + 3) {
                Some(sign) => self.offset(start + 4, sign, 0, true),
                None => self.set_zone(start + 3, 0),
            };
        }
        let (name, hours) =
            ZONES.iter().filter(|(name, _)| self.has(start, name)).max_by_key(|(name, _)| name.len())?;
        self.set_zone(start + name.len(), hours * MILLIS_PER_HOUR)
    }

    /// `Z`, or `+01`, `+0100` and `+01:00` for one, two and three letters.
    fn iso_zone(&mut self, start: usize, count: usize) -> Option<()> {
        if self.text.as_bytes()[start] == b'Z' {
            return self.set_zone(start + 1, 0);
        }
        let sign = self.sign(start)?;
        self.offset(start + 1, sign, count, count == 3)
    }

    fn sign(&self, at: usize) -> Option<i64> {
        match self.text.as_bytes().get(at) {
            Some(b'+') => Some(1),
            Some(b'-') => Some(-1),
            _ => None,
        }
    }

    /// Hours and minutes. `count` is that of the letter X, or 0 for the other letters.
    fn offset(&mut self, start: usize, sign: i64, count: usize, colon: bool) -> Option<()> {
        let digit =
            |at: usize| self.text.as_bytes().get(at).filter(|b| b.is_ascii_digit()).map(|b| i64::from(b - b'0'));
        let mut at = start + 1;
        let mut hours = digit(start)?;
        match digit(at) {
            Some(second) => {
                hours = hours * 10 + second;
                at += 1;
            }
            // One digit of an hour is enough before a colon.
            None if count > 0 || !colon => return None,
            None => {}
        }
        let mut minutes = 0;
        if count != 1 {
            if colon {
                if self.text.as_bytes().get(at) != Some(&b':') {
                    return None;
                }
                at += 1;
            }
            minutes = digit(at)? * 10 + digit(at + 1)?;
            at += 2;
        }
        if hours > 23 || minutes > 59 {
            return None;
        }
        self.set_zone(at, sign * (hours * 60 + minutes) * 60_000)
    }
}

/// Long and short names with their numbers, which begin with `first`.
fn named(names: &'static [&'static str], first: i64) -> impl Iterator<Item = (&'static str, i64)> {
    names.iter().zip(first..).flat_map(|(name, number)| [(*name, number), (short(name), number)])
}
