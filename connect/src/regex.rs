//! Java's regular expressions (`java.util.regex`), which the keys of Connect are written in.
//!
//! The engine has look-around and back references. What differs in spelling is translated: `\Q...\E`, the ASCII meaning of
//! `\d`, `\w`, `\s`, and the POSIX classes `\p{Alpha}` and so on.

use fancy_regex::{Captures, Regex};

use crate::error::{Error, Result};

/// A compiled Java regular expression.
#[derive(Clone, Debug)]
pub struct JavaRegex {
    pattern: String,
    find: Regex,
    whole: Regex,
}

impl JavaRegex {
    /// Compiles a pattern; the error says what is wrong with it.
    pub fn new(pattern: &str) -> std::result::Result<Self, String> {
        let translated = translate(pattern);
        let compile = |text: &str| Regex::new(text).map_err(|error| error.to_string());
        Ok(Self {
            pattern: pattern.to_owned(),
            find: compile(&translated)?,
            whole: compile(&format!(r"\A(?:{translated})\z"))?,
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// `Matcher.matches`: whether the whole text matches. Fails when the engine gives up on backtracking.
    pub fn matches(&self, text: &str) -> Result<bool> {
        self.whole.is_match(text).map_err(|error| self.gave_up(error))
    }

    /// `Matcher.find`: whether any part of the text matches. Fails when the engine gives up on backtracking.
    pub fn finds(&self, text: &str) -> Result<bool> {
        self.find.is_match(text).map_err(|error| self.gave_up(error))
    }

    /// `Matcher.replaceFirst`, with Java's `$1`, `${name}` and `\` in the replacement. Fails on a group that does not exist.
    pub fn replace_first(&self, text: &str, replacement: &str) -> Result<String> {
        let Some(captures) = self.find.captures(text).map_err(|error| self.gave_up(error))? else {
            return Ok(text.to_owned());
        };
        let (start, end) = captures.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()));
        let mut result = text[..start].to_owned();
        self.expand(&mut result, &captures, replacement)?;
        result.push_str(&text[end..]);
        Ok(result)
    }

    fn expand(&self, result: &mut String, captures: &Captures<'_, str>, replacement: &str) -> Result<()> {
        let mut rest = replacement.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\\' => {
                    result.push(rest.next().ok_or_else(|| Error::data("character to be escaped is missing"))?);
                }
                '$' if rest.peek() == Some(&'{') => {
                    rest.next();
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err(Error::data("named capturing group is missing trailing '}'")),
                        }
                    }
                    if !self.find.capture_names().any(|known| known == Some(name.as_str())) {
                        return Err(Error::data(format!("No group with name {{{name}}}")));
                    }
                    result.push_str(captures.name(&name).map_or("", |group| group.as_str()));
                }
                '$' => {
                    let digit =
                        rest.next().ok_or_else(|| Error::data("Illegal group reference: group index is missing"))?;
                    let mut group = digit.to_digit(10).ok_or_else(|| Error::data("Illegal group reference"))? as usize;
                    if group >= captures.len() {
                        return Err(Error::data(format!("No group {group}")));
                    }
                    // As many further digits as still name a group.
                    while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                        if group * 10 + digit as usize >= captures.len() {
                            break;
                        }
                        group = group * 10 + digit as usize;
                        rest.next();
                    }
                    result.push_str(captures.get(group).map_or("", |group| group.as_str()));
                }
                c => result.push(c),
            }
        }
        Ok(())
    }

    fn gave_up(&self, error: fancy_regex::Error) -> Error {
        Error::data(format!("The regular expression {} could not be matched.", self.pattern)).with_source(error)
    }
}

fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let class = |body: &str| format!("[{body}]");
        let mut chars = rest[1..].chars();
        let (text, taken) = match chars.next() {
            Some('Q') => {
                let quoted = &rest[2..];
                let end = quoted.find("\\E").unwrap_or(quoted.len());
                (fancy_regex::escape(&quoted[..end]).into_owned(), 2 + (end + 2).min(quoted.len()))
            }
            Some('d') => (class("0-9"), 2),
            Some('D') => (class("^0-9"), 2),
            Some('w') => (class("a-zA-Z_0-9"), 2),
            Some('W') => (class("^a-zA-Z_0-9"), 2),
            Some('s') => (class(r" \t\n\x0B\f\r"), 2),
            Some('S') => (class(r"^ \t\n\x0B\f\r"), 2),
            Some(sign @ ('p' | 'P')) if rest[2..].starts_with('{') => {
                let end = rest.find('}').unwrap_or(rest.len() - 1);
                let negated = if sign == 'P' { "^" } else { "" };
                match posix(&rest[3..end.max(3)]) {
                    Some(name) => (format!("[[:{negated}{name}:]]"), end + 1),
                    None => (rest[..=end].to_owned(), end + 1),
                }
            }
            Some(c) => (rest[..1 + c.len_utf8()].to_owned(), 1 + c.len_utf8()),
            None => (rest.to_owned(), 1),
        };
        out.push_str(&text);
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

fn posix(name: &str) -> Option<&'static str> {
    Some(match name {
        "Lower" => "lower",
        "Upper" => "upper",
        "ASCII" => "ascii",
        "Alpha" => "alpha",
        "Digit" => "digit",
        "Alnum" => "alnum",
        "Punct" => "punct",
        "Graph" => "graph",
        "Print" => "print",
        "Blank" => "blank",
        "Cntrl" => "cntrl",
        "XDigit" => "xdigit",
        "Space" => "space",
        _ => return None,
    })
}
