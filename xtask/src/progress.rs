//! Plain progress lines, each led by the seconds since the start, readable in a terminal and in a CI log alike.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

static START: OnceLock<Instant> = OnceLock::new();

/// Starts the clock that leads every line.
pub fn start() {
    START.get_or_init(Instant::now);
}

/// Time since the start of this task.
pub fn elapsed() -> Duration {
    START.get_or_init(Instant::now).elapsed()
}

/// Prints one progress line.
pub fn say(text: impl AsRef<str>) {
    println!("[{:>6.1} s] {}", elapsed().as_secs_f64(), text.as_ref());
}

/// Runs one named step and prints how long it took.
pub fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    say(format!("{name} ..."));
    let start = Instant::now();
    let result = work();
    let outcome = if result.is_ok() { "done" } else { "FAILED" };
    say(format!("{name}: {outcome} in {:.1} s", start.elapsed().as_secs_f64()));
    result
}
