//! Structured logs, with levels that can be changed while the worker runs.

use std::{
    collections::BTreeMap,
    io,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use barnabas_connect::Secrets;
use parking_lot::{Mutex, RwLock};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Registry, filter::Targets, fmt, fmt::MakeWriter, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Secrets that no log line of this process may show, by the number of their [`Hiding`].
static HIDDEN: RwLock<BTreeMap<u64, Secrets>> = RwLock::new(BTreeMap::new());

/// Shorter ones could be part of a line's own structure.
const SHORTEST: usize = 4;

/// Keeps secrets out of the log lines of this process until the answer is dropped.
#[must_use]
pub fn hide(secrets: &Secrets) -> Hiding {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let secrets = secrets.at_least(SHORTEST);
    Hiding((!secrets.is_empty()).then(|| {
        let number = NEXT.fetch_add(1, Relaxed);
        HIDDEN.write().insert(number, secrets);
        number
    }))
}

/// See [`hide`].
#[derive(Debug)]
pub struct Hiding(Option<u64>);

impl Drop for Hiding {
    fn drop(&mut self) {
        if let Some(number) = self.0 {
            HIDDEN.write().remove(&number);
        }
    }
}

/// Writes log lines without the secrets given to [`hide`].
#[derive(Clone, Debug)]
pub struct Hidden<W>(pub W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Hidden<W> {
    type Writer = Hidden<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Hidden(self.0.make_writer())
    }
}

impl<W: io::Write> io::Write for Hidden<W> {
    /// The formatter hands over whole lines, so that no secret is cut in two.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let hidden = HIDDEN.read();
        if hidden.is_empty() {
            drop(hidden);
            self.0.write_all(line)?;
        } else {
            let mut text = String::from_utf8_lossy(line);
            for secrets in hidden.values() {
                if let std::borrow::Cow::Owned(changed) = secrets.hide(&text) {
                    text = changed.into();
                }
            }
            drop(hidden);
            self.0.write_all(text.as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The levels in force, and the handle that changes them.
#[derive(Clone)]
pub struct Loggers {
    inner: Arc<Inner>,
}

struct Inner {
    levels: Mutex<BTreeMap<String, Level>>,
    apply: Box<dyn Fn(Targets) + Send + Sync>,
}

/// A level in Connect's (log4j's) words. The more it lets through the greater it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(LevelFilter);

/// A level that does not exist.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`{0}` is not a log level; expected OFF, FATAL, ERROR, WARN, INFO, DEBUG, TRACE or ALL")]
pub struct UnknownLevel(String);

/// The name of the default of all loggers.
pub const ROOT: &str = "root";

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        // log4j writes `INFO, CONSOLE` where appenders follow.
        let name = text.split(',').next().unwrap_or_default().trim();
        Ok(Self(match name.to_ascii_uppercase().as_str() {
            "OFF" => LevelFilter::OFF,
            "FATAL" | "ERROR" => LevelFilter::ERROR,
            "WARN" => LevelFilter::WARN,
            "INFO" => LevelFilter::INFO,
            "DEBUG" => LevelFilter::DEBUG,
            "TRACE" | "ALL" => LevelFilter::TRACE,
            _ => return Err(UnknownLevel(name.to_owned())),
        }))
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_string().to_ascii_uppercase())
    }
}

/// `rootLogger.level`, `log4j.rootLogger` and `root` mean the same; so do
/// `logger.<name>.level`, `log4j.logger.<name>` and `<name>`.
fn canonical(key: &str) -> &str {
    match key {
        "rootLogger" | "rootLogger.level" | "log4j.rootLogger" => ROOT,
        _ => {
            let name = key.strip_prefix("log4j.logger.").or_else(|| key.strip_prefix("logger.")).unwrap_or(key);
            name.strip_suffix(".level").unwrap_or(name)
        }
    }
}

/// Our targets for a logger name: Java's packages stand for what does their work here.
fn targets(name: &str) -> Vec<String> {
    let mapped: &[&str] = match name {
        "org.apache.kafka.connect.runtime" | "org.apache.kafka.connect.runtime.WorkerTask" => {
            &["barnabas_worker", "barnabas::units"]
        }
        "org.apache.kafka.connect" => &["barnabas_worker", "barnabas_connect", "barnabas::units"],
        "org.apache.kafka" => &["barnabas_worker", "barnabas_connect", "barnabas::units", "barnabas::kafka"],
        "org.apache.kafka.connect.file" => &["barnabas_file"],
        "org.apache.kafka.clients" => &["barnabas::kafka"],
        other => return vec![other.replace('.', "::")],
    };
    mapped.iter().map(|s| (*s).to_owned()).collect()
}

impl Loggers {
    /// Starts logging to standard error for the whole process. Once per process.
    pub fn init(format: Format) -> Self {
        let (filter, handle) = reload::Layer::<Targets, Registry>::new(Targets::new().with_default(LevelFilter::INFO));
        let registry = tracing_subscriber::registry().with(filter);
        match format {
            Format::Json => registry
                .with(fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(Hidden(io::stderr)))
                .init(),
            Format::Text => registry.with(fmt::layer().with_writer(Hidden(io::stderr))).init(),
        }
        Self::with(move |targets| drop(handle.reload(targets)))
    }

    /// Levels that someone else applies; `barnabas up` and tests have a subscriber of their own.
    pub fn with(apply: impl Fn(Targets) + Send + Sync + 'static) -> Self {
        let levels = Mutex::new([(ROOT.to_owned(), Level(LevelFilter::INFO))].into());
        Self { inner: Arc::new(Inner { levels, apply: Box::new(apply) }) }
    }

    /// Sets several levels, by names as Connect, log4j or log4j2 write them. Those that are wrong are returned.
    pub fn set_all<'a>(&self, levels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<UnknownLevel> {
        levels.into_iter().filter_map(|(name, level)| self.set(name, level).err()).collect()
    }

    /// Sets one level and returns the loggers that it is for, as `PUT /admin/loggers/{name}` does.
    pub fn set(&self, name: &str, level: &str) -> Result<Vec<String>, UnknownLevel> {
        let level: Level = level.parse()?;
        let name = canonical(name);
        let mut levels = self.inner.levels.lock();
        // A package's level is for everything below it, whatever was set there before.
        let below = format!("{name}.");
        let mut affected: Vec<String> = levels.keys().filter(|k| k.starts_with(&below)).cloned().collect();
        affected.insert(0, name.to_owned());
        for logger in &affected {
            levels.insert(logger.clone(), level);
        }
        (self.inner.apply)(filter(&levels));
        Ok(affected)
    }

    /// All loggers that have a level of their own.
    pub fn all(&self) -> BTreeMap<String, Level> {
        self.inner.levels.lock().clone()
    }

    /// The level that is in force for a logger.
    pub fn level(&self, name: &str) -> Level {
        let levels = self.inner.levels.lock();
        let mut name = canonical(name);
        loop {
            if let Some(level) = levels.get(name) {
                return *level;
            }
            match name.rsplit_once('.') {
                Some((parent, _)) => name = parent,
                None => return levels.get(ROOT).copied().unwrap_or(Level(LevelFilter::INFO)),
            }
        }
    }
}

