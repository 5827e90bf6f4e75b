//! The worker program.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use barnabas_connect::Registry;
use barnabas_worker::{
    Worker, WorkerConfig, control, http,
    http::Http,
    logging::{Format, Loggers},
};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Runs connectors and tasks under a Barnabas operator.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the worker until SIGTERM.
    Run {
        /// The worker's configuration.
        #[arg(long, default_value = "/etc/barnabas/worker.yaml")]
        config: PathBuf,
        /// How log lines look.
        #[arg(long, value_enum, default_value_t, env = "BARNABAS_LOG_FORMAT")]
        log_format: Format,
    },
    /// Checks the configuration file and exits.
    Check {
        /// The worker's configuration.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Check { config } => WorkerConfig::load(&config).map(drop).map_err(Into::into),
        Command::Run { config, log_format } => tokio::runtime::Builder::new_multi_thread()
            .thread_stack_size(barnabas_worker::THREAD_STACK)
            .enable_all()
            .build()
            .context("cannot start the runtime")
            .and_then(|runtime| {
                let outcome = runtime.block_on(run(config, log_format));
                // A call into an unreachable Kafka may still block a thread; it must not hold up the exit.
                runtime.shutdown_timeout(Duration::from_secs(2));
                outcome
            }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("barnabas-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(path: PathBuf, format: Format) -> anyhow::Result<()> {
    // First of all, so that a SIGTERM during the start is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let config = WorkerConfig::load(&path)?;
    let loggers = Loggers::init(format);
    for error in loggers.set_all(&config.logging.loggers) {
        tracing::warn!(%error, "A log level in the configuration is wrong.");
    }
    let mut registry = Registry::new();
    barnabas_file::register(&mut registry);
    barnabas_schema_registry::register(&mut registry);
    let drain_timeout = config.drain_timeout();
    let (control, http_listen, metrics_listen) = (config.control.clone(), config.http_listen, config.metrics_listen);
    let worker = Worker::new(config, registry)?;

    let stop = CancellationToken::new();
    let http = Http::new(worker.clone(), Some(loggers.clone()));
    if let Some(listen) = http_listen {
        http::serve(listen, http.router(), stop.clone().cancelled_owned()).await?;
    }
    if let Some(listen) = metrics_listen {
        http::serve(listen, http.metrics_router(), stop.clone().cancelled_owned()).await?;
    }
    let (_, control) = control::serve(worker.clone(), &control, stop.clone().cancelled_owned()).await?;
    http.control_listens();
    let following = tokio::spawn(follow_levels(path, loggers));

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("Asked to stop; draining.");
    tokio::select! {
        () = worker.drain(drain_timeout) => {}
        // A second signal: do not wait for the operator.
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    worker.shutdown().await;
    following.abort();
    stop.cancel();
    // The last report, that nothing runs, has to reach the operator.
    drop(tokio::time::timeout(Duration::from_secs(2), control).await);
    Ok(())
}

/// Follows the log levels in the configuration file; everything else in it takes a restart.
async fn follow_levels(path: PathBuf, loggers: Loggers) {
    let path = Arc::new(path);
    let mut last = None;
    let mut look = tokio::time::interval(Duration::from_secs(5));
    loop {
        look.tick().await;
        let file = Arc::clone(&path);
        let Ok(Ok(config)) = tokio::task::spawn_blocking(move || WorkerConfig::load(&file)).await else { continue };
        let levels = config.logging.loggers;
        if last.as_ref().is_some_and(|last| *last != levels) {
            tracing::info!(?levels, "Log levels changed.");
            loggers.set_all(&levels);
        }
        last = Some(levels);
    }
}
