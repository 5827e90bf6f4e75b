//! The program `barnabas`: data connectors on one machine, and a look at them.

#[cfg(feature = "embedded-broker")]
mod broker;
mod manifests;
mod socket;
mod up;
mod validate;
mod view;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use barnabas_worker::logging::Hidden;
use clap::{Parser, Subcommand};
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::view::{
    describe::describe,
    get::{Kind, Output},
};

/// Moves data between Kafka and everything else: connectors from Kubernetes manifests, without a JVM.
#[derive(Debug, Parser)]
#[command(name = "barnabas", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the manifests of a folder on this machine, and follows edits to them.
    Up(UpArgs),
    /// Shows resources of a running `up`, as kubectl does.
    Get(GetArgs),
    /// Shows everything about a resource of a running `up`.
    Describe(DescribeArgs),
    /// Checks the manifests of a folder: every problem with its file and line. Exits 1 when there is an error.
    Validate {
        /// The folder of manifests, or one manifest.
        dir: PathBuf,
    },
    /// Prints the custom resource definitions, for `kubectl apply -f -`.
    Crds,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    /// The folder of manifests, or one manifest. It becomes the working folder: relative paths in manifests start there.
    dir: PathBuf,
    /// Keeps the embedded Kafka's records in a file under this folder. Without it they are kept in memory, and gone
    /// when `up` ends.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A Kafka for every cluster, whatever its manifest says: host:port, separated by commas.
    #[arg(long, value_name = "HOSTS", conflicts_with_all = ["data", "listen"])]
    bootstrap_servers: Option<String>,
    /// Where the embedded Kafka listens; port 0 is any that is free.
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    listen: SocketAddr,
    /// Says more: -v information, -vv details. RUST_LOG, when set, says exactly what.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Plain lines even on a terminal.
    #[arg(long)]
    plain: bool,
}

#[derive(Debug, clap::Args)]
struct Where {
    /// The folder of the `up` to ask, when several are running.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only resources of this namespace.
    #[arg(short, long)]
    namespace: Option<String>,
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// connectors or clusters, or what kubectl would call them.
    kind: Kind,
    /// The name of one resource.
    name: Option<String>,
    /// How to show them.
    #[arg(short, long)]
    output: Option<Output>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, clap::Args)]
struct DescribeArgs {
    /// connector or cluster.
    kind: Kind,
    /// The name of one resource; all of them without it.
    name: Option<String>,
    #[command(flatten)]
    place: Where,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(barnabas_worker::THREAD_STACK)
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli.command));
            // A call into an unreachable Kafka may still block a thread; it must not hold up the exit.
            runtime.shutdown_timeout(Duration::from_secs(2));
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // kubectl's own words need no prefix.
            match error.downcast_ref::<view::get::NotFound>() {
                Some(not_found) => eprintln!("{not_found}"),
                None => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => {
            let screen = up::Screen::new(!args.plain);
            let levels = log_to(&screen, args.verbose);
            let options = up::Options {
                dir: args.dir,
                data: args.data,
                bootstrap_servers: args.bootstrap_servers,
                listen: args.listen,
            };
            up::run(options, screen, levels).await?;
        }
        Command::Validate { dir } => return validate::run(&dir).await,
        Command::Get(args) => {
            let snapshot = socket::ask(args.place.dir.as_deref()).await?;
            let namespace = args.place.namespace.as_deref();
            let text = args.kind.show(&snapshot, namespace, args.name.as_deref(), args.output, now_ms())?;
            if text.is_empty() {
                eprintln!("No resources found{}.", namespace.map_or(String::new(), |it| format!(" in {it} namespace")));
            }
            print(&text);
        }
        Command::Describe(args) => {
            let snapshot = socket::ask(args.place.dir.as_deref()).await?;
            let objects = args.kind.select(&snapshot, args.place.namespace.as_deref(), args.name.as_deref())?;
            let texts: Vec<String> = objects.iter().map(|object| describe(object, &snapshot, now_ms())).collect();
            if texts.is_empty() {
                eprintln!("No resources found.");
            }
            print(&texts.join("\n\n"));
        }
        Command::Crds => print(&barnabas_crds::yaml()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Standard output may be closed early, as by `head`; that is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn log_to(screen: &up::Screen, verbose: u8) -> up::Levels {
    let (filter, levels) = up::logging::filter(verbose);
    let logs = tracing_subscriber::fmt::layer().with_writer(Hidden(screen.clone())).with_ansi(screen.is_live());
    // Fails only when a logger is set already, which nothing does.
    let _ = tracing_subscriber::registry().with(logs.with_filter(filter)).try_init();
    levels
}