/// Levels by logger, from names as Connect, log4j or log4j2 write them, and the names whose level is wrong.
pub fn levels<'a>(
    written: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> (BTreeMap<String, Level>, Vec<(&'a str, UnknownLevel)>) {
    let (mut levels, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, level) in written {
        match level.parse() {
            Ok(level) => _ = levels.insert(canonical(name).to_owned(), level),
            Err(error) => wrong.push((name.as_str(), error)),
        }
    }
    (levels, wrong)
}

/// What levels by logger let through; of loggers that are under none of them, nothing.
pub fn filter(levels: &BTreeMap<String, Level>) -> Targets {
    let root = levels.get(ROOT).map_or(LevelFilter::OFF, |level| level.0);
    levels
        .iter()
        .filter(|(name, _)| *name != ROOT)
        .flat_map(|(name, level)| targets(name).into_iter().map(|target| (target, level.0)))
        .fold(Targets::new().with_default(root), |filter, (target, level)| filter.with_target(target, level))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_spellings_of_a_logger_are_one() {
        for key in ["log4j.logger.a.b", "logger.a.b.level", "a.b"] {
            assert_eq!(canonical(key), "a.b");
        }
        assert_eq!(canonical("log4j.rootLogger"), ROOT);
    }

    #[test]
    fn a_level_is_inherited_and_set_for_everything_below() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let seen = Arc::clone(&applied);
        let loggers = Loggers::with(move |targets| *seen.lock() = targets);
        loggers.set("rootLogger.level", "WARN, CONSOLE").unwrap();
        loggers.set("barnabas_worker.units", "TRACE").unwrap();
        assert_eq!(loggers.level("barnabas_worker.units.sink").to_string(), "TRACE");
        assert_eq!(loggers.level("other").to_string(), "WARN");
        assert!(applied.lock().would_enable("barnabas_worker::units", &tracing::Level::TRACE));
        assert!(!applied.lock().would_enable("barnabas_file", &tracing::Level::INFO));
        let affected = loggers.set("barnabas_worker", "ERROR").unwrap();
        assert_eq!(affected, ["barnabas_worker", "barnabas_worker.units"]);
        assert!(!applied.lock().would_enable("barnabas_worker::units", &tracing::Level::WARN));
        assert_eq!(loggers.set("x", "loud"), Err(UnknownLevel("loud".into())));
    }

    #[test]
    fn a_line_shows_no_secret_while_it_is_to_be_hidden() {
        use io::Write;
        let line = |text: &str| {
            let mut writer = Hidden(Vec::new());
            writer.write_all(text.as_bytes()).unwrap();
            String::from_utf8(writer.0).unwrap()
        };
        let hiding = hide(&Secrets::new(["only-in-this-test", "is"]));
        assert_eq!(line(r#"{"message":"it is only-in-this-test"}"#), r#"{"message":"it is [hidden]"}"#);
        drop(hiding);
        assert_eq!(line("only-in-this-test"), "only-in-this-test");
    }

    #[test]
    fn levels_are_read_by_any_spelling_and_wrong_ones_named() {
        let written = [("rootLogger.level", "WARN"), ("logger.a.b.level", "DEBUG"), ("logger.c.level", "loud")]
            .map(|(name, level)| (name.to_owned(), level.to_owned()));
        let (levels, wrong) = levels(written.iter().map(|(name, level)| (name, level)));
        assert_eq!(levels.keys().collect::<Vec<_>>(), ["a.b", ROOT]);
        assert!(levels["a.b"] > levels[ROOT]);
        assert_eq!(wrong, [("logger.c.level", UnknownLevel("loud".into()))]);
        assert!(!filter(&BTreeMap::new()).would_enable("a", &tracing::Level::ERROR));
    }

    #[test]
    fn javas_packages_stand_for_ours() {
        let applied = Arc::new(Mutex::new(Targets::new()));
        let seen = Arc::clone(&applied);
        let loggers = Loggers::with(move |targets| *seen.lock() = targets);
        loggers.set("org.apache.kafka.clients", "DEBUG").unwrap();
        assert!(applied.lock().would_enable("barnabas::kafka", &tracing::Level::DEBUG));
    }
}
