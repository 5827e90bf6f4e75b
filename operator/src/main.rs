//! `barnabas-operator`: reconciles `ConnectCluster` and `KafkaConnector` resources.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use barnabas_operator::{
    http::{self, Health},
    kube::{
        authority::Validity,
        build::Settings,
        events::Events,
        lease::{self, LeaseOptions},
        supervise::{self, Installation},
    },
    metrics::Metrics,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt};

/// The operator of Barnabas.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch resources and run their connectors on worker pods.
    Run(Box<Run>),
}

#[derive(Args)]
struct Run {
    /// Namespaces to watch, separated by commas. Default: the operator's own.
    #[arg(long, value_delimiter = ',', env = "BARNABAS_NAMESPACES", conflicts_with = "all_namespaces")]
    namespaces: Vec<String>,
    /// Watch all namespaces.
    #[arg(long)]
    all_namespaces: bool,
    /// Image of worker pods whose cluster names none.
    #[arg(long, env = "BARNABAS_WORKER_IMAGE")]
    worker_image: String,
    /// When to pull that image.
    #[arg(long, default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    worker_image_pull_policy: String,
    /// Pull secrets of worker pods whose cluster names none, separated by commas.
    #[arg(long, value_delimiter = ',')]
    worker_image_pull_secrets: Vec<String>,
    /// Name of the Lease by which one of several operators leads.
    #[arg(long, default_value = "barnabas-operator")]
    lease_name: String,
    /// Namespace of the Lease. Default: the operator's own.
    #[arg(long)]
    lease_namespace: Option<String>,
    /// A Lease that was not renewed for this many milliseconds is free.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(1000..))]
    lease_duration_ms: u64,
    /// Milliseconds between renewals of the Lease.
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(100..))]
    lease_renew_ms: u64,
    /// Milliseconds between attempts to take the Lease.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..))]
    lease_retry_ms: u64,
    /// Where to serve /healthz, /readyz and /metrics.
    #[arg(long, default_value = "0.0.0.0:8080")]
    http_listen: SocketAddr,
    /// How to write logs.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// Life of a cluster's certificate authority, seconds.
    #[arg(long, default_value_t = 3 * 365 * 86_400, value_parser = clap::value_parser!(u64).range(60..))]
    ca_validity_seconds: u64,
    /// Life of the workers' and the operator's certificates, seconds.
    #[arg(long, default_value_t = 90 * 86_400, value_parser = clap::value_parser!(u64).range(60..))]
    certificate_validity_seconds: u64,
    /// How long a mounted Secret may take to reach every worker, seconds.
    #[arg(long, default_value_t = 150)]
    ca_propagation_seconds: u64,
    /// Labels of the operator's pods as key=value, separated by commas, for the workers' network policies.
    /// Without them any pod of the operator's namespace may connect.
    #[arg(long, value_delimiter = ',', value_parser = label)]
    operator_labels: Vec<(String, String)>,
    /// Make no network policies.
    #[arg(long)]
    no_network_policies: bool,
    /// The operator's pod.
    #[arg(long, env = "POD_NAME", hide = true, default_value = "barnabas-operator")]
    pod_name: String,
    /// The operator's namespace.
    #[arg(long, env = "POD_NAMESPACE", hide = true)]
    pod_namespace: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not of the form key=value"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

fn main() -> ExitCode {
    let Cli { command: Command::Run(args) } = Cli::parse();
    let log_filter = start_logging(args.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "The asynchronous runtime could not be started.");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(run(*args, log_filter));
    // What still runs are requests that nobody waits for.
    runtime.shutdown_timeout(Duration::from_millis(500));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = format!("{error:#}"), "The operator cannot run.");
            ExitCode::FAILURE
        }
    }
}

fn start_logging(format: LogFormat) -> reload::Handle<EnvFilter, Registry> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => registry.with(tracing_subscriber::fmt::layer().json().flatten_event(true)).init(),
        LogFormat::Text => registry.with(tracing_subscriber::fmt::layer()).init(),
    }
    handle
}

