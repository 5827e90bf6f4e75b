//! Reading, with what Jackson accepts and refuses: leading zeros are allowed (Connect's `JsonDeserializer` says so), what follows
//! the first value is ignored, a repeated name keeps its first place and takes the last value.

use std::borrow::Cow;
use std::fmt;

/// Deeper documents are refused, as Jackson's `StreamReadConstraints` does.
const MAX_DEPTH: usize = 1000;
/// Longer numbers are refused, as Jackson's `StreamReadConstraints` does: their conversion costs too much.
const MAX_NUMBER: usize = 1000;

/// A number as it was written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// Without fraction or exponent, within 64 bits.
    Integer(i64),
    /// Without fraction or exponent, beyond 64 bits; the digits with their sign.
    BigInteger(&'a str),
    /// With a fraction or an exponent, as it was written.
    Decimal(&'a str),
}

/// A JSON value that borrows from the text.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // The names say it all.
pub enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// The member of that name.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Jackson's `JsonNodeType`, which Connect's messages name.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "BOOLEAN",
            Self::Number(_) => "NUMBER",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Object(_) => "OBJECT",
        }
    }
}

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    what: Cow<'static, str>,
    line: usize,
    column: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.what, self.line, self.column)
    }
}

impl std::error::Error for ParseError {}

/// Parses the first value of a text; `None` when there is nothing but white space.
pub fn parse(text: &str) -> Result<Option<Node<'_>>, ParseError> {
    let mut reader = Reader::new(text);
    if !reader.begin() {
        return Ok(None);
    }
    let node = read_node(&mut reader)?;
    reader.finish(matches!(node, Node::Number(_)))?;
    Ok(Some(node))
}

/// Reads one value.
pub(crate) fn read_node<'a>(reader: &mut Reader<'a>) -> Result<Node<'a>, ParseError> {
    Ok(match reader.token()? {
        Token::Null => Node::Null,
        Token::Bool(value) => Node::Bool(value),
        Token::Number(number) => Node::Number(number),
        Token::String(text) => Node::String(text),
        Token::Array => {
            let mut items = Vec::new();
            while reader.next_item(items.is_empty())? {
                items.push(read_node(reader)?);
            }
            Node::Array(items)
        }
        Token::Object => {
            let mut members = Vec::new();
            while let Some(name) = reader.next_name(members.is_empty())? {
                members.push((name, read_node(reader)?));
            }
            unite(&mut members, |one, other| one == other);
            Node::Object(members)
        }
    })
}

/// Gives each repeated name its first place and its last value.
pub(crate) fn unite<K, V>(members: &mut Vec<(K, V)>, same: impl Fn(&K, &K) -> bool)
where
    K: AsName,
{
    let repeated = if members.len() <= 16 {
        members.iter().enumerate().any(|(index, (name, _))| members[..index].iter().any(|(other, _)| same(name, other)))
    } else {
        let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_name()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    };
    if repeated {
        let mut united: Vec<(K, V)> = Vec::with_capacity(members.len());
        for (name, value) in members.drain(..) {
            match united.iter_mut().find(|(known, _)| same(known, &name)) {
                Some((_, old)) => *old = value,
                None => united.push((name, value)),
            }
        }
        *members = united;
    }
}

/// A member's name as text, to sort by.
pub(crate) trait AsName {
    fn as_name(&self) -> &str;
}

impl AsName for Cow<'_, str> {
    fn as_name(&self) -> &str {
        self
    }
}

impl AsName for crate::Value {
    fn as_name(&self) -> &str {
        self.as_str().unwrap_or_default()
    }
}

/// The beginning of a value.
#[derive(Debug)]
pub(crate) enum Token<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Cow<'a, str>),
    Array,
    Object,
}

