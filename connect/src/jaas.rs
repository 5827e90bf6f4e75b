//! The one line of JAAS that Kafka clients are configured with.

/// User name and password.
#[derive(Clone, PartialEq)]
pub struct Login {
    /// `username`.
    pub username: String,
    /// `password`.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Parses `Module required username="u" password="p";`. The error never repeats the value.
pub fn parse(line: &str) -> Result<Login, String> {
    let body = line.trim();
    let body = body.strip_suffix(';').ok_or("has to end with `;`")?;
    let (module, rest) = body.split_once(char::is_whitespace).ok_or("has to name a login module")?;
    let simple = module.rsplit('.').next().unwrap_or_default();
    if !["PlainLoginModule", "ScramLoginModule"].contains(&simple) {
        return Err("has to use PlainLoginModule or ScramLoginModule".into());
    }
    let (_, mut rest) = rest.trim().split_once(char::is_whitespace).ok_or("has no username and password")?;
    let (mut username, mut password) = (None, None);
    while let Some((name, after)) = rest.trim_start().split_once('=') {
        let (value, after) = value(after.trim_start())?;
        match name.trim() {
            "username" => username = Some(value),
            "password" => password = Some(value),
            _ => {}
        }
        rest = after;
    }
    if !rest.trim().is_empty() {
        return Err("is not of the form `Module required username=\"...\" password=\"...\";`".into());
    }
    Ok(Login { username: username.ok_or("has no username")?, password: password.ok_or("has no password")? })
}

/// A quoted or bare value and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    let Some(quote) = text.chars().next().filter(|c| *c == '"' || *c == '\'') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => return Ok((out, &text[at + 1..])),
            c => out.push(c),
        }
    }
    Err("has a value whose quote is not closed".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quotes_escapes_and_order_do_not_matter() {
        let login =
            parse(r#" a.b.PlainLoginModule  required password='p w=;' serviceName=x username="u\"1" ; "#.trim_end())
                .unwrap();
        assert_eq!((login.username.as_str(), login.password.as_str()), ("u\"1", "p w=;"));
    }

    #[test]
    fn what_is_missing_is_said_and_nothing_secret_is() {
        for (line, word) in [
            (r#"PlainLoginModule required username="u" password="secret""#, "`;`"),
            (r#"PlainLoginModule required username="u";"#, "password"),
            (r#"Krb5LoginModule required password="secret" username="u";"#, "ScramLoginModule"),
            (r#"PlainLoginModule required username="u" password="secret;"#, "quote"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(word) && !error.contains("secret"), "{line}: {error}");
        }
    }
}