async fn run(args: Run, log_filter: reload::Handle<EnvFilter, Registry>) -> anyhow::Result<()> {
    let metrics = Metrics::default();
    let shutdown = CancellationToken::new();
    let ready = Arc::new(AtomicBool::new(false));
    let listener =
        TcpListener::bind(args.http_listen).await.with_context(|| format!("listening on {}", args.http_listen))?;
    let health = Health { ready: ready.clone(), metrics: metrics.clone(), log_filter: Some(log_filter) };
    // Serves until the very end, so that the last probes are answered.
    let served = CancellationToken::new();
    let server = tokio::spawn(http::serve(listener, health, served.clone()));
    tokio::spawn(stop_on_signal(shutdown.clone()));

    let client = Client::try_default().await.context("no way to the API server is configured")?;
    let namespace = args.pod_namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    tokio::select! {
        () = reach(&client) => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    ready.store(true, Ordering::Relaxed);

    let namespaces = match (args.all_namespaces, args.namespaces.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => vec![namespace.clone()],
        (false, false) => args.namespaces.clone(),
    };
    info!(
        version = env!("CARGO_PKG_VERSION"), pod = %args.pod_name, ?namespaces, image = %args.worker_image,
        "The operator starts."
    );
    let lease_options = LeaseOptions {
        name: args.lease_name.clone(),
        identity: identity(&args.pod_name),
        duration: Duration::from_millis(args.lease_duration_ms),
        renew: Duration::from_millis(args.lease_renew_ms.min(args.lease_duration_ms / 2)),
        retry: Duration::from_millis(args.lease_retry_ms),
    };
    let lease_namespace = args.lease_namespace.clone().unwrap_or_else(|| namespace.clone());
    let leases: Api<Lease> = Api::namespaced(client.clone(), &lease_namespace);
    let (leader, leading) = watch::channel(None);
    let (deposed, floor) = watch::channel(0);
    let installation = Installation {
        events: Events::start(client.clone(), args.pod_name.clone(), metrics.clone()),
        client,
        namespaces,
        settings: Arc::new(Settings {
            image: args.worker_image,
            image_pull_policy: Some(args.worker_image_pull_policy),
            image_pull_secrets: args.worker_image_pull_secrets,
            operator_namespace: namespace,
            operator_labels: args.operator_labels.into_iter().collect::<BTreeMap<_, _>>(),
            network_policies: !args.no_network_policies,
        }),
        validity: Validity {
            authority: Duration::from_secs(args.ca_validity_seconds),
            leaf: Duration::from_secs(args.certificate_validity_seconds),
            propagation: Duration::from_secs(args.ca_propagation_seconds),
        },
        operator: args.pod_name,
        lease_duration: lease_options.duration,
        metrics: metrics.clone(),
        deposed,
        control_port: barnabas_operator::session::CONTROL_PORT,
    };
    let election = tokio::spawn(lease::elect(leases, lease_options, leader, floor, shutdown.clone()));
    follow(leading, installation, &metrics).await;
    election.await.context("the election failed")?;
    ready.store(false, Ordering::Relaxed);
    served.cancel();
    // A probe that hangs may not hold up the end.
    if tokio::time::timeout(Duration::from_secs(1), server).await.is_err() {
        info!("A connection to the HTTP port is cut.");
    }
    info!("The operator ends.");
    Ok(())
}

/// Leads whenever the election says so; returns when the election is over.
async fn follow(mut leading: watch::Receiver<Option<u64>>, installation: Installation, metrics: &Metrics) {
    loop {
        let term = *leading.borrow_and_update();
        metrics.leader.set(i64::from(term.is_some()));
        let lead = async {
            match term {
                Some(term) => {
                    metrics.term.set(term);
                    supervise::lead(installation.clone(), term).await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // Dropping the leader's future stops every task of it.
            biased;
            changed = leading.changed() => if changed.is_err() { return },
            () = lead => {}
        }
    }
}

/// Waits until the API server answers.
async fn reach(client: &Client) {
    let mut pause = Duration::from_millis(200);
    loop {
        match client.apiserver_version().await {
            Ok(version) => {
                info!(version = %version.git_version, "The API server answers.");
                return;
            }
            Err(error) => warn!(%error, "The API server does not answer; trying again."),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Different for every start of every process: a restarted operator is another one.
fn identity(pod: &str) -> String {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    format!("{pod}_{started:x}-{:x}", std::process::id())
}

async fn stop_on_signal(shutdown: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("Signals cannot be handled.");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("The operator was asked to stop.");
    shutdown.cancel();
}
