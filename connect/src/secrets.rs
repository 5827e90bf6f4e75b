//! Values that must not be shown, and hiding them in text that is about to be.
//!
//! Kafka Connect quotes the value of a wrong key in its message, and so do we; where that value came out of a Secret, the
//! message would carry it into a condition, an Event or a log. What a message is made from is not known where it is
//! shown, so every text that leaves a worker passes [`Secrets::hide`].

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::config::Password;

/// From this length on, bytes, a secret is hidden wherever it stands. A shorter one may be part of a word that has
/// nothing to do with it, and is hidden where it stands alone.
const LONG: usize = 16;

/// Secret values, each in the forms in which a message may show it. Cheap to clone; never prints.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<[Box<str>]>);

impl Secrets {
    /// The given values. Empty ones are left out.
    pub fn new<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> Self {
        let mut forms: BTreeSet<Box<str>> = BTreeSet::new();
        for value in values {
            let value = value.as_ref();
            forms.insert(value.into());
            forms.insert(value.trim().into());
            // As Debug and JSON write it.
            for form in [format!("{value:?}"), serde_json::Value::from(value).to_string()] {
                forms.insert(form[1..form.len() - 1].into());
            }
        }
        Self::of_forms(forms)
    }

    /// All of several sets.
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        Self::of_forms(sets.into_iter().flat_map(|set| set.0.iter().cloned()).collect())
    }

    /// Those of at least `length` bytes.
    #[must_use]
    pub fn at_least(&self, length: usize) -> Self {
        Self(self.0.iter().filter(|form| form.len() >= length).cloned().collect())
    }

    fn of_forms(forms: BTreeSet<Box<str>>) -> Self {
        let mut forms: Vec<Box<str>> = forms.into_iter().filter(|form| !form.is_empty()).collect();
        // The longest first: one secret may be part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms.into())
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with `[hidden]` in place of every secret.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if let Some(hidden) = replace(&text, secret) {
                text = Cow::Owned(hidden);
            }
        }
        text
    }
}

fn replace(text: &str, secret: &str) -> Option<String> {
    let mut hidden = String::new();
    let mut done = 0;
    for (at, _) in text.match_indices(secret) {
        let end = at + secret.len();
        if secret.len() < LONG && (joined(&text[..at], secret) || joined(secret, &text[end..])) {
            continue;
        }
        hidden.push_str(&text[done..at]);
        hidden.push_str(Password::HIDDEN);
        done = end;
    }
    (done > 0).then(|| hidden + &text[done..])
}

/// Whether a word goes on where `left` ends and `right` begins.
fn joined(left: &str, right: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    left.chars().next_back().is_some_and(word) && right.chars().next().is_some_and(word)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_a_message_shows_it() {
        let secrets = Secrets::new(["s3cr3t", "a much longer secret", "two\nlines \"quoted\"", " padded "]);
        assert_eq!(
            secrets.hide("Invalid value s3cr3t for configuration password: postgres://me:s3cr3t@db"),
            "Invalid value [hidden] for configuration password: postgres://me:[hidden]@db"
        );
        assert_eq!(secrets.hide("xa much longer secrety"), "x[hidden]y");
        assert_eq!(secrets.hide("`padded` is wrong"), "`[hidden]` is wrong");
        assert_eq!(secrets.hide(&format!("{:?}", "two\nlines \"quoted\"")), "\"[hidden]\"");
        assert_eq!(secrets.hide("{\"a\":\"two\\nlines \\\"quoted\\\"\"}"), "{\"a\":\"[hidden]\"}");
    }

    #[test]
    fn a_short_secret_spoils_no_word_and_a_part_of_another_no_whole() {
        let secrets = Secrets::new(["in", "in-the-middle", ""]);
        assert_eq!(secrets.hide("main thing in it"), "main thing [hidden] it");
        assert_eq!(secrets.hide("`in-the-middle`"), "`[hidden]`");
        assert!(matches!(secrets.hide("nothing here"), Cow::Borrowed("nothing here")));
        assert_eq!(secrets.hide("inin in"), "inin [hidden]");
    }

    #[test]
    fn it_never_prints() {
        assert_eq!(format!("{:?}", Secrets::new(["s3cr3t"])), "Secrets(1)");
    }
}