/// Reads a text token by token, so that callers build what they need without a tree between.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, depth: 0 }
    }

    /// Skips white space; whether there is anything else.
    pub fn begin(&mut self) -> bool {
        self.skip_space();
        self.at < self.text.len()
    }

    pub fn position(&self) -> usize {
        self.at
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Moves on over bytes that the caller knows.
    pub fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The text between two positions.
    pub fn between(&self, start: usize, end: usize) -> &'a str {
        &self.text[start..end]
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Whether an object begins here.
    pub fn at_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Whether a number begins here.
    pub fn at_number(&self) -> bool {
        matches!(self.peek(), Some(b'-' | b'0'..=b'9'))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    pub fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub fn error(&self, what: impl Into<Cow<'static, str>>) -> ParseError {
        let before = &self.bytes()[..self.at.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        ParseError { what: what.into(), line, column }
    }

    fn unexpected(&self, expected: &str) -> ParseError {
        match self.text[self.at..].chars().next() {
            Some(c) => self.error(format!("Unexpected character {c:?}: expected {expected}")),
            None => self.error(format!("Unexpected end-of-input: expected {expected}")),
        }
    }

    /// The next value, or its beginning.
    pub fn token(&mut self) -> Result<Token<'a>, ParseError> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Token::String(self.string(false)?)),
            Some(b'{') => self.enter().map(|()| Token::Object),
            Some(b'[') => self.enter().map(|()| Token::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number(self.number()?)),
            Some(b't') => self.word("true").map(|()| Token::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Token::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Token::Null),
            _ => Err(self.unexpected("a JSON value")),
        }
    }

    fn enter(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("Document nesting depth exceeds the maximum allowed ({MAX_DEPTH})")));
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        let after = self.bytes().get(self.at + word.len());
        let joined =
            after.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80);
        if !self.text[self.at..].starts_with(word) || joined {
            return Err(self.error("Unrecognized token: expected a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// After `[`: moves to the next item, or past `]`.
    pub fn next_item(&mut self, first: bool) -> Result<bool, ParseError> {
        self.skip_space();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
                if self.peek() == Some(b']') { Err(self.unexpected("a JSON value")) } else { Ok(true) }
            }
            _ if first => Ok(true),
            _ => Err(self.unexpected("',' or ']'")),
        }
    }

    /// After `{`: reads the next name and its colon, or moves past `}`.
    pub fn next_name(&mut self, first: bool) -> Result<Option<Cow<'a, str>>, ParseError> {
        self.skip_space();
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(self.unexpected("',' or '}'")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a double-quoted name"));
        }
        let name = self.string(true)?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("':'"));
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// Moves past a value, checking it.
    pub fn skip_value(&mut self) -> Result<(), ParseError> {
        match self.token()? {
            Token::Array => {
                let mut first = true;
                while self.next_item(first)? {
                    first = false;
                    self.skip_value()?;
                }
            }
            Token::Object => {
                let mut first = true;
                while self.next_name(first)?.is_some() {
                    first = false;
                    self.skip_value()?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What follows the first value is ignored, but when that is a number it has to stand apart.
    pub fn finish(&self, number: bool) -> Result<(), ParseError> {
        match self.peek() {
            Some(byte) if number && !byte.is_ascii_whitespace() => {
                Err(self.unexpected("a space between root-level values"))
            }
            _ => Ok(()),
        }
    }

    fn number(&mut self) -> Result<Number<'a>, ParseError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let digits = self.digits()?;
        let mut whole = true;
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            fraction = self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            let exponent = self.at;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
            // What a `BigDecimal` can hold.
            let exponent: Option<i32> = self.text[exponent..self.at].parse().ok();
            if exponent.is_none_or(|exponent| i32::try_from(fraction as i64 - i64::from(exponent)).is_err()) {
                return Err(self.error("The exponent of the number is out of range"));
            }
        }
        let text = &self.text[start..self.at];
        if text.len() > MAX_NUMBER {
            return Err(self.error(format!("Number length exceeds the maximum allowed ({MAX_NUMBER})")));
        }
        Ok(match text.parse() {
            _ if !whole => Number::Decimal(text),
            Ok(value) => Number::Integer(value),
            Err(_) if digits > 0 => Number::BigInteger(text),
            Err(_) => return Err(self.error("Invalid number")),
        })
    }

    fn digits(&mut self) -> Result<usize, ParseError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(self.at - start) }
    }

    fn string(&mut self, name: bool) -> Result<Cow<'a, str>, ParseError> {
        self.at += 1;
        let start = self.at;
        let mut owned = String::new();
        let mut copied = start;
        loop {
            let rest = &self.bytes()[self.at..];
            let run = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            // Looking at all of it without a branch is faster than looking for the first; there is none in nearly every text.
            let run = if rest[..run].iter().fold(false, |found, byte| found | (*byte < 0x20)) {
                rest.iter().position(|byte| *byte < 0x20).unwrap_or(run)
            } else {
                run
            };
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    let tail = &self.text[copied..self.at];
                    self.at += 1;
                    if copied == start {
                        return Ok(Cow::Borrowed(tail));
                    }
                    owned.push_str(tail);
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    owned.push_str(&self.text[copied..self.at]);
                    self.at += 1;
                    owned.push(self.escape(name)?);
                    copied = self.at;
                }
                Some(byte) => {
                    return Err(self.error(format!(
                        "Illegal unquoted character (CTRL-CHAR, code {byte}): has to be escaped using backslash"
                    )));
                }
                None => {
                    return Err(self.error("Unexpected end-of-input: was expecting closing quote for a string value"));
                }
            }
        }
    }

    /// What follows a backslash. A surrogate without its partner becomes U+FFFD, because UTF-8 cannot hold it; in a name Jackson
    /// refuses it.
    fn escape(&mut self, name: bool) -> Result<char, ParseError> {
        let Some(byte) = self.peek() else { return Err(self.unexpected("an escape")) };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex()?;
                if let Some(c) = char::from_u32(unit) {
                    return Ok(c);
                }
                let before = self.at;
                if self.bytes()[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex()?;
                    if unit < 0xdc00 && (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
                self.at = before;
                if name {
                    return Err(self.error("Half a surrogate pair in a name"));
                }
                char::REPLACEMENT_CHARACTER
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("one of \" \\ / b f n r t u"));
            }
        })
    }

    fn hex(&mut self) -> Result<u32, ParseError> {
        let digits = self.bytes().get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return Err(self.unexpected("four hexadecimal digits")) };
        self.at += 4;
        Ok(digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0)))
    }
}
