//! Work that will be needed later, done in the time in which a test run leaves a core idle.
//!
//! Compiling has phases in which one crate holds up all others, and tests wait. On a machine with nothing cached the programs of
//! the cluster take a quarter of an hour of two cores; done beside the rest, at the lowest priority, most of that is for nothing.

use std::thread::{self, JoinHandle};

use anyhow::Result;

use crate::progress;

/// Work under way. Waited for at the latest when it is dropped, so that an interrupted run leaves no child behind.
pub struct Spare(Option<JoinHandle<()>>);

impl Spare {
    /// Begins. What fails is tried again by whoever needs it, and is their error.
    pub fn begin(what: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self(Some(thread::spawn(move || {
            // Of this thread, and so of all programs that it starts.
            let lowered = rustix::process::nice(19);
            if let Err(error) = lowered.map_err(Into::into).and_then(|_| work()) {
                progress::say(format!("{what} could not be prepared yet: {error:#}"));
            }
        })))
    }

    /// Waits until it is done.
    pub fn wait(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic has been printed, and what is missing will be made again.
            let _ = thread.join();
        }
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicI32, Ordering::SeqCst},
        },
        time::Duration,
    };

    use super::*;

    #[test]
    fn it_steps_back_before_the_rest_and_is_waited_for() {
        let own = rustix::process::getpriority_process(None).unwrap_or_default();
        let seen = Arc::new(AtomicI32::new(0));
        let sees = Arc::clone(&seen);
        drop(Spare::begin("a test", move || {
            thread::sleep(Duration::from_millis(50));
            sees.store(rustix::process::getpriority_process(None)?, SeqCst);
            Ok(())
        }));
        assert_eq!(seen.load(SeqCst), 19);
        assert_eq!(rustix::process::getpriority_process(None).unwrap_or_default(), own, "only its own thread");
    }
}
