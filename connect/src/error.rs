//! Errors that say what may be done about them.
//!
//! `errors.tolerance`, retries, the dead letter queue, `autoRestart` and the condition reasons all work from
//! [`ErrorCode`]; nothing parses messages.

use std::borrow::Cow;
use std::fmt;

/// The result of everything that a connector, converter or transform does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What may be done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The same operation may succeed when tried again (`org.apache.kafka.connect.errors.RetriableException`).
    Retriable,
    /// The configuration is wrong; a person has to change it (`org.apache.kafka.common.config.ConfigException`).
    Config,
    /// One record is wrong; others are not (`org.apache.kafka.connect.errors.DataException`). `errors.tolerance` applies.
    Data,
    /// The task cannot go on (`org.apache.kafka.connect.errors.ConnectException`).
    Fatal,
}

impl ErrorCode {
    /// The stable name, as it appears in conditions and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retriable => "Retriable",
            Self::Config => "Config",
            Self::Data => "Data",
            Self::Fatal => "Fatal",
        }
    }

    /// The Java exception of Connect with the same meaning: what the dead letter queue header
    /// `__connect.errors.exception.class.name` carries.
    pub fn java_class(self) -> &'static str {
        match self {
            Self::Retriable => "org.apache.kafka.connect.errors.RetriableException",
            Self::Config => "org.apache.kafka.common.config.ConfigException",
            Self::Data => "org.apache.kafka.connect.errors.DataException",
            Self::Fatal => "org.apache.kafka.connect.errors.ConnectException",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error with a code, a stable reason and a message for people.
///
/// It is one pointer wide, because it is the rare case of every `Result` on the record path.
pub struct Error(Box<Inner>);

struct Inner {
    code: ErrorCode,
    reason: &'static str,
    message: Cow<'static, str>,
    origin: Option<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with the reason that is usual for its code; [`Error::with_reason`] sets a more exact one.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        let reason = match code {
            ErrorCode::Retriable => "TemporaryFailure",
            ErrorCode::Config => "InvalidConfiguration",
            ErrorCode::Data => "InvalidData",
            ErrorCode::Fatal => "TaskFailed",
        };
        Self(Box::new(Inner { code, reason, message: message.into(), origin: None, source: None }))
    }

    /// The same operation may succeed when tried again.
    pub fn retriable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Retriable, message)
    }

    /// The configuration is wrong.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Config, message)
    }

    /// One record is wrong.
    pub fn data(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Data, message)
    }

    /// The task cannot go on.
    pub fn fatal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Fatal, message)
    }

    /// Sets the stable CamelCase reason.
    #[must_use]
    pub fn with_reason(mut self, reason: &'static str) -> Self {
        self.0.reason = reason;
        self
    }

    /// Keeps the error that caused this one; [`Error::trace`] prints it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Names the class (converter, transform) in which the error happened, unless it is named already.
    /// It becomes the dead letter queue header `__connect.errors.class.name`.
    #[must_use]
    pub fn at_class(mut self, class: impl Into<Cow<'static, str>>) -> Self {
        self.0.origin.get_or_insert_with(|| class.into());
        self
    }

    /// What may be done about it.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The stable CamelCase reason.
    pub fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// The message without its causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The class in which the error happened, when a converter or transform is to blame.
    pub fn origin(&self) -> Option<&str> {
        self.0.origin.as_deref()
    }

    /// Whether the same operation may succeed when tried again.
    pub fn is_retriable(&self) -> bool {
        self.0.code == ErrorCode::Retriable
    }

    /// The message and its causes, one per line; what the task status shows as its trace.
    pub fn trace(&self) -> String {
        let mut text = format!("{}: {}", self.0.code.java_class(), self.0.message);
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str("\nCaused by: ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("reason", &self.0.reason)
            .field("message", &self.0.message)
            .field("origin", &self.0.origin)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
