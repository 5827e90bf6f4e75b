//! Log levels: those of the command line, and what the clusters' `spec.logging` asks for besides.
//!
//! On Kubernetes each worker has a log of its own. Here all share one, so that of two clusters that set the same logger
//! the more talkative one counts, and none can make the log say less than the command line wants.

use std::{collections::BTreeMap, sync::Arc};

use barnabas_crds::{ConnectClusterSpec, LoggingType, log4j_levels};
use barnabas_worker::logging::{self, Level};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, Targets},
    layer::Filter,
    registry::LookupSpan,
    reload,
};

use crate::manifests::{Folder, Key, Located, Path, Problem, Severity};

/// The embedded broker's crates: they are no part of a worker, and the levels of one are not for them.
const BROKER: [&str; 6] = ["libsql", "rama", "tansu_broker", "tansu_sans_io", "tansu_service", "tansu_storage"];

/// What clusters add to the log. Clones are the same log.
#[derive(Clone)]
pub struct Levels(Option<Arc<dyn Fn(Targets) + Send + Sync>>);

impl Levels {
    /// `apply` lets through what its argument does, besides what the command line wants.
    pub fn new(apply: impl Fn(Targets) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(apply)))
    }

    /// Nobody has a say but the command line.
    pub fn fixed() -> Self {
        Self(None)
    }

    /// Replaces what was applied before.
    pub fn apply<'a>(&self, clusters: impl IntoIterator<Item = &'a BTreeMap<String, Level>>) {
        let Some(apply) = &self.0 else { return };
        let mut most: BTreeMap<String, Level> = BTreeMap::new();
        for (logger, level) in clusters.into_iter().flatten() {
            let known = most.entry(logger.clone()).or_insert(*level);
            *known = (*known).max(*level);
        }
        let quiet = BROKER.map(|target| (target, LevelFilter::OFF));
        apply(logging::filter(&most).with_targets(quiet));
    }
}

/// What the log shows with so many `-v`, and the handle that adds to it. RUST_LOG, when set, says exactly what.
pub fn filter<S>(verbose: u8) -> (Box<dyn Filter<S> + Send + Sync>, Levels)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if let Ok(exact) = EnvFilter::try_from_default_env() {
        return (Box::new(exact), Levels::fixed());
    }
    wanted(verbose)
}

fn wanted<S>(verbose: u8) -> (Box<dyn Filter<S> + Send + Sync>, Levels)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The planner and the workers say on the resources what matters; the embedded broker logs what clients do.
    let default = match verbose {
        0 => "error,tansu_broker=off,tansu_storage=off,tansu_service=off",
        1 => "info,tansu_broker=error,tansu_storage=error,rama=warn",
        _ => "debug,tansu_broker=info,tansu_storage=info,tansu_service=info,tansu_sans_io=info,rama=info,h2=info",
    };
    let (clusters, handle) = reload::Layer::<Targets, S>::new(Targets::new());
    let filter = FilterExt::<S>::or(EnvFilter::new(default), clusters);
    // Fails only when the log is gone.
    (Box::new(filter), Levels::new(move |targets| drop(handle.reload(targets))))
}

/// The levels that a cluster asks for, and what is wrong with some of them.
///
/// # Errors
/// A sentence that names the ConfigMap or key that is missing.
pub fn asked(
    cluster: &Located<barnabas_crds::ConnectCluster>,
    folder: &Folder,
    key: &Key,
) -> Result<(BTreeMap<String, Level>, Vec<Problem>), String> {
    let written = written(&cluster.resource.spec, folder, key)?;
    let (levels, wrong) = logging::levels(&written);
    let path = Path::of(["spec", "logging"]);
    let problems = wrong
        .iter()
        .map(|(logger, error)| cluster.problem(Severity::Warning, &path, &format!("{logger}: {error}")))
        .collect();
    Ok((levels, problems))
}

