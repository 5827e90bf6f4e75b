//! How another terminal finds a running `up`, and asks it.
//!
//! Every `up` listens on a Unix socket in a folder that only its user can enter. To whoever connects it writes its
//! [`Snapshot`] as one JSON document and closes. Nothing can be changed that way: what is to change is in the manifests.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinHandle,
};

use crate::view::snapshot::Snapshot;

/// An `up` that does not answer for so long is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// Terminals that may ask at the same time.
const CALLERS: usize = 16;
/// No snapshot is larger.
const MAX_SNAPSHOT_BYTES: u64 = 256 * 1024 * 1024;

/// The listening side. Dropping it removes the socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    serving: JoinHandle<()>,
}

impl Server {
    /// Listens, and answers everybody with what `snapshot` returns.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(snapshot: impl Fn() -> Snapshot + Send + Sync + 'static) -> Result<Self> {
        let folder = folder()?;
        make_private(&folder)?;
        let path = folder.join(format!("up-{}.sock", std::process::id()));
        // A socket of an earlier process with our number.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
        let snapshot = Arc::new(snapshot);
        let callers = Arc::new(Semaphore::new(CALLERS));
        let serving = tokio::spawn(async move {
            loop {
                let Ok(permit) = callers.clone().acquire_owned().await else { return };
                let Ok((mut stream, _)) = listener.accept().await else {
                    // Out of file descriptors: it may pass.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let snapshot = snapshot.clone();
                tokio::spawn(async move {
                    let answer = serde_json::to_vec(&snapshot()).unwrap_or_default();
                    // A caller that went away or does not read is its own loss.
                    let _ = tokio::time::timeout(PATIENCE, async {
                        stream.write_all(&answer).await?;
                        stream.shutdown().await
                    })
                    .await;
                    drop(permit);
                });
            }
        });
        Ok(Self { path, serving })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
        // Already gone is as good.
        let _ = fs::remove_file(&self.path);
    }
}

/// Asks the running `up`: the only one, or the one of the folder `dir`.
///
/// # Errors
/// When there is none, or several and `dir` does not say which.
pub async fn ask(dir: Option<&Path>) -> Result<Snapshot> {
    let wanted = dir.map(|dir| fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()));
    let mut found = Vec::new();
    for path in sockets()? {
        match tokio::time::timeout(PATIENCE, read(&path)).await {
            Ok(Ok(snapshot)) => found.push(snapshot),
            // Nobody listens: the process died without removing its socket.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => drop(fs::remove_file(&path)),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    if let Some(wanted) = &wanted {
        found.retain(|snapshot| Path::new(&snapshot.dir) == wanted);
    }
    match (found.len(), wanted) {
        (1, _) => Ok(found.remove(0)),
        (0, None) => bail!("`barnabas up` is not running; start it with `barnabas up DIR`"),
        (0, Some(dir)) => bail!("`barnabas up` is not running for {}", dir.display()),
        (_, dir) => {
            let list: Vec<String> =
                found.iter().map(|snapshot| format!("  {} (process {})", snapshot.dir, snapshot.pid)).collect();
            let hint = if dir.is_some() { "stop all but one" } else { "say which with --dir" };
            bail!("several `barnabas up` are running; {hint}:\n{}", list.join("\n"))
        }
    }
}

async fn read(path: &Path) -> io::Result<Snapshot> {
    let stream = UnixStream::connect(path).await?;
    let mut bytes = Vec::new();
    stream.take(MAX_SNAPSHOT_BYTES).read_to_end(&mut bytes).await?;
    serde_json::from_slice(&bytes).map_err(io::Error::other)
}

fn sockets() -> Result<Vec<PathBuf>> {
    let folder = folder()?;
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| folder.display().to_string()),
    };
    check_private(&folder)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "sock"));
    paths.sort();
    Ok(paths)
}

/// `$XDG_RUNTIME_DIR/barnabas`, or a folder of the user's own under the temporary folder.
pub fn folder() -> Result<PathBuf> {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| Path::new(dir).is_dir()) {
        Some(dir) => Ok(PathBuf::from(dir).join("barnabas")),
        None => Ok(std::env::temp_dir().join(format!("barnabas-{}", user()?))),
    }
}

/// The number of the user that runs this process.
fn user() -> Result<u32> {
    Ok(fs::metadata("/proc/self").context("cannot tell who runs this process")?.uid())
}

fn make_private(folder: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", folder.display()))
        }
        _ => check_private(folder),
    }
}

/// Under a shared temporary folder somebody else may have made it first.
fn check_private(folder: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(folder).with_context(|| folder.display().to_string())?;
    if !metadata.is_dir() || metadata.uid() != user()? || metadata.mode() & 0o077 != 0 {
        bail!("{} is not a folder of yours alone (owner you, mode 0700); remove it", folder.display());
    }
    Ok(())
}
