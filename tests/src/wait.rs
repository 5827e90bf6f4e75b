//! Bounded waiting, with a sign of life.

use std::{
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

const POLL: Duration = Duration::from_millis(250);
const HEARTBEAT: Duration = Duration::from_secs(10);

static START: OnceLock<Instant> = OnceLock::new();

/// Prints one line, led by the seconds since the scenario's first line.
pub fn say(text: impl AsRef<str>) {
    let start = START.get_or_init(Instant::now);
    println!("{:>6.1} s  {}", start.elapsed().as_secs_f64(), text.as_ref());
}

/// Calls `probe` until it returns a value, for at most `limit`, and returns that value.
///
/// `probe` returns `Ok(None)`, or an error, while the awaited thing is not there; the last error is part of the
/// failure when it never comes.
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    let mut next = HEARTBEAT;
    loop {
        let last = match probe() {
            Ok(Some(value)) => {
                say(format!("{what}: after {:.1} s", start.elapsed().as_secs_f64()));
                return Ok(value);
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() > limit {
            match last {
                Some(error) => bail!("not within {} s: {what}; last: {error:#}", limit.as_secs()),
                None => bail!("not within {} s: {what}", limit.as_secs()),
            }
        }
        if start.elapsed() > next {
            next += HEARTBEAT;
            let why = last.map(|error| format!(" ({error:#})")).unwrap_or_default();
            say(format!("waiting for {} s: {what}{why}", start.elapsed().as_secs()));
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use anyhow::anyhow;

    use super::eventually;

    #[test]
    fn returns_the_first_value() {
        let mut calls = 0;
        let value = eventually("three calls", Duration::from_secs(30), || {
            calls += 1;
            if calls == 1 { Err(anyhow!("too early")) } else { Ok((calls == 3).then_some(calls)) }
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn names_the_last_error_when_the_limit_is_reached() {
        let failure = eventually::<()>("the impossible", Duration::ZERO, || Err(anyhow!("no such thing")));
        let text = failure.unwrap_err().to_string();
        assert!(text.contains("the impossible") && text.contains("no such thing"), "{text}");
    }
}