fn written(spec: &ConnectClusterSpec, folder: &Folder, key: &Key) -> Result<BTreeMap<String, String>, String> {
    let Some(logging) = &spec.logging else { return Ok(BTreeMap::new()) };
    if logging.type_ == LoggingType::Inline {
        return Ok(logging.loggers.clone());
    }
    let reference = logging.value_from.as_ref().and_then(|from| from.config_map_key_ref.as_ref());
    let Some(reference) = reference else { return Ok(BTreeMap::new()) };
    let target = Key::new(&key.namespace, &reference.name);
    let text = folder.config_maps.get(&target).and_then(|it| it.resource.0.get(&reference.key));
    match text {
        Some(text) => Ok(log4j_levels(text)),
        None if reference.optional == Some(true) => Ok(BTreeMap::new()),
        None => Err(format!(
            "spec.logging.valueFrom.configMapKeyRef refers to the key {:?} of the ConfigMap {target}; there is none",
            reference.key
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use parking_lot::Mutex;
    use tracing::Level as Said;
    use tracing_subscriber::{Registry, layer::SubscriberExt as _};

    use super::*;
    use crate::manifests::Reader;

    fn levels(pairs: &[(&str, &str)]) -> BTreeMap<String, Level> {
        let written: BTreeMap<_, _> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        logging::levels(&written).0
    }

    #[test]
    fn the_more_talkative_cluster_counts_and_the_broker_is_no_part_of_it() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let seen = Arc::clone(&applied);
        let all = Levels::new(move |targets| *seen.lock() = targets);
        let one = levels(&[("rootLogger.level", "WARN"), ("org.apache.kafka.clients", "ERROR")]);
        let two = levels(&[("rootLogger.level", "ERROR"), ("org.apache.kafka.clients", "DEBUG")]);
        all.apply([&one, &two]);
        let shows = |target: &str, level: Said| applied.lock().would_enable(target, &level);
        assert!(shows("barnabas_worker", Said::WARN) && !shows("barnabas_worker", Said::INFO));
        assert!(shows("barnabas::kafka", Said::DEBUG));
        assert!(!shows("tansu_broker::broker", Said::WARN));
        all.apply([&one]);
        assert!(!shows("barnabas::kafka", Said::DEBUG));
        all.apply([]);
        assert!(!shows("barnabas_worker", Said::ERROR), "the command line says the rest");
    }

    #[test]
    fn clusters_add_to_what_the_command_line_shows_while_it_runs() {
        let (filter, levels_of) = wanted::<Registry>(0);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let writer = {
            let shown = Arc::clone(&shown);
            move || Lines(Arc::clone(&shown))
        };
        let layer = tracing_subscriber::fmt::layer().without_time().with_ansi(false).with_writer(writer);
        let subscriber = tracing_subscriber::registry().with(tracing_subscriber::Layer::with_filter(layer, filter));
        tracing::subscriber::with_default(subscriber, || {
            let say = || tracing::info!(target: "barnabas_worker::units", "moving");
            say();
            assert!(shown.lock().is_empty(), "nothing is wrong");
            levels_of.apply([&levels(&[("barnabas_worker", "INFO")])]);
            say();
            tracing::info!(target: "barnabas_operator", "not asked for");
            tracing::error!(target: "barnabas_operator", "wanted by the command line");
            levels_of.apply([]);
            say();
        });
        let text = String::from_utf8(shown.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("moving") && text.contains("wanted by the command line"), "{text}");
    }

    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn asked_by(logging: &str) -> Result<(BTreeMap<String, Level>, Vec<Problem>), String> {
        let dir = tempfile::tempdir().unwrap();
        let cluster = format!(
            "{{apiVersion: barnabas.dev/v1, kind: ConnectCluster, metadata: {{name: c}}, spec: {{replicas: 1, \
             bootstrapServers: 'k:9092', groupId: c, offsetStorageTopic: o, logging: {logging}}}}}"
        );
        let map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: levels}, data: {log4j2.properties: \
                   \"rootLogger.level = WARN\\nlogger.k.name = org.apache.kafka.clients\\nlogger.k.level = DEBUG\\n\"}}";
        fs::write(dir.path().join("a.yaml"), format!("{cluster}\n---\n{map}\n")).unwrap();
        let folder = Reader::new(dir.path()).unwrap().read().unwrap().unwrap();
        let key = Key::new("default", "c");
        asked(&folder.clusters[&key], &folder, &key)
    }

    #[test]
    fn levels_come_from_the_manifest_or_a_config_map_and_mistakes_are_named() {
        let (found, problems) =
            asked_by("{type: inline, loggers: {rootLogger.level: INFO, logger.x.level: loud}}").unwrap();
        assert_eq!(found, levels(&[("root", "INFO")]));
        assert!(problems[0].to_string().contains("warning: spec.logging: logger.x.level: `loud`"), "{problems:?}");
        let external = |key: &str, more: &str| {
            asked_by(&format!("{{type: external, valueFrom: {{configMapKeyRef: {{name: levels, key: {key}{more}}}}}}}"))
        };
        let (found, _) = external("log4j2.properties", "").unwrap();
        assert_eq!(found, levels(&[("root", "WARN"), ("org.apache.kafka.clients", "DEBUG")]));
        let error = external("nope", "").unwrap_err();
        assert!(error.contains("the key \"nope\" of the ConfigMap levels"), "{error}");
        assert!(external("nope", ", optional: true").unwrap().0.is_empty());
    }
}
