//! The source: lines of a file, and of what is appended to it, to a topic.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use barnabas_connect::config::{ConfigDef, RawConfig, combine};
use barnabas_connect::{
    Connector, ConnectorContext, ConnectorPlugin, Data, Error, ExactlyOnceSupport, Kind, OffsetMap, Record, Result,
    Schema, SchemaRef, SourceContext, SourcePosition, SourceTask, Str, TaskFactory, Value,
};
use bytes::Bytes;
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::{BATCH_SIZE, FILE, TOPIC, source_def};
use crate::lines::{Block, divide};
use crate::stdin;

const FILENAME: &str = "filename";
const POSITION: &str = "position";

/// As much is read at once, and one block ahead of what the worker takes.
const BLOCK: usize = 512 * 1024;
/// The first and the longest pause when there is nothing new. Java pauses for one second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// The pause, in seconds, when the file is missing, and how many of them pass between two warnings.
const MISSING: (Duration, u32) = (Duration::from_secs(1), 60);

/// `org.apache.kafka.connect.file.FileStreamSourceConnector`
pub struct FileStreamSource;

impl ConnectorPlugin for FileStreamSource {
    fn class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSourceConnector"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["dev.barnabas.file.FileStreamSource"]
    }

    fn kind(&self) -> Kind {
        Kind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        source_def()
    }

    fn connector(&self) -> Box<dyn Connector> {
        Box::new(SourceConnector { config: RawConfig::new() })
    }

    fn task(&self) -> TaskFactory {
        TaskFactory::Source(|| Box::new(FileStreamSourceTask::default()))
    }

    /// A file can be read again from a position; the standard input cannot.
    fn exactly_once_support(&self, config: &RawConfig) -> ExactlyOnceSupport {
        match config.get(FILE).map(|file| file.trim()) {
            None | Some("") => ExactlyOnceSupport::Unsupported,
            Some(_) => ExactlyOnceSupport::Supported,
        }
    }
}

struct SourceConnector {
    config: RawConfig,
}

#[async_trait]
impl Connector for SourceConnector {
    async fn start(&mut self, _context: ConnectorContext, config: RawConfig) -> Result<()> {
        self.config = config;
        Ok(())
    }

    /// One input stream makes one task, whatever `tasks.max` allows.
    async fn task_configs(&mut self, _max_tasks: u32) -> Result<Vec<RawConfig>> {
        Ok(vec![self.config.clone()])
    }
}

/// Where the bytes come from.
#[derive(Default)]
enum Input {
    /// The file is not open: it has not been asked for yet, or was missing.
    #[default]
    Closed,
    /// Between two reads.
    Idle(File),
    /// A read is under way. It stays here when a poll is dropped, so that no byte is lost.
    Reading(JoinHandle<(File, std::io::Result<Bytes>)>),
    /// The standard input.
    Stdin(mpsc::Receiver<Bytes>),
}

struct FileStreamSourceTask {
    filename: Option<String>,
    topic: Str,
    batch_size: usize,
    context: Option<SourceContext>,
    partition: Arc<OffsetMap>,
    schema: SchemaRef,
    input: Input,
    /// The offset of the next line in the file; `None` for the standard input, where an offset makes no sense.
    position: Option<u64>,
    block: Block,
    /// The beginning of a line whose end was not read yet.
    rest: Bytes,
    pause: Duration,
    missing: u32,
}

impl Default for FileStreamSourceTask {
    fn default() -> Self {
        Self {
            filename: None,
            topic: Str::new(),
            batch_size: 0,
            context: None,
            partition: Arc::default(),
            schema: Schema::string(),
            input: Input::Closed,
            position: None,
            block: Block::empty(),
            rest: Bytes::new(),
            pause: PAUSE.0,
            missing: 0,
        }
    }
}

#[async_trait]
impl SourceTask for FileStreamSourceTask {
    async fn start(&mut self, context: SourceContext, config: RawConfig) -> Result<()> {
        let config = source_def().parse(&config).map_err(|errors| combine(&errors))?;
        let filename = config.opt_string(FILE);
        self.topic = Str::copy_from(config.string(TOPIC));
        self.batch_size = usize::try_from(config.int(BATCH_SIZE)).unwrap_or(0).max(1);
        self.partition = Arc::new(OffsetMap::single(FILENAME, filename.map_or(Json::Null, Json::from)));
        self.filename = filename.filter(|name| !name.is_empty()).map(str::to_owned);
        if self.filename.is_none() {
            self.input = Input::Stdin(stdin::read());
        }
        self.context = Some(context);
        Ok(())
    }

