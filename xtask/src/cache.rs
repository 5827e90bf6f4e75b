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
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::progress;

/// How the names of the workspace's crates start.
const OWN_CRATES: [&str; 2] = ["barnabas", "xtask-"];

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
fn claim(target: &Path, clone: &Path) -> Result<()> {
    let owner = target.join("clone");
    let clone = fs::canonicalize(clone)?.display().to_string();
    if fs::read_to_string(&owner).is_ok_and(|owner| owner == clone) {
        return Ok(());
    }
    fs::create_dir_all(target)?;
    for profile in fs::read_dir(target)? {
        let Ok(built) = fs::read_dir(profile?.path().join(".fingerprint")) else { continue };
        for entry in built {
            let entry = entry?;
            let name = entry.file_name();
            if OWN_CRATES.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
    }
    // Last, so that a claim that was cut short is made again.
    fs::write(&owner, clone).with_context(|| format!("cannot write {}", owner.display()))
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

    /// Returns the artifact's folder; calls `build` to fill it when it is not there.
    /// A build that was cut short leaves nothing that a later run would take for complete.
    pub fn get(self, title: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let key = hex(&self.digest.finalize())[..12].to_owned();
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
        let built = ["barnabas-1a", "barnabas-worker-2b", "xtask-3c", "serde-4d"]
            .map(|name| target.join("debug/.fingerprint").join(name));
        let build = || built.iter().chain([&first, &second]).try_for_each(fs::create_dir_all).unwrap();
        let left = || built.each_ref().map(|unit| unit.is_dir());

        build();
        claim(&target, &first).unwrap();
        build();
        claim(&target, &first).unwrap();
        assert_eq!(left(), [true; 4]);
        claim(&target, &second).unwrap();
        assert_eq!(left(), [false, false, false, true]);
        build();
        claim(&target, &second).unwrap();
        assert_eq!(left(), [true; 4]);
        fs::remove_dir_all(folder).unwrap();
    }
}
