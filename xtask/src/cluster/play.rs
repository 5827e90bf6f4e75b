//! `cargo xtask cluster`: a cluster to play in.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{Cluster, Owner};
use crate::{cache, image, progress, run, setup};

/// `cargo xtask cluster ...`
#[derive(Subcommand)]
pub enum Command {
    /// Start Kubernetes and Kafka, and install the chart.
    Up(Up),
    /// Remove everything that `up` started.
    Down,
}

/// `cargo xtask cluster up`
#[derive(Args)]
pub struct Up {
    /// Kubernetes and Kafka alone, without image and chart (to run tests on with `cargo xtask test e2e --reuse`).
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    image: image::Options,
}

/// Runs the command.
pub fn main(command: &Command) -> Result<bool> {
    match command {
        Command::Up(options) => up(options),
        Command::Down => {
            super::stop(&super::folder());
            Ok(true)
        }
    }
}

fn up(options: &Up) -> Result<bool> {
    setup::cluster()?;
    // Before the cluster starts, so that a program that does not compile costs no cluster.
    let images = if options.bare { None } else { Some(image::build(&options.image)?) };
    let cluster = Cluster::start(Owner::User)?;
    if let Some(images) = images {
        images.load(&cluster)?;
        install(&cluster)?;
    }
    let file = cluster.folder.join("env");
    progress::say("The cluster is up. To use it (kubectl, Kafka's addresses):");
    println!("\n  export KUBECONFIG={}", cluster.folder.join("admin.conf").display());
    println!("  alias kubectl={}", cluster.tools.kubectl.display());
    println!("  . {}     # both, and more: see the names in the file\n", file.display());
    println!("  Kafka from this machine: {}", crate::kafka::address("HOST"));
    println!("  Kafka from pods:         {}\n", crate::kafka::address("PODS"));
    println!("  cargo xtask cluster down      # removes it");
    Ok(true)
}

/// Installs the chart as a user would.
fn install(cluster: &Cluster) -> Result<()> {
    progress::step("installing the chart", || {
        let (repository, tag) = image::NAME.rsplit_once(':').unwrap_or((image::NAME, "latest"));
        let mut helm = cluster.helm();
        helm.args(["upgrade", "--install", "barnabas"]).arg(cache::repository().join("charts/barnabas"));
        helm.args(["--namespace", "barnabas", "--create-namespace", "--wait", "--timeout", "2m"]);
        helm.arg("--set").arg(format!("image.repository={repository},image.tag={tag},image.pullPolicy=Never"));
        run::quiet("helm install", &mut helm)
    })
}
