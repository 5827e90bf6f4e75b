//! The tokens of `Values.Parser`: delimiters, and the text between them. A backslash takes a delimiter its meaning.

/// Hands out tokens, with one token of look-ahead.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    ahead: Option<&'a str>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, ahead: None }
    }

    pub fn has_next(&self) -> bool {
        self.ahead.is_some() || self.at < self.text.len()
    }

    /// The position before the token that is next.
    pub fn mark(&self) -> usize {
        self.at - self.ahead.map_or(0, str::len)
    }

    pub fn rewind(&mut self, position: usize) {
        self.at = position;
        self.ahead = None;
    }

    pub fn next(&mut self) -> &'a str {
        match self.ahead.take() {
            Some(token) => token,
            None => self.scan(),
        }
    }

    /// The text of the next four tokens; without so many, nothing is taken.
    pub fn next_four(&mut self) -> Option<&'a str> {
        let start = self.mark();
        for _ in 0..4 {
            if !self.has_next() {
                self.rewind(start);
                return None;
            }
            self.next();
        }
        Some(&self.text[start..self.at])
    }

    /// Takes the next token when it is the expected one, blanks around it aside. Blank tokens before it are lost either way.
    pub fn consume(&mut self, expected: &str) -> bool {
        let mut token = match self.ahead {
            Some(token) => token,
            None if self.has_next() => self.scan(),
            None => return false,
        };
        while token.chars().all(char::is_whitespace) && self.at < self.text.len() {
            token = self.scan();
        }
        let found = crate::java::trim(token) == expected;
        self.ahead = if found { None } else { Some(token) };
        found
    }

    fn scan(&mut self) -> &'a str {
        let start = self.at;
        let mut escaped = false;
        for (offset, c) in self.text[start..].char_indices() {
            match c {
                '\\' => escaped = !escaped,
                ':' | ',' | '{' | '}' | '[' | ']' | '"' if !escaped => {
                    self.at = start + if offset == 0 { 1 } else { offset };
                    return &self.text[start..self.at];
                }
                _ => escaped = false,
            }
        }
        self.at = self.text.len();
        &self.text[start..]
    }
}
