//! Development tasks, run as `cargo xtask TASK`.
//!
//! Every task does its own set-up. What it builds or downloads is kept under the user's cache
//! folder ([`cache`]), so that the second run starts at once.

mod cache;
mod cluster;
mod compat;
mod corpus;
mod daemon;
mod generate;
mod image;
mod kafka;
mod licences;
mod maven;
mod oci;
mod progress;
mod registry;
mod run;
mod setup;
mod spare;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Barnabas", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests: format, clippy, unit, property, compatibility and end to end.
    Test(test::Options),
    /// A local Kubernetes with Kafka and the chart installed, to play in.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Build the image `localhost/barnabas:test` as an OCI archive, without Docker.
    Image(image::Options),
    /// Write the generated files (CRDs, references, protocol code) anew.
    Generate(generate::Options),
    /// Make the compatibility fixtures anew, with Apache Kafka Connect's own classes.
    Compat(compat::Options),
    /// Do the set-up only: packages, tools, downloads.
    Setup,
}

fn main() -> ExitCode {
    progress::start();
    run::watch_signals();
    let result = match Arguments::parse().task {
        Task::Test(options) => test::main(&options),
        Task::Cluster(command) => cluster::main(&command),
        Task::Image(options) => image::main(&options),
        Task::Generate(options) => generate::main(&options),
        Task::Compat(options) => compat::main(&options),
        Task::Setup => setup::everything().map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if run::interrupted() => {
            eprintln!("Interrupted.");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
