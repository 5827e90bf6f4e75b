//! Whether this worker reaches Kafka, and why not.

use std::{sync::Arc, time::Duration};

use barnabas_connect::Error;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    clients::ClientFactory,
    context::{ClientNotes, last_error},
    errors::{UNREACHABLE, classify},
};

/// What is known about Kafka.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reach {
    /// Kafka has answered at least once since the worker started.
    pub once: bool,
    /// Why the last attempt failed; `None` when it succeeded, or while the first is under way.
    pub error: Option<String>,
}

/// Asks Kafka for a little metadata, again and again.
#[derive(Debug)]
pub struct Monitor {
    state: watch::Receiver<Reach>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How long [`Monitor::stop`] waits for a question that is under way: any that Kafka answers is answered by then.
const LAST_QUESTION: Duration = Duration::from_secs(1);

impl Monitor {
    /// Starts asking. `topic` is any topic that the worker may describe; it is never created by asking.
    pub fn start(clients: ClientFactory, group: String, topic: String) -> Self {
        let (sender, state) = watch::channel(Reach::default());
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut client = None;
            while !stopped.is_cancelled() {
                let (kept, outcome) = probe(client.take(), &clients, &group, &topic).await;
                client = kept;
                let pause = if outcome.is_ok() { Duration::from_secs(5) } else { Duration::from_secs(1) };
                sender.send_if_modified(|reach| {
                    let new = match outcome {
                        Ok(()) => Reach { once: true, error: None },
                        Err(error) => Reach { once: reach.once, error: Some(error) },
                    };
                    if reach.error.is_some() != new.error.is_some() {
                        match &new.error {
                            Some(error) => tracing::warn!(error, "Kafka cannot be reached."),
                            None => tracing::info!("Kafka can be reached again."),
                        }
                    }
                    std::mem::replace(reach, new.clone()) != new
                });
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stopped.cancelled() => {}
                }
            }
            clients.close(client);
        });
        Self { state, stop, task: Mutex::new(Some(task)) }
    }

    /// Asks no more. What it last found stays.
    pub async fn stop(&self) {
        self.stop.cancel();
        let task = self.task.lock().take();
        if let Some(mut task) = task
            && tokio::time::timeout(LAST_QUESTION, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    /// The state, and its changes.
    pub fn watch(&self) -> watch::Receiver<Reach> {
        self.state.clone()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut() {
            task.abort();
        }
    }
}

type Client = Arc<BaseConsumer<ClientNotes>>;

async fn probe(
    client: Option<Client>,
    clients: &ClientFactory,
    group: &str,
    topic: &str,
) -> (Option<Client>, Result<(), String>) {
    // After a failure a new client is made: certificates and passwords may have been replaced.
    let client = match client.map_or_else(|| create(clients, group), Ok) {
        Ok(client) => client,
        Err(error) => return (None, Err(error.to_string())),
    };
    let asked = {
        let (client, topic) = (Arc::clone(&client), topic.to_owned());
        let doing = format!("Reaching Kafka at {}", clients.bootstrap_servers());
        clients.blocking(move || {
            let outcome = client.fetch_metadata(Some(&topic), Duration::from_secs(4)).map(drop);
            let hint = last_error(&client);
            outcome.map_err(|error| classify(&doing, error, hint).to_string())
        })
    };
    match asked.await {
        Ok(Ok(())) => (Some(client), Ok(())),
        Ok(Err(error)) => {
            clients.close(client);
            (None, Err(error))
        }
        Err(error) => (None, Err(error.to_string())),
    }
}

fn create(clients: &ClientFactory, group: &str) -> Result<Client, Error> {
    let settings = clients.reader(group, "", false)?;
    settings
        .rdkafka
        .create_with_context(ClientNotes::new("", None))
        .map(Arc::new)
        .map_err(|error| classify("Creating a Kafka client", error, None).with_reason(UNREACHABLE))
}
