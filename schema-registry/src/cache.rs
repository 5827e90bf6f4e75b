//! What was worked out once for each topic and schema. Concurrent misses ask once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use barnabas_connect::{Error, ErrorCode, Result, SchemaRef};
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

/// What values are kept under, besides the topic.
pub trait Key: Clone {
    /// Whether both are the very same, which is cheap to see.
    fn is(&self, other: &Self) -> bool;
    /// Whether both are equal.
    fn equals(&self, other: &Self) -> bool;
}

impl Key for u32 {
    fn is(&self, other: &Self) -> bool {
        self == other
    }

    fn equals(&self, other: &Self) -> bool {
        self == other
    }
}

impl Key for Option<SchemaRef> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        self == other
    }
}

/// A bounded cache. A topic sees few schemas, and mostly the last one, which is asked first.
pub struct Cache<K, V> {
    /// The largest number of entries of a topic.
    capacity: usize,
    /// How long a value holds; for ever by default.
    ttl: Option<Duration>,
    topics: Mutex<HashMap<Box<str>, Entries<K, V>>>,
}

/// Of one topic, the last used at the end.
type Entries<K, V> = Vec<(K, Arc<Slot<V>>)>;

/// The lock is held while the registry is asked, so that others who need the same wait for the answer.
struct Slot<V>(Mutex<State<V>>);

enum State<V> {
    Empty,
    Known(V, Instant),
    Failed { code: ErrorCode, reason: &'static str, message: String, at: Instant },
}

/// The largest number of topics; a sink with `topics.regex` may see many.
const MAX_TOPICS: usize = 10_000;

impl<K: Key, V: Clone> Cache<K, V> {
    pub fn new(capacity: usize, ttl: Option<Duration>) -> Self {
        Self { capacity: capacity.max(1), ttl, topics: Mutex::new(HashMap::new()) }
    }

    /// The value, worked out by `make` when it is not known. A failure is told to those who waited for it, and not kept.
    pub fn get_or(&self, topic: &str, key: &K, make: impl FnOnce() -> Result<V>) -> Result<V> {
        let slot = self.slot(topic, key);
        if let Some(state) = slot.0.try_lock()
            && let Some(value) = self.fresh(&state)
        {
            return Ok(value);
        }
        let asked = Instant::now();
        blocking(|| {
            let mut state = slot.0.lock();
            if let Some(value) = self.fresh(&state) {
                return Ok(value);
            }
            if let State::Failed { code, reason, message, at } = &*state
                && *at >= asked
            {
                return Err(Error::new(*code, message.clone()).with_reason(reason));
            }
            match make() {
                Ok(value) => {
                    *state = State::Known(value.clone(), Instant::now());
                    Ok(value)
                }
                Err(error) => {
                    let message = error.message().to_owned();
                    *state = State::Failed { code: error.code(), reason: error.reason(), message, at: Instant::now() };
                    Err(error)
                }
            }
        })
    }

    fn fresh(&self, state: &State<V>) -> Option<V> {
        match state {
            State::Known(value, at) if self.ttl.is_none_or(|ttl| at.elapsed() < ttl) => Some(value.clone()),
            _ => None,
        }
    }

    fn slot(&self, topic: &str, key: &K) -> Arc<Slot<V>> {
        let mut topics = self.topics.lock();
        if topics.len() >= MAX_TOPICS && !topics.contains_key(topic) {
            topics.clear();
        }
        let entries = match topics.get_mut(topic) {
            Some(entries) => entries,
            None => topics.entry(topic.into()).or_default(),
        };
        let found = entries
            .iter()
            .rposition(|(known, _)| known.is(key))
            .or_else(|| entries.iter().rposition(|(known, _)| known.equals(key)));
        if let Some(index) = found {
            let last = entries.len() - 1;
            entries.swap(index, last);
            return Arc::clone(&entries[last].1);
        }
        if entries.len() >= self.capacity {
            entries.remove(0);
        }
        let slot = Arc::new(Slot(Mutex::new(State::Empty)));
        entries.push((key.clone(), Arc::clone(&slot)));
        slot
    }
}

/// Tells the runtime that this thread will block, where there is a runtime to tell.
fn blocking<T>(call: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(call),
        _ => call(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn concurrent_misses_ask_once_and_share_a_failure() {
        let cache = Cache::<u32, u32>::new(10, None);
        let asked = AtomicUsize::new(0);
        let all = std::sync::Barrier::new(8);
        let ask = |result: fn() -> Result<u32>| {
            thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| {
                        scope.spawn(|| {
                            all.wait();
                            cache.get_or("t", &1, || {
                                asked.fetch_add(1, Ordering::SeqCst);
                                thread::sleep(Duration::from_millis(300));
                                result()
                            })
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            })
        };
        let failed = ask(|| Err(Error::retriable("down").with_reason("X")));
        assert!(failed.iter().all(|result| result.as_ref().is_err_and(|e| e.message() == "down" && e.reason() == "X")));
        assert_eq!(asked.swap(0, Ordering::SeqCst), 1);
        assert!(ask(|| Ok(7)).iter().all(|result| *result.as_ref().unwrap() == 7), "a failure is not kept");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = Cache::<u32, u32>::new(2, None);
        for id in 0..100 {
            cache.get_or("t", &id, || Ok(id)).unwrap();
        }
        assert_eq!(cache.topics.lock()["t"].len(), 2);
    }
}
