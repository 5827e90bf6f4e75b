//! The sink: one line for each value, appended to a file.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use barnabas_connect::config::{ConfigDef, RawConfig, combine};
use barnabas_connect::{
    Connector, ConnectorContext, ConnectorPlugin, Error, Kind, Offsets, Record, Result, SinkContext, SinkTask,
    TaskFactory, TopicPartition, Value,
};

use crate::config::{EXACTLY_ONCE, FILE, sink_def};
use crate::exact::Positions;

/// `org.apache.kafka.connect.file.FileStreamSinkConnector`
pub struct FileStreamSink;

impl ConnectorPlugin for FileStreamSink {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSinkConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["dev.barnabas.file.FileStreamSink"]
    }

    fn kind(&self) -> Kind {
        Kind::Sink
    }

    fn config_def(&self) -> &ConfigDef {
        sink_def()
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(SinkConnector { config: RawConfig::new() })
    }

    fn task(&self) -> TaskFactory {
        TaskFactory::Sink(|| Box::new(FileStreamSinkTask::default()))
    }
}

struct SinkConnector {
    config: RawConfig,
}

#[async_trait]
impl Connector for SinkConnector {
    async fn start(&mut self, _context: ConnectorContext, config: RawConfig) -> Result<()> {
        self.config = config;
        Ok(())
    }

    async fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<RawConfig>> {
        // Only one can know how far the file is valid.
        let exact = sink_def().parse(&self.config).is_ok_and(|config| config.boolean(EXACTLY_ONCE));
        Ok(vec![self.config.clone(); if exact { 1 } else { max_tasks as usize }])
    }
}

#[derive(Clone, Default)]
enum Output {
    #[default]
    Stdout,
    File(Arc<File>),
}

#[derive(Default)]
struct FileStreamSinkTask {
    filename: String,
    output: Output,
    /// Something was written since the last sync.
    dirty: bool,
    /// With `exactly.once`.
    positions: Option<Positions>,
    /// A write ended in the middle of a line, which has to be ended before the batch is written again.
    torn: bool,
}

#[async_trait]
impl SinkTask for FileStreamSinkTask {
    async fn start(&mut self, _context: SinkContext, config: RawConfig) -> Result<()> {
        let config = sink_def().parse(&config).map_err(|errors| combine(&errors))?;
        let exact = config.boolean(EXACTLY_ONCE);
        let Some(filename) = config.opt_string(FILE).map(str::to_owned) else {
            if exact {
                return Err(Error::config(
                    "`exactly.once` needs a `file`: the standard output cannot be cut after a crash",
                ));
            }
            return Ok(());
        };
        self.filename.clone_from(&filename);
        let file =
            blocking(move || OpenOptions::new().create(true).append(true).open(filename)).await?.map_err(|error| {
                Error::fatal(format!("Couldn't find or create file '{}' for FileStreamSinkTask", self.filename))
                    .with_source(error)
            })?;
        let file = Arc::new(file);
        self.output = Output::File(Arc::clone(&file));
        if exact {
            let name = PathBuf::from(&self.filename);
            self.positions = Some(blocking(move || Positions::open(&file, &name)).await??);
        }
        Ok(())
    }

    async fn positions(&mut self, partitions: &[TopicPartition]) -> Result<Offsets> {
        Ok(self.positions.as_ref().map(|positions| positions.of(partitions)).unwrap_or_default())
    }

    async fn put(&mut self, records: Vec<Record>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::with_capacity(records.len() * 128);
        if self.torn {
            lines.push(b'\n');
        }
        for record in &records {
            write_line(&mut lines, &record.value.value);
        }
        let output = self.output.clone();
        // Set before the await: when this future is dropped the write goes on, and the file is dirty all the same.
        self.dirty = true;
        let (written, result) = blocking(move || write(&output, &lines)).await?;
        if written > 0 {
            self.torn = false;
        }
        if let (Some(_), Err(error)) = (&self.positions, &result) {
            // What is in the file after a write that failed is cut off by the next start.
            return Err(Error::fatal(format!("Writing {} lines to {} failed: {error}.", records.len(), self.name())));
        }
        result.map_err(|error| {
            self.torn |= written > 0;
            let message = format!("Writing {} lines to {} failed.", records.len(), self.name());
            match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    Error::retriable(message).with_source(error)
                }
                _ => Error::fatal(message).with_source(error),
            }
        })
    }

    /// Syncs, so that no offset is committed for a line that a crash of the machine could take.
    async fn flush(&mut self, offsets: &Offsets) -> Result<()> {
        let Output::File(file) = self.output.clone() else { return Ok(()) };
        if !self.dirty {
            // Records that a transform dropped move the offsets, too.
            return self.confirm(offsets).await;
        }
        match blocking(move || file.sync_data()).await? {
            // Pipes and devices cannot be synced.
            Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
                return Err(Error::retriable(format!("Syncing {} failed.", self.name())).with_source(error));
            }
            _ => self.dirty = false,
        }
        self.confirm(offsets).await
    }

    async fn stop(&mut self) {
        // Lets go of the lock.
        self.positions = None;
        self.output = Output::Stdout;
    }
}

impl FileStreamSinkTask {
    /// With `exactly.once`: everything in the file counts now.
    async fn confirm(&mut self, offsets: &Offsets) -> Result<()> {
        let Output::File(file) = self.output.clone() else { return Ok(()) };
        let Some(mut positions) = self.positions.take() else { return Ok(()) };
        let offsets = offsets.clone();
        let (positions, result) = blocking(move || {
            let result = file.metadata().and_then(|metadata| positions.confirm(metadata.len(), &offsets));
            (positions, result)
        })
        .await?;
        self.positions = Some(positions);
        result.map_err(|error| {
            Error::retriable(format!("Writing the positions of {} failed.", self.name())).with_source(error)
        })
    }

    fn name(&self) -> &str {
        match self.output {
            Output::Stdout => "stdout",
            Output::File(_) => &self.filename,
        }
    }
}

/// `println(value)`, but for bytes, which are written as they are.
fn write_line(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        // Writing to memory cannot fail.
        other => drop(write!(out, "{other}")),
    }
    out.push(b'\n');
}

/// Writes everything, usually with one call, so that the lines of several tasks on one file do not mix. Says how much was written.
fn write(output: &Output, mut lines: &[u8]) -> (usize, std::io::Result<()>) {
    let all = lines.len();
    while !lines.is_empty() {
        let written = match output {
            Output::Stdout => std::io::stdout().lock().write(lines),
            Output::File(file) => (&**file).write(lines),
        };
        match written {
            Ok(0) => return (all - lines.len(), Err(ErrorKind::WriteZero.into())),
            Ok(count) => lines = &lines[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (all - lines.len(), Err(error)),
        }
    }
    let flushed = match output {
        Output::Stdout => std::io::stdout().flush(),
        Output::File(_) => Ok(()),
    };
    (all, flushed)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::fatal("The thread that writes the file failed.").with_source(error))
}
