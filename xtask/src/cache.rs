//! The cache folder: everything that is built or downloaded lives there, outside the clone.
//!
//! ```text
//! barnabas/
//!   target/             cargo's builds, of all clones
//!   NAME-KEY/           a built or downloaded thing; KEY is a digest of all that went into it
//!   kafka-connect-VER/  Apache Kafka Connect's jars, for the compatibility tests
//!   image/              the image as OCI archives
//!   cluster/            the running cluster: data, logs, process ids
//!   logs/               the output of the last quiet step of each name
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Once,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::progress;

/// How the names of the workspace's crates start.
const OWN_CRATES: [&str; 2] = ["barnabas", "xtask-"];
/// The crate of the workspace on which other people's crates depend, and its folder: where it is built anew, so are they.
const BELOW_OTHERS: (&str, &str) = ("openssl-sys-", "openssl");

/// The root of the clone.
pub fn repository() -> PathBuf {
    // At run time, so that a moved clone works; the compile-time path serves a binary that is run by hand.
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The project's own folder in the user's cache folder.
pub fn root() -> PathBuf {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    cache.unwrap_or_else(std::env::temp_dir).join("barnabas")
}

/// Cargo's target folder. All clones use it, so that other people's crates compile once.
pub fn target() -> PathBuf {
    static CLAIMED: Once = Once::new();
    let target = root().join("target");
    CLAIMED.call_once(|| {
        if let Err(error) = claim(&target, &repository()) {
            progress::say(format!("warning: what another clone built may be taken for ours: {error:#}"));
        }
    });
    target
}

/// Has cargo forget what another clone built of our crates. It names the crates of all clones alike and looks only
/// whether a source is newer than what was built: sources that changed before the other clone's build would count as
/// built, and tests would look for their fixtures in the other clone.
fn claim(target: &Path, repository: &Path) -> Result<()> {
    let owner = target.join("clone");
    let clone = fs::canonicalize(repository)?.display().to_string();
    fs::create_dir_all(target)?;
    let below = Below::of(target, repository)?;
    if fs::read_to_string(&owner).is_ok_and(|owner| owner == clone) {
        // This run builds what has changed since the last one.
        return below.is_built();
    }
    forget(target, &OWN_CRATES)?;
    below.keep_or_forget(target)?;
    // Last, so that a claim that was cut short is made again.
    fs::write(&owner, clone).with_context(|| format!("cannot write {}", owner.display()))
}

/// Has cargo forget the crates whose names start like this.
fn forget(target: &Path, starts: &[&str]) -> Result<()> {
    for profile in fs::read_dir(target)? {
        let Ok(built) = fs::read_dir(profile?.path().join(".fingerprint")) else { continue };
        for entry in built {
            let entry = entry?;
            let name = entry.file_name();
            if starts.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(())
}

/// The crate below others as this clone has it.
struct Below {
    sources: PathBuf,
    digest: String,
    /// The file with the digest of the sources that were built last.
    built: PathBuf,
}

impl Below {
    fn of(target: &Path, repository: &Path) -> Result<Self> {
        let sources = repository.join(BELOW_OTHERS.1);
        let digest = Artifact::new(BELOW_OTHERS.1).file(&sources)?.key();
        Ok(Self { sources, digest, built: target.join(BELOW_OTHERS.1) })
    }

    /// What is built from now on is this.
    fn is_built(&self) -> Result<()> {
        fs::write(&self.built, &self.digest).with_context(|| format!("cannot write {}", self.built.display()))
    }

    /// Has cargo take what another clone built for ours when the sources are the same: a fresh clone's files are newer, so
    /// they are given a time before it. Other sources are built anew.
    fn keep_or_forget(&self, target: &Path) -> Result<()> {
        if fs::read_to_string(&self.built).is_ok_and(|built| built == self.digest) {
            return age(&self.sources);
        }
        forget(target, &[BELOW_OTHERS.0])?;
        self.is_built()
    }
}

/// Gives every file below a folder the time of a commit from long ago.
fn age(path: &Path) -> Result<()> {
    if path.is_dir() {
        return fs::read_dir(path)?.try_for_each(|entry| age(&entry?.path()));
    }
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(path)?.set_modified(then).with_context(|| format!("cannot date {}", path.display()))
}

/// A folder of the cache, created when missing.
pub fn folder(name: &str) -> Result<PathBuf> {
    let folder = root().join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Something built once and kept. It lies in a folder that is named after a digest of its inputs, so a changed
/// input builds it anew and an unchanged one costs nothing.
pub struct Artifact {
    name: String,
    digest: Sha256,
}

impl Artifact {
    /// An artifact without inputs yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), digest: Sha256::new() }
    }

    /// Adds a text to the inputs: a version, flags, a configuration.
    pub fn input(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.digest.update((text.len() as u64).to_be_bytes());
        self.digest.update(text);
        self
    }

    /// Adds the content of a file, or of all files below a folder, to the inputs.
    pub fn file(mut self, path: &Path) -> Result<Self> {
        if path.is_dir() {
            let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
            entries.sort();
            for entry in entries {
                self = self.file(&entry)?;
            }
            return Ok(self);
        }
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(self.input(content))
    }

    /// A short name of all inputs.
    fn key(&self) -> String {
        hex(&self.digest.clone().finalize())[..12].to_owned()
    }

    /// Returns the artifact's folder; calls `build` to fill it when it is not there.
    /// A build that was cut short leaves nothing that a later run would take for complete.
    pub fn get(self, title: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let key = self.key();
        let folder = root().join(format!("{}-{key}", self.name));
        if folder.is_dir() {
            return Ok(folder);
        }
        let partial = self::folder("partial")?.join(format!("{}-{key}", self.name));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        progress::step(title, || build(&partial))?;
        fs::rename(&partial, &folder).with_context(|| format!("cannot move {} into place", partial.display()))?;
        Ok(folder)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn another_clone_builds_our_crates_anew_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("barnabas-claim-{}", std::process::id()));
        let [target, first, second] = ["target", "first", "second"].map(|name| folder.join(name));
        let built = ["barnabas-1a", "barnabas-worker-2b", "xtask-3c", "openssl-sys-4d", "serde-5e"]
            .map(|name| target.join("debug/.fingerprint").join(name));
        let build = || built.iter().try_for_each(fs::create_dir_all).unwrap();
        let left = || built.each_ref().map(|unit| unit.is_dir());
        let write = |clone: &Path, text: &str| {
            fs::create_dir_all(clone.join("openssl/src")).unwrap();
            fs::write(clone.join("openssl/src/lib.rs"), text).unwrap();
        };
        let written = |clone: &Path| fs::metadata(clone.join("openssl/src/lib.rs")).unwrap().modified().unwrap();
        let start = SystemTime::now() - Duration::from_secs(60);
        write(&first, "same");
        write(&second, "same");

        build();
        claim(&target, &first).unwrap();
        build();
        claim(&target, &first).unwrap();
        assert_eq!(left(), [true; 5], "its own");
        assert!(written(&first) > start, "what the first clone has was not built yet");
        claim(&target, &second).unwrap();
        assert_eq!(left(), [false, false, false, true, true]);
        assert!(written(&second) < start, "the same sources count as built");
        build();
        claim(&target, &second).unwrap();
        assert_eq!(left(), [true; 5]);
        write(&first, "other");
        claim(&target, &first).unwrap();
        assert_eq!(left(), [false, false, false, false, true], "other sources");
        build();
        write(&first, "third");
        claim(&target, &first).unwrap();
        write(&second, "other");
        claim(&target, &second).unwrap();
        assert_eq!(left(), [false, false, false, false, true], "its owner has built other ones since");
        fs::remove_dir_all(folder).unwrap();
    }
}