    async fn poll(&mut self) -> Result<Vec<Record>> {
        loop {
            if !self.block.is_done() {
                // The next block is read while the worker is busy with these lines.
                self.read_ahead();
                return Ok(self.take_lines());
            }
            match self.fill().await? {
                Filled::Some => self.pause = PAUSE.0,
                Filled::Nothing => {
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn stop(&mut self) {
        self.input = Input::Closed;
    }
}

/// Whether there was anything to read.
enum Filled {
    Some,
    Nothing,
}

impl FileStreamSourceTask {
    fn take_lines(&mut self) -> Vec<Record> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
        let mut records = Vec::with_capacity(self.batch_size.min(4096));
        while records.len() < self.batch_size {
            let Some((line, taken)) = self.block.next_line() else { break };
            let offset = match &mut self.position {
                Some(position) => {
                    *position += taken as u64;
                    Json::from(*position)
                }
                None => Json::Null,
            };
            records.push(Record {
                topic: self.topic.clone(),
                value: Data { schema: Some(self.schema.clone()), value: Value::String(line) },
                timestamp: Some(now),
                source: Some(SourcePosition {
                    partition: self.partition.clone(),
                    offset: OffsetMap::single(POSITION, offset),
                }),
                ..Record::default()
            });
        }
        records
    }

    /// Gets the next bytes and divides them into lines. It may be dropped at any await.
    async fn fill(&mut self) -> Result<Filled> {
        if matches!(self.input, Input::Closed) {
            self.open().await?;
        }
        self.read_ahead();
        let bytes = match &mut self.input {
            Input::Reading(reading) => {
                let (file, read) = reading
                    .await
                    .map_err(|error| Error::fatal("The thread that read the file failed.").with_source(error))?;
                self.input = Input::Idle(file);
                read.map_err(|error| {
                    Error::retriable(format!("Reading the file {} failed.", self.name())).with_source(error)
                })?
            }
            Input::Stdin(input) => match input.recv().await {
                Some(bytes) => [&self.rest[..], &bytes[..]].concat().into(),
                // The end of the standard input is no end of the task: Java waits as well.
                None => std::future::pending().await,
            },
            Input::Closed | Input::Idle(_) => return Ok(Filled::Nothing),
        };
        if bytes.len() == self.rest.len() {
            return Ok(Filled::Nothing);
        }
        (self.block, self.rest) = divide(bytes);
        Ok(Filled::Some)
    }

    /// Starts to read the next block, the rest of the last one in front.
    fn read_ahead(&mut self) {
        self.input = match std::mem::take(&mut self.input) {
            Input::Idle(file) => {
                let rest = self.rest.clone();
                Input::Reading(tokio::task::spawn_blocking(move || read_block(file, &rest)))
            }
            other => other,
        };
    }

    /// Waits for the file, and goes to where the last run ended.
    async fn open(&mut self) -> Result<()> {
        let Some(filename) = self.filename.clone() else { return Ok(()) };
        let opened = tokio::task::spawn_blocking(move || match File::open(&filename) {
            Ok(file) if file.metadata()?.is_dir() => Err(std::io::Error::from(ErrorKind::IsADirectory)),
            other => other,
        })
        .await
        .map_err(|error| Error::fatal("The thread that opened the file failed.").with_source(error))?;
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                if self.missing.is_multiple_of(MISSING.1) {
                    tracing::warn!(
                        file = self.name(),
                        %error,
                        "The file cannot be opened. The task waits for it to be created."
                    );
                }
                self.missing += 1;
                tokio::time::sleep(MISSING.0).await;
                return Ok(());
            }
        };
        self.missing = 0;
        let position = self.committed_position().await?;
        let file = tokio::task::spawn_blocking(move || {
            let mut file = file;
            if position > 0 {
                file.seek(SeekFrom::Start(position))?;
            }
            Ok::<_, std::io::Error>(file)
        })
        .await
        .map_err(|error| Error::fatal("The thread that opened the file failed.").with_source(error))?
        .map_err(|error| {
            Error::fatal(format!("The file {} cannot be read from position {position}.", self.name()))
                .with_source(error)
        })?;
        tracing::debug!(file = self.name(), position, "Opened the file.");
        self.position = Some(position);
        self.input = Input::Idle(file);
        Ok(())
    }

    async fn committed_position(&self) -> Result<u64> {
        let Some(context) = &self.context else { return Ok(0) };
        let Some(offset) = context.offsets.offset(&self.partition).await? else { return Ok(0) };
        match offset.get(POSITION) {
            None | Some(Json::Null) => Ok(0),
            Some(position) => position
                .as_i64()
                .map(|position| u64::try_from(position).unwrap_or(0))
                .ok_or_else(|| Error::fatal("Offset position is the incorrect type")),
        }
    }

    fn name(&self) -> &str {
        self.filename.as_deref().unwrap_or("stdin")
    }
}

fn read_block(mut file: File, rest: &Bytes) -> (File, std::io::Result<Bytes>) {
    let read = (|| {
        // A long line doubles the block, so that its beginning is not copied too often.
        let mut wanted = BLOCK.max(rest.len());
        let metadata = file.metadata()?;
        if metadata.is_file() {
            let left = metadata.len().saturating_sub(file.stream_position()?);
            if left == 0 {
                return Ok(rest.clone());
            }
            wanted = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
            let mut bytes = Vec::with_capacity(rest.len() + wanted);
            bytes.extend_from_slice(rest);
            file.by_ref().take(wanted as u64).read_to_end(&mut bytes)?;
            return Ok(Bytes::from(bytes));
        }
        // Pipes and devices give what they have.
        let mut bytes = rest.to_vec();
        bytes.resize(rest.len() + wanted, 0);
        let count = file.read(&mut bytes[rest.len()..])?;
        bytes.truncate(rest.len() + count);
        Ok(Bytes::from(bytes))
    })();
    (file, read)
}
