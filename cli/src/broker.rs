//! The embedded broker: a Kafka-compatible broker inside this process, for a machine that has no Kafka.
//!
//! It keeps records in memory, or in a SQLite file that outlives the process. It knows topics, consumer groups and
//! their offsets, but no transactions: sources on it are at least once, and workers are told so through
//! `embedded_broker` in their configuration.

use std::{
    fs::{File, TryLockError},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use tansu_broker::{broker::Broker, coordinator::group::administrator::Controller};
use tansu_storage::StorageContainer;
use tokio::task::JoinHandle;
use url::Url;
use uuid::Uuid;

/// Where the records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In this process, until it ends.
    Memory,
    /// In this SQLite file, which is made when it is missing.
    Sqlite(PathBuf),
}

/// A running broker. Dropping it stops it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    address: SocketAddr,
    serving: JoinHandle<Result<()>>,
    /// Keeps the file ours.
    _lock: Option<File>,
}

impl EmbeddedBroker {
    /// Starts the broker; it serves when this returns. Port 0 means any port that is free.
    ///
    /// # Errors
    /// When the address is in use, or the file cannot be opened or is in use.
    pub async fn start(storage: &Storage, listen: SocketAddr) -> Result<Self> {
        let lock = match storage {
            Storage::Memory => None,
            Storage::Sqlite(file) => Some(lock(file)?),
        };
        // The broker binds its port by itself and does not say which it got, so the port is chosen here. Somebody else
        // may take it in between: that shows as an error below and is tried again when the choice was ours.
        let mut attempts = if listen.port() == 0 { 5 } else { 1 };
        loop {
            attempts -= 1;
            let address = TcpListener::bind(listen)
                .and_then(|probe| probe.local_addr())
                .with_context(|| format!("the embedded broker cannot listen on {listen}"))?;
            match Self::serve(storage, address).await {
                Ok(mut broker) => {
                    broker._lock = lock;
                    return Ok(broker);
                }
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    async fn serve(storage: &Storage, address: SocketAddr) -> Result<Self> {
        if let Storage::Sqlite(file) = storage {
            forget_group_members(file).await.with_context(|| format!("the broker's file {}", file.display()))?;
        }
        let listener = Url::parse(&format!("tcp://{address}")).context("the listener's address")?;
        // Clients are told the address that they can reach: a wildcard is none.
        let reachable = if address.ip().is_unspecified() {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        } else {
            address
        };
        let advertised = Url::parse(&format!("tcp://{reachable}")).context("the advertised address")?;
        let mut broker = Broker::<Controller<StorageContainer>, StorageContainer>::builder()
            .node_id(1)
            .cluster_id("barnabas")
            .incarnation_id(Uuid::new_v4())
            .advertised_listener(advertised)
            .storage(storage_url(storage)?)
            .listener(listener)
            .silent(true)
            .build()
            .await
            .map_err(|error| match storage {
                Storage::Memory => anyhow::anyhow!("the embedded broker does not start: {error}"),
                Storage::Sqlite(file) => {
                    anyhow::anyhow!("the embedded broker cannot open {}: {error}", file.display())
                }
            })?;
        // `Broker::main` would listen to SIGINT and SIGTERM itself and be gone before the workers have committed.
        let mut serving = tokio::spawn(async move {
            broker
                .serve(tokio::time::Instant::now())
                .await
                .map_err(|error| anyhow::anyhow!("the embedded broker on {address} has stopped: {error}"))
        });
        // It serves as soon as a connection is accepted.
        loop {
            tokio::select! {
                ended = &mut serving => {
                    ended.context("the embedded broker has panicked")??;
                    bail!("the embedded broker on {address} has stopped by itself");
                }
                connected = tokio::net::TcpStream::connect(reachable) => {
                    if connected.is_ok() {
                        return Ok(Self { address: reachable, serving, _lock: None });
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// `host:port`, as `bootstrap.servers` takes it.
    pub fn bootstrap_servers(&self) -> String {
        self.address.to_string()
    }

    /// Resolves when the broker has stopped by itself, which it never does while all is well.
    pub async fn failed(&mut self) -> anyhow::Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => anyhow::anyhow!("the embedded broker has stopped by itself"),
            Ok(Err(error)) => error,
            Err(error) => anyhow::anyhow!("the embedded broker has panicked: {error}"),
        }
    }

    /// Stops the broker. Its clients have to be done before.
    pub async fn stop(mut self) {
        if !self.serving.is_finished() {
            self.serving.abort();
            // Waits until the connections are closed; being cancelled is what was asked for.
            let _ = (&mut self.serving).await;
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Claims the file for this process: two brokers on one file would know nothing of each other.
fn lock(file: &Path) -> Result<File> {
    let path = file.with_extension("lock");
    let lock = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!("another process uses {}; give another --data", file.display()),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Forgets who was in which consumer group when the file was last used; what the groups have committed stays.
///
/// No member can outlive the broker's process, but after a kill the broker would wait for them, and share partitions
/// with them.
async fn forget_group_members(file: &Path) -> Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let connection = libsql::Builder::new_local(file).build().await?.connect()?;
    let find = "select 1 from sqlite_master where type = 'table' and name = 'consumer_group_detail'";
    if connection.query(find, ()).await?.next().await?.is_some() {
        connection.execute("delete from consumer_group_detail", ()).await?;
    }
    Ok(())
}

/// The storage as the broker wants to be told.
fn storage_url(storage: &Storage) -> Result<Url> {
    let file = match storage {
        Storage::Memory => return Url::parse("memory://barnabas/").context("the storage's URL"),
        Storage::Sqlite(file) => file,
    };
    // The broker takes the URL's path, as it is written there, as relative to the working folder. A URL without `//`
    // and without a leading slash is kept as it is written, spaces too; one with them would be percent-encoded.
    let here = std::env::current_dir().context("the working folder")?;
    let path = relative(&std::path::absolute(file).context("the data folder")?, &here);
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", file.display()))?;
    let url = Url::parse(&format!("sqlite:{text}")).with_context(|| format!("{text} as a URL"))?;
    if url.path() != text {
        bail!("the embedded broker cannot keep its file at {}: use a folder whose name is plain ASCII", file.display());
    }
    Ok(url)
}

/// `path` seen from `base`; both absolute.
fn relative(path: &Path, base: &Path) -> PathBuf {
    let mut target = path.components().peekable();
    let mut from = base.components().peekable();
    while let (Some(a), Some(b)) = (target.peek(), from.peek()) {
        if a != b {
            break;
        }
        target.next();
        from.next();
    }
    from.map(|_| Component::ParentDir).chain(target).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn a_file_is_named_as_the_broker_reads_it() {
        let here = std::env::current_dir().unwrap();
        let url = |file: PathBuf| storage_url(&Storage::Sqlite(file)).map(|url| url.path().to_owned());
        assert_eq!(url("data/broker.db".into()).unwrap(), "data/broker.db");
        assert_eq!(url(here.join("with a space/b.db")).unwrap(), "with a space/b.db");
        assert!(url("/elsewhere/b.db".into()).unwrap().ends_with("../elsewhere/b.db"));
        assert!(url("naïve/b.db".into()).unwrap_err().to_string().contains("plain ASCII"));
        assert!(url("who?/b.db".into()).unwrap_err().to_string().contains("plain ASCII"));
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_it() {
        let taken = TcpListener::bind(ANY_PORT).unwrap();
        let address = taken.local_addr().unwrap();
        let error = EmbeddedBroker::start(&Storage::Memory, address).await.unwrap_err();
        assert!(format!("{error:#}").contains(&address.to_string()), "{error:#}");
    }

    #[tokio::test]
    async fn it_serves_when_start_returns() {
        let broker = EmbeddedBroker::start(&Storage::Memory, ANY_PORT).await.unwrap();
        let address = broker.bootstrap_servers();
        tokio::net::TcpStream::connect(&address).await.unwrap();
        broker.stop().await;
        assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    }
}
