//! `barnabas validate`: everything wrong with a folder, without running any of it.

use std::{collections::BTreeMap, path::Path as FilePath, process::ExitCode};

use anyhow::Result;
use barnabas_worker::{config::Security, kafka::clients::ClientFactory, providers::Providers, units::Validator};

use crate::{
    manifests::{Folder, Key, Path, Problem, Reader, Severity},
    up::{Bootstrap, logging, runtime::registry, translate},
};

/// Prints every problem. Fails when one is more than a warning.
pub async fn run(dir: &FilePath) -> Result<ExitCode> {
    let mut reader = Reader::new(dir)?;
    reader.enter()?;
    let mut folder = reader.read()?.unwrap_or_default();
    configs(&mut folder).await;
    for problem in &folder.problems {
        println!("{problem}");
    }
    let errors = folder.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    if errors > 0 {
        eprintln!("{}: {errors} {}", dir.display(), if errors == 1 { "error" } else { "errors" });
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "{}: {} and {} are valid",
        dir.display(),
        counted(folder.clusters.len(), "cluster"),
        counted(folder.connectors.len(), "connector")
    );
    Ok(ExitCode::SUCCESS)
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Checks every cluster's and every connector's configuration as a worker would.
async fn configs(folder: &mut Folder) {
    let registry = registry();
    let mut found: Vec<Problem> = Vec::new();
    let mut clients: BTreeMap<Key, (ClientFactory, Providers)> = BTreeMap::new();
    for (key, cluster) in &folder.clusters {
        match logging::asked(cluster, folder, key) {
            Ok((_, problems)) => found.extend(problems),
            Err(message) => found.push(cluster.unlocated(Severity::Error, &Path::parse(&message), &message)),
        }
        let spec = &cluster.resource.spec;
        let bootstrap = Bootstrap { servers: spec.bootstrap_servers.clone(), embedded: spec.is_embedded() };
        let checked = translate::worker_config(spec, key, &bootstrap, Security::default())
            .and_then(|config| config.check().map(|()| config).map_err(|error| error.to_string()))
            .and_then(|config| {
                let providers = Providers::new(&config.config).map_err(|error| error.to_string())?;
                Ok((ClientFactory::new(&config).map_err(|error| error.to_string())?, providers))
            });
        match checked {
            Ok(checked) => drop(clients.insert(key.clone(), checked)),
            Err(message) if message.starts_with("spec.") => {
                found.push(cluster.unlocated(Severity::Error, &Path::parse(&message), &message));
            }
            Err(message) => found.push(cluster.problem(Severity::Error, &Path::of(["spec", "config"]), &message)),
        }
    }
    for (key, connector) in &folder.connectors {
        // Without its cluster, which is a problem that is already said, its overrides cannot be checked.
        let Some((clients, providers)) = folder.cluster_of(connector).and_then(|cluster| clients.get(&cluster.key))
        else {
            continue;
        };
        let (config, secrets) = match translate::config(&connector.resource, folder, key) {
            Ok(resolved) => resolved,
            Err(problem) => {
                let path = Path::parse(&problem.message);
                found.push(connector.unlocated(Severity::Error, &path, &problem.message));
                continue;
            }
        };
        let validator = Validator { registry: &registry, providers, clients };
        for error in validator.validate(connector.resource.kafka_name(), &config, &secrets).await {
            let path = match error.key.as_str() {
                "" => Path::of(["spec"]),
                "connector.class" => Path::of(["spec", "class"]),
                "tasks.max" => Path::of(["spec", "tasksMax"]),
                "name" => Path::of(["metadata", "name"]),
                key => Path::of(["spec", "config", key]),
            };
            // What heals by itself, such as a system that is not up yet, is no fault of the manifest.
            let severity = if error.retriable { Severity::Warning } else { Severity::Error };
            found.push(connector.problem(severity, &path, &error.message));
        }
    }
    folder.problems.extend(found);
    folder.problems.sort();
    folder.problems.dedup();
}
