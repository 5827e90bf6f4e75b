//! One cluster at work: its control loop and its workers, in this process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use barnabas_connect::Registry;
use barnabas_operator::{
    drive::{self, Clock, Input, Link, LinkError, Redial, Reports},
    plan::{ClusterSpec, Options, PodState},
};
use barnabas_protocol::{Directive, ListPluginsResponse, Plugin, ValidateRequest, ValidateResponse};
use barnabas_worker::{Worker, WorkerConfig};
use futures::{StreamExt as _, stream};
use tokio::{sync::mpsc, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

/// Inputs that may wait for the control loop.
const INPUTS: usize = 64;
/// A worker reports this often even when nothing has changed.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A status that differs only in its progress is published this often, milliseconds.
const PROGRESS_MS: i64 = 500;

/// The connectors that this program can run: the same as the worker image's.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    barnabas_file::register(&mut registry);
    barnabas_schema_registry::register(&mut registry);
    registry
}

/// A cluster's loop and workers. Stop it with [`Self::stop`].
pub struct Runtime {
    config: WorkerConfig,
    inputs: mpsc::Sender<Input>,
    looping: JoinHandle<()>,
    stop: CancellationToken,
    workers: BTreeMap<String, Running>,
    clock: Clock,
}

struct Running {
    worker: Worker,
    link: Arc<dyn Link>,
    uid: String,
    surplus: bool,
}

impl Runtime {
    /// Starts the loop. There are no workers before [`Self::scale`], and nothing is decided before [`Self::synced`].
    pub fn start(config: WorkerConfig, clock: Clock, host: impl drive::Host) -> Self {
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let stop = CancellationToken::new();
        let mut options = Options::new(1, "barnabas-up", clock.now());
        // There is no other leader on one machine, and its status is looked at all the time.
        options.predecessor_ms = 0;
        options.progress_interval_ms = PROGRESS_MS;
        let looping = tokio::spawn(drive::run(options, clock, receiver, host, Redial::default(), stop.clone()));
        Self { config, inputs, looping, stop, workers: BTreeMap::new(), clock }
    }

    /// What its workers were started with.
    pub fn config(&self) -> &WorkerConfig {
        &self.config
    }

    /// Tells the loop something.
    pub async fn tell(&self, input: Input) {
        // The loop ends only when it is stopped.
        let _ = self.inputs.send(input).await;
    }

    /// Tells what the cluster is to be, and starts the workers that it lacks. A worker too many is emptied first and
    /// then [removed](Self::remove).
    pub async fn scale(&mut self, spec: ClusterSpec) -> Result<()> {
        let replicas = spec.replicas;
        let prefix = format!("{}-connect-", spec.name);
        self.tell(Input::Cluster(spec)).await;
        for number in 0..replicas {
            let name = format!("{prefix}{number}");
            if !self.workers.contains_key(&name) {
                let running = self.start_worker(&name).await?;
                self.workers.insert(name, running);
            }
        }
        let mut told = Vec::new();
        for (name, running) in &mut self.workers {
            let number = name.strip_prefix(&prefix).and_then(|number| number.parse::<u32>().ok());
            running.surplus = number.is_none_or(|number| number >= replicas);
            let state =
                PodState { uid: running.uid.clone(), ready: true, surplus: running.surplus, ..PodState::default() };
            told.push(Input::Worker { name: name.clone(), state, link: Some(running.link.clone()) });
        }
        for input in told {
            self.tell(input).await;
        }
        Ok(())
    }

    /// Everything there is was told.
    pub async fn synced(&self) {
        self.tell(Input::Synced).await;
    }

    /// Stops a worker that has been emptied.
    pub async fn remove(&mut self, name: &str, uid: &str) {
        if self.workers.get(name).is_some_and(|running| running.uid == uid && running.surplus)
            && let Some(running) = self.workers.remove(name)
        {
            self.tell(Input::WorkerGone { name: name.to_owned() }).await;
            running.worker.shutdown().await;
        }
    }

    /// What its workers can run.
    pub fn plugins(&self) -> Vec<Plugin> {
        self.workers.values().next().map(|running| running.worker.plugins()).unwrap_or_default()
    }

    /// Ends the loop, then lets every worker finish what it has, commit and stop.
    pub async fn stop(self) {
        self.stop.cancel();
        // A loop that panicked has said so; the workers are stopped all the same.
        let _ = self.looping.await;
        let stopping: Vec<_> = self
            .workers
            .into_values()
            .map(|running| tokio::spawn(async move { running.worker.shutdown().await }))
            .collect();
        for worker in stopping {
            let _ = worker.await;
        }
    }

    async fn start_worker(&self, name: &str) -> Result<Running> {
        let mut config = self.config.clone();
        config.worker = Some(name.to_owned());
        config.worker_id = Some(format!("{name}:8083"));
        let worker = Worker::new(config, registry()).with_context(|| format!("the worker {name} does not start"))?;
        let link: Arc<dyn Link> = Arc::new(InProcess { worker: worker.clone() });
        Ok(Running { worker, link, uid: format!("{name}-{}", self.clock.now()), surplus: false })
    }
}

/// A worker in the same process.
struct InProcess {
    worker: Worker,
}

#[async_trait]
impl Link for InProcess {
    async fn open(&self, mut directives: mpsc::Receiver<Directive>) -> Result<Reports, LinkError> {
        let mut reports = self.worker.reports();
        reports.mark_changed();
        let worker = self.worker.clone();
        tokio::spawn(async move {
            while let Some(directive) = directives.recv().await {
                // A refusal is in the worker's next report.
                let _ = worker.apply(directive);
            }
        });
        let stream = stream::unfold(reports, |mut reports| async move {
            match time::timeout(REPORT_EVERY, reports.changed()).await {
                Ok(Err(_)) => None,
                Ok(Ok(())) | Err(_) => {
                    let report = reports.borrow_and_update().clone();
                    Some((Ok(report), reports))
                }
            }
        });
        Ok(stream.boxed())
    }

    async fn validate(&self, request: ValidateRequest) -> Result<ValidateResponse, LinkError> {
        Ok(self.worker.validate(&request.name, &request.config, &request.secrets).await)
    }

    async fn plugins(&self) -> Result<ListPluginsResponse, LinkError> {
        Ok(ListPluginsResponse { plugins: self.worker.plugins() })
    }
}
