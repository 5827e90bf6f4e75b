//! When the last request of a conversion has to have ended.

use std::time::{Duration, Instant};

/// A task that converts a record does nothing else meanwhile, not even stop. So all that a conversion asks the registry, with
/// retries and other URLs, ends by one deadline, however slow each of the answers is.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    all: Duration,
}

impl Deadline {
    /// Begins now.
    pub fn after(all: Duration) -> Self {
        Self { at: Instant::now() + all, all }
    }

    /// What is left; `None` when nothing is.
    pub fn left(self) -> Option<Duration> {
        self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// Whether it will have passed in `wait`.
    pub fn passes_in(self, wait: Duration) -> bool {
        self.left().is_none_or(|left| left <= wait)
    }

    /// How to say that it passed.
    pub fn explanation(self) -> String {
        format!("no more time: http.total.timeout.ms is {}", self.all.as_millis())
    }
}
