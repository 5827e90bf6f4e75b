//! How the control loop reaches one worker, wherever that worker is.
//!
//! On Kubernetes a link is a gRPC connection to a pod ([`crate::session`]); in
//! `barnabas up` it is the worker in the same process. [`run`] keeps a session
//! open over either: it dials, tells the loop, carries directives down and
//! reports up, and dials again with a growing pause after it broke.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use barnabas_protocol::{Directive, ListPluginsResponse, Report, ValidateRequest, ValidateResponse, directive};
use futures::{StreamExt, stream::BoxStream};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Why a worker could not be reached. Holds no secret.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(pub String);

/// The reports of one open session; ends with it.
pub type Reports = BoxStream<'static, Result<Report, LinkError>>;

/// A way to one worker.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// Opens a session: everything received from `directives` goes to the worker, in order, beginning with a hello.
    /// Returns as soon as the worker can be reached; it need not have answered anything yet.
    async fn open(&self, directives: mpsc::Receiver<Directive>) -> Result<Reports, LinkError>;
    /// Checks a connector configuration.
    async fn validate(&self, request: ValidateRequest) -> Result<ValidateResponse, LinkError>;
    /// Lists the worker's plugins.
    async fn plugins(&self) -> Result<ListPluginsResponse, LinkError>;
}

/// What happened on a session.
#[derive(Debug)]
pub enum LinkEvent {
    /// The session is open; directives go into the outbox, a hello first.
    Up(Outbox),
    /// The worker reported.
    Report(Box<Report>),
    /// The session broke, or could not be opened.
    Down(String),
}

/// The directives that wait to be sent on one session.
///
/// A desired set that has not been sent yet is replaced by the next one: sets
/// are whole, so the older one is worth nothing. Hence at most one hello and one
/// set ever wait, however slow the worker is.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    waiting: Arc<Mutex<VecDeque<Directive>>>,
    added: Arc<Notify>,
}

impl Outbox {
    /// Adds a directive, after all that were added before it.
    pub fn push(&self, directive: Directive) {
        let mut waiting = self.waiting.lock();
        let is_set = |directive: &Directive| matches!(directive.body, Some(directive::Body::Desired(_)));
        if is_set(&directive) && waiting.back().is_some_and(is_set) {
            waiting.pop_back();
        }
        waiting.push_back(directive);
        drop(waiting);
        self.added.notify_one();
    }

    async fn next(&self) -> Directive {
        loop {
            if let Some(directive) = self.waiting.lock().pop_front() {
                return directive;
            }
            self.added.notified().await;
        }
    }
}

/// Pause before the first reconnection; doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// A worker that comes back is found again within this time.
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// A worker reports at least every second; one that has been silent for this long is as good as gone.
const SILENCE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(5) };

/// Why a session ended that was asked to.
const REDIAL: &str = "fresh certificates are used";

/// Keeps a session to `worker` open until `stop`. `redial` ends the present
/// session, to open one with fresh credentials. `notify` is given the events in
/// order; while nobody takes them the session waits.
pub async fn run<F, Fut>(worker: String, link: Arc<dyn Link>, redial: Arc<Notify>, notify: F, stop: CancellationToken)
where
    F: Fn(LinkEvent) -> Fut + Send,
    Fut: Future<Output = ()> + Send,
{
    let mut pause = MIN_PAUSE;
    let mut told_down = false;
    loop {
        let (opened, reason) = tokio::select! {
            ended = one_session(&worker, &*link, &redial, &notify) => ended,
            () = stop.cancelled() => return,
        };
        if opened {
            pause = MIN_PAUSE;
            told_down = false;
        }
        if reason == REDIAL {
            info!(worker, "The session with the worker is opened anew with fresh certificates.");
        } else if told_down {
            debug!(worker, %reason, "The worker is still unreachable.");
        } else {
            warn!(worker, %reason, "The session with the worker is down.");
            told_down = true;
        }
        notify(LinkEvent::Down(reason)).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
            () = stop.cancelled() => return,
        }
    }
}

