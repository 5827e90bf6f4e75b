//! `java.text.SimpleDateFormat` in UTC, in the locale en_US, lenient.

mod parse;

use std::fmt::Write;

use super::calendar::Fields;

/// A compiled pattern.
///
/// ```
/// use barnabas_connect::java::SimpleDateFormat;
///
/// let format = SimpleDateFormat::new("yyyy-MM-dd'T'HH:mm:ss.SSSX").unwrap();
/// assert_eq!(format.format(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
/// assert_eq!(format.parse("2023-11-14T23:13:20.123+01"), Some(1_700_000_000_123));
/// assert_eq!(format.parse("yesterday"), None);
/// ```
#[derive(Clone, Debug)]
pub struct SimpleDateFormat {
    pattern: String,
    items: Vec<Item>,
    /// Where the hundred years begin in which a year of two digits lies.
    century_start: i64,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Literal(String),
    /// A pattern letter and how often it stands there.
    Field(char, usize),
}

const LETTERS: &str = "GyMdkHmsSEDFwWahKzZYuXL";
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ERAS: [&str; 2] = ["BC", "AD"];
const HALVES: [&str; 2] = ["AM", "PM"];

/// The short name of a month or day.
fn short(name: &'static str) -> &'static str {
    &name[..3]
}

impl SimpleDateFormat {
    /// Compiles a pattern. The error says what is wrong with it, and names the letter.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let items = compile(pattern)?;
        Ok(Self { pattern: pattern.to_owned(), items, century_start: parse::century_start(now.as_millis() as i64) })
    }

    /// Sets where the hundred years begin in which a year of two digits lies, eighty years before now unless it is set
    /// (`set2DigitYearStart`); in milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn with_two_digit_year_start(mut self, millis: i64) -> Self {
        self.century_start = millis;
        self
    }

    /// The pattern as it was given (`toPattern`).
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The text of an instant, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn format(&self, millis: i64) -> String {
        let mut text = String::with_capacity(self.pattern.len() + 8);
        self.format_to(millis, &mut text);
        text
    }

    /// As [`SimpleDateFormat::format`], at the end of a text.
    pub fn format_to(&self, millis: i64, text: &mut String) {
        let fields = Fields::of(millis);
        for item in &self.items {
            match item {
                Item::Literal(literal) => text.push_str(literal),
                Item::Field(letter, count) => append(text, &fields, *letter, *count),
            }
        }
    }
}

fn compile(pattern: &str) -> Result<Vec<Item>, String> {
    let mut items: Vec<Item> = Vec::new();
    let mut literal = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                literal.push('\'');
            }
            '\'' => loop {
                match chars.next() {
                    Some('\'') if chars.peek() == Some(&'\'') => {
                        chars.next();
                        literal.push('\'');
                    }
                    Some('\'') => break,
                    Some(c) => literal.push(c),
                    None => return Err("Unterminated quote".to_owned()),
                }
            },
            letter if letter.is_ascii_alphabetic() => {
                if !LETTERS.contains(letter) {
                    return Err(format!("Illegal pattern character '{letter}'"));
                }
                let mut count = 1;
                while chars.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                if letter == 'X' && count > 3 {
                    return Err(format!("invalid ISO 8601 format: length={count}"));
                }
                if !literal.is_empty() {
                    items.push(Item::Literal(std::mem::take(&mut literal)));
                }
                items.push(Item::Field(letter, count));
            }
            c => literal.push(c),
        }
    }
    if !literal.is_empty() {
        items.push(Item::Literal(literal));
    }
    Ok(items)
}

fn append(text: &mut String, fields: &Fields, letter: char, count: usize) {
    let year_of_era = if fields.year > 0 { fields.year } else { 1 - fields.year };
    let hour = fields.millis_of_day / 3_600_000;
    let number = match letter {
        'G' => return text.push_str(ERAS[usize::from(fields.year > 0)]),
        'y' | 'Y' => {
            let year = if letter == 'y' { year_of_era } else { fields.week_year };
            if count == 2 { year % 100 } else { year }
        }
        'M' | 'L' => {
            let name = MONTHS[fields.month as usize - 1];
            match count {
                1 | 2 => i64::from(fields.month),
                3 => return text.push_str(short(name)),
                _ => return text.push_str(name),
            }
        }
        'E' => {
            let name = DAYS[fields.day_of_week as usize - 1];
            return text.push_str(if count >= 4 { name } else { short(name) });
        }
        'a' => return text.push_str(HALVES[usize::from(hour >= 12)]),
        'z' => return text.push_str(if count >= 4 { "Coordinated Universal Time" } else { "UTC" }),
        'Z' => return text.push_str("+0000"),
        'X' => return text.push('Z'),
        'w' => fields.week_of_year,
        'W' => fields.week_of_month,
        'D' => fields.day_of_year,
        'd' => i64::from(fields.day),
        'F' => fields.day_of_week_in_month,
        'u' => (fields.day_of_week + 5) % 7 + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'm' => fields.millis_of_day / 60_000 % 60,
        's' => fields.millis_of_day / 1000 % 60,
        // Of milliseconds it is the number, not a fraction of a second.
        _ => fields.millis_of_day % 1000,
    };
    if number < 0 {
        text.push('-');
    }
    // Writing to a string cannot fail.
    let _ = write!(text, "{:0count$}", number.unsigned_abs());
}
