//! `barnabas up`: the whole system on one machine.
//!
//! ```text
//!  folder ──Reader──▶ Up ──Input──▶ drive::run (per cluster) ──Directive──▶ Worker ──▶ Kafka
//!                     ▲ ▲                │ Host                                        (embedded or not)
//!          Objects ◀──┘ └────Pending◀────┘
//!             └──▶ Live table, socket for `barnabas get`
//! ```
//!
//! [`Up`] does here what the Kubernetes operator's watches do there: it keeps the control loops told of what the
//! manifests say. Planning, workers and status are the same code.

mod host;
mod live;
pub mod logging;
mod objects;
mod reconcile;
mod refs;
pub mod runtime;
mod screen;
mod security;
pub mod translate;

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use barnabas_operator::drive::Clock;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

pub use logging::Levels;
pub use screen::Screen;

use self::{host::Pending, live::Live, objects::Objects, reconcile::Up};
#[cfg(feature = "embedded-broker")]
use crate::broker::{EmbeddedBroker, Storage};
use crate::{manifests::Reader, socket};

/// Edits to the folder are noticed within this time. Looking is cheap, and works on every file system.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// The table is drawn this often.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// What `up` was asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of manifests, or one manifest.
    pub dir: PathBuf,
    /// The folder that keeps the embedded broker's records; in memory when absent.
    pub data: Option<PathBuf>,
    /// A Kafka for every cluster, whatever its manifest says.
    pub bootstrap_servers: Option<String>,
    /// Where the embedded broker listens.
    pub listen: SocketAddr,
}

/// Runs until Ctrl-C or SIGTERM, then lets everything finish and commit.
///
/// # Errors
/// When nothing can be started, or the embedded broker fails.
pub async fn run(options: Options, screen: Screen, levels: Levels) -> Result<()> {
    let stop = stop_on_signal(&screen)?;
    let clock = Clock::start();
    let started_ms = clock.now();
    let mut reader = Reader::new(&options.dir)?;
    let data = options.data.as_ref().map(std::path::absolute).transpose().context("--data")?;
    reader.enter().with_context(|| options.dir.display().to_string())?;
    let folder = reader.read()?.unwrap_or_default();

    let objects = Objects::new();
    let pending = Arc::new(Pending::default());
    let mut kafka = Kafka { given: options.bootstrap_servers.clone(), data, listen: options.listen, broker: None };
    let bootstrap = Arc::new(parking_lot::Mutex::new(BTreeSet::new()));
    let server = {
        let (objects, bootstrap) = (objects.clone(), bootstrap.clone());
        let dir = reader.root().display().to_string();
        socket::Server::start(move || {
            let bootstrap_servers = bootstrap.lock().iter().cloned().collect();
            crate::view::snapshot::Snapshot { dir: dir.clone(), bootstrap_servers, ..objects.snapshot() }
        })
    };
    // Without the socket only `barnabas get` is missing.
    let _server =
        server.inspect_err(|error| screen.line(&format!("`barnabas get` will not find this process: {error:#}")));

    let mut up = Up::new(objects.clone(), pending.clone(), clock, screen.clone(), options.dir.clone(), levels);
    up.follow(folder, &mut kafka).await;
    if up.runs_nothing() {
        bail!("{}: nothing to run", options.dir.display());
    }
    bootstrap.lock().extend(up.bootstrap_servers());
    let mut live = Live::new(screen.clone(), started_ms);
    let result = watch(&mut up, &mut live, &mut kafka, reader, &bootstrap, &stop).await;
    if result.is_ok() {
        screen.line("stopping: finishing and committing what is under way; Ctrl-C again stops at once");
    }
    up.stop().await;
    live.show(&objects.clusters(), &objects.connectors(), clock.now());
    screen.finish();
    kafka.stop().await;
    if result.is_ok() {
        screen.line("stopped");
    }
    result
}