/// One session to its end: whether a report ever came, and why it ended.
async fn one_session<F, Fut>(worker: &str, link: &dyn Link, redial: &Notify, notify: &F) -> (bool, String)
where
    F: Fn(LinkEvent) -> Fut + Send,
    Fut: Future<Output = ()> + Send,
{
    let (sender, receiver) = mpsc::channel(1);
    let mut reports = match tokio::time::timeout(SILENCE, link.open(receiver)).await {
        Ok(Ok(reports)) => reports,
        Ok(Err(error)) => return (false, error.to_string()),
        Err(_) => return (false, format!("no answer within {SILENCE:?}")),
    };
    let outbox = Outbox::default();
    notify(LinkEvent::Up(outbox.clone())).await;
    let mut heard = false;
    let mut silent = tokio::time::Instant::now() + SILENCE;
    loop {
        tokio::select! {
            // A report first: it may hold the refusal of what would be sent next.
            biased;
            report = reports.next() => match report {
                Some(Ok(report)) => {
                    if !heard {
                        info!(worker, boot = %report.boot_id, "The session with the worker is open.");
                        heard = true;
                    }
                    notify(LinkEvent::Report(Box::new(report))).await;
                    silent = tokio::time::Instant::now() + SILENCE;
                }
                Some(Err(error)) => return (heard, error.to_string()),
                None => return (heard, "the worker closed the session".to_owned()),
            },
            // The permit first, so that a directive never waits outside the outbox.
            permit = async {
                let permit = sender.reserve().await;
                (permit, outbox.next().await)
            } => match permit {
                (Ok(permit), directive) => permit.send(directive),
                (Err(_), _) => return (heard, "the worker closed the session".to_owned()),
            },
            () = redial.notified() => return (heard, REDIAL.to_owned()),
            () = tokio::time::sleep_until(silent) => {
                return (heard, format!("no report within {SILENCE:?}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use barnabas_protocol::{DesiredSet, Epoch, Hello};

    use super::*;

    type Session = (mpsc::Receiver<Directive>, mpsc::Sender<Result<Report, LinkError>>);

    /// Gives every session to the test, which plays the worker.
    struct Played(mpsc::Sender<Session>);

    #[async_trait]
    impl Link for Played {
        async fn open(&self, directives: mpsc::Receiver<Directive>) -> Result<Reports, LinkError> {
            let (sender, receiver) = mpsc::channel(4);
            self.0.send((directives, sender)).await.map_err(|_| LinkError("test over".into()))?;
            Ok(tokio_stream::wrappers::ReceiverStream::new(receiver).boxed())
        }
        async fn validate(&self, _: ValidateRequest) -> Result<ValidateResponse, LinkError> {
            Err(LinkError("not played".into()))
        }
        async fn plugins(&self) -> Result<ListPluginsResponse, LinkError> {
            Err(LinkError("not played".into()))
        }
    }

    fn hello() -> Directive {
        Directive { epoch: Some(Epoch::hello(7)), body: Some(directive::Body::Hello(Hello::default())) }
    }

    fn desired(revision: u64) -> Directive {
        Directive {
            epoch: Some(Epoch { term: 7, revision }),
            body: Some(directive::Body::Desired(DesiredSet::default())),
        }
    }

    #[tokio::test]
    async fn a_set_that_was_not_sent_is_replaced_and_the_hello_stays_first() {
        let outbox = Outbox::default();
        outbox.push(hello());
        outbox.push(desired(1));
        outbox.push(desired(2));
        assert_eq!(outbox.next().await, hello());
        assert_eq!(outbox.next().await, desired(2));
        assert!(outbox.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn a_broken_or_silent_session_is_opened_again_and_old_directives_do_not_leak_into_it() {
        let (sessions, mut opened) = mpsc::channel(1);
        let (events, mut seen) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let notify = move |event| {
            let events = events.clone();
            async move { events.send(event).await.unwrap() }
        };
        let redial = Arc::new(Notify::new());
        let link = Arc::new(Played(sessions));
        let task = tokio::spawn(run("w".into(), link, redial.clone(), notify, stop.clone()));

        let Some(LinkEvent::Up(outbox)) = seen.recv().await else { panic!("up first") };
        let (mut directives, reports) = opened.recv().await.unwrap();
        outbox.push(hello());
        assert_eq!(directives.recv().await.unwrap(), hello());
        reports.send(Ok(Report { boot_id: "b".into(), ..Report::default() })).await.unwrap();
        assert!(matches!(seen.recv().await, Some(LinkEvent::Report(report)) if report.boot_id == "b"));
        drop(reports);
        assert!(matches!(seen.recv().await, Some(LinkEvent::Down(_))));
        outbox.push(desired(1));

        // A worker that says nothing loses its session too, although the stream is open.
        let Some(LinkEvent::Up(outbox)) = seen.recv().await else { panic!("up again") };
        let (mut directives, _reports) = opened.recv().await.unwrap();
        outbox.push(hello());
        assert_eq!(directives.recv().await.unwrap(), hello());
        let Some(LinkEvent::Down(reason)) = seen.recv().await else { panic!("down") };
        assert!(reason.contains("no report"), "{reason}");

        // Fresh certificates.
        assert!(matches!(seen.recv().await, Some(LinkEvent::Up(_))));
        redial.notify_one();
        let Some(LinkEvent::Down(reason)) = seen.recv().await else { panic!("down") };
        assert!(reason.contains("fresh"), "{reason}");
        stop.cancel();
        task.await.unwrap();
    }
}