async fn watch(
    up: &mut Up,
    live: &mut Live,
    kafka: &mut Kafka,
    mut reader: Reader,
    bootstrap: &parking_lot::Mutex<BTreeSet<String>>,
    stop: &CancellationToken,
) -> Result<()> {
    let mut look = time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut draw = time::interval(DRAW_EVERY);
    draw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            error = kafka.failed() => return Err(error),
            () = up.pending().notified() => up.settle(kafka).await,
            _ = draw.tick() => {
                up.refresh_plugins();
                live.show(&up.objects().clusters(), &up.objects().connectors(), up.now());
                up.notes();
            }
            _ = look.tick() => {
                // A folder may be on a slow disk.
                let (back, read) = tokio::task::spawn_blocking(move || {
                    let read = reader.read();
                    (reader, read)
                })
                .await
                .context("reading the folder")?;
                reader = back;
                match read {
                    Ok(Some(folder)) => {
                        up.follow(folder, kafka).await;
                        *bootstrap.lock() = up.bootstrap_servers();
                    }
                    Ok(None) => {}
                    // The folder was moved away for a moment, perhaps: what runs goes on.
                    Err(error) => up.say_once(&format!("{error:#}")),
                }
            }
        }
    }
}

/// Cancelled by the first SIGINT or SIGTERM. The second ends the process.
fn stop_on_signal(screen: &Screen) -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let (token, screen) = (stop.clone(), screen.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if token.is_cancelled() {
                screen.finish();
                screen.line("stopped at once; what was not committed will be repeated");
                std::process::exit(130);
            }
            token.cancel();
        }
    });
    Ok(stop)
}

/// Where records go: the Kafka that was named, or the embedded one, started when the first cluster needs it.
#[derive(Debug)]
pub struct Kafka {
    given: Option<String>,
    #[cfg_attr(not(feature = "embedded-broker"), allow(dead_code))]
    data: Option<PathBuf>,
    #[cfg_attr(not(feature = "embedded-broker"), allow(dead_code))]
    listen: SocketAddr,
    #[cfg(feature = "embedded-broker")]
    broker: Option<EmbeddedBroker>,
    #[cfg(not(feature = "embedded-broker"))]
    broker: Option<std::convert::Infallible>,
}

/// A cluster's Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// `host:port`, separated by commas.
    pub servers: String,
    /// It is the embedded broker.
    pub embedded: bool,
}

impl Kafka {
    /// The Kafka of a cluster whose manifest says `written`.
    async fn bootstrap(&mut self, written: &str, embedded: bool) -> Result<Bootstrap> {
        if let Some(given) = &self.given {
            return Ok(Bootstrap { servers: given.clone(), embedded: false });
        }
        if !embedded {
            return Ok(Bootstrap { servers: written.to_owned(), embedded: false });
        }
        self.embedded().await
    }

    #[cfg(feature = "embedded-broker")]
    async fn embedded(&mut self) -> Result<Bootstrap> {
        let broker = match &mut self.broker {
            Some(broker) => broker,
            none => {
                let storage = match &self.data {
                    Some(data) => {
                        std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
                        Storage::Sqlite(data.join("broker.db"))
                    }
                    None => Storage::Memory,
                };
                none.insert(EmbeddedBroker::start(&storage, self.listen).await?)
            }
        };
        Ok(Bootstrap { servers: broker.bootstrap_servers(), embedded: true })
    }

    #[cfg(not(feature = "embedded-broker"))]
    #[allow(clippy::unused_async)]
    async fn embedded(&mut self) -> Result<Bootstrap> {
        bail!("this program was built without the embedded broker: name a Kafka with --bootstrap-servers")
    }

    /// Resolves when the embedded broker has failed; never otherwise.
    async fn failed(&mut self) -> anyhow::Error {
        match &mut self.broker {
            #[cfg(feature = "embedded-broker")]
            Some(broker) => broker.failed().await,
            _ => std::future::pending().await,
        }
    }

    async fn stop(&mut self) {
        #[cfg(feature = "embedded-broker")]
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
    }
}
