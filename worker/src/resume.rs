//! What survives a restart of the worker's process, and when it is used.
//!
//! The last desired set lies on tmpfs next to a heartbeat file that is touched
//! every second. A process that comes back before anyone can have given its
//! units away resumes them at once; one that was away longer gives an operator
//! ten seconds to speak first. Whatever the operator then says, the set stays
//! until a new one has come: that may name units of it whose configuration the
//! operator does not know.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use barnabas_protocol::{DesiredSet, Directive, Epoch, directive::Body};
use prost::Message;

/// How long a worker that was away too long waits for an operator.
const OPERATOR_GRACE: Duration = Duration::from_secs(10);

/// The state folder.
#[derive(Debug)]
pub struct StateDir {
    dir: PathBuf,
}

/// What the previous process left behind.
#[derive(Debug)]
pub struct Saved {
    /// The newest epoch it had accepted.
    pub epoch: Epoch,
    /// What it ran.
    pub desired: DesiredSet,
    /// How long ago it last touched its heartbeat.
    pub downtime: Duration,
}

/// When to start what was saved.
#[derive(Debug, PartialEq)]
pub enum Resume {
    /// Nobody can have been given the units yet.
    AtOnce,
    /// They may run elsewhere: an operator may speak first.
    After(Duration),
}

/// Decides when a saved set is resumed.
pub fn resume(downtime: Duration, unreachable_delay: Duration) -> Resume {
    if downtime < unreachable_delay { Resume::AtOnce } else { Resume::After(OPERATOR_GRACE) }
}

impl StateDir {
    /// Opens, and creates, the folder.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Replaces the saved set in one step: from now on this process runs it.
    pub fn save(&self, epoch: Epoch, desired: &DesiredSet) -> io::Result<()> {
        self.keep(epoch, desired)?;
        self.touch()
    }

    /// As [`Self::save`], of a set that does not run yet: the heartbeat keeps saying since when. The file holds resolved
    /// secrets: mode 0600, tmpfs only.
    pub fn keep(&self, epoch: Epoch, desired: &DesiredSet) -> io::Result<()> {
        let directive = Directive { epoch: Some(epoch), body: Some(Body::Desired(desired.clone())) };
        let new = self.dir.join("desired.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&directive.encode_to_vec())?;
        fs::rename(&new, self.dir.join("desired"))
    }

    /// Says that the process is alive.
    pub fn touch(&self) -> io::Result<()> {
        let path = self.dir.join("heartbeat");
        File::create(path)?.set_modified(SystemTime::now())
    }

    /// Reads what a previous process saved, if anything.
    pub fn load(&self) -> io::Result<Option<Saved>> {
        let bytes = match fs::read(self.dir.join("desired")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let directive = Directive::decode(bytes.as_slice())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let (Some(epoch), Some(Body::Desired(desired))) = (directive.epoch, directive.body) else { return Ok(None) };
        // No heartbeat means that nobody knows for how long: as if it were long.
        let downtime = fs::metadata(self.dir.join("heartbeat"))
            .and_then(|m| m.modified())
            .map(|at| SystemTime::now().duration_since(at).unwrap_or_default())
            .unwrap_or(Duration::MAX);
        Ok(Some(Saved { epoch, desired, downtime }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use barnabas_protocol::Unit;

    use super::*;

    #[test]
    fn a_short_absence_resumes_at_once_and_a_long_one_waits_for_an_operator() {
        let delay = Duration::from_secs(60);
        assert_eq!(resume(Duration::from_secs(59), delay), Resume::AtOnce);
        assert_eq!(resume(delay, delay), Resume::After(OPERATOR_GRACE));
        assert_eq!(resume(Duration::MAX, delay), Resume::After(OPERATOR_GRACE));
    }

    #[test]
    fn a_saved_set_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        assert!(state.load().unwrap().is_none());
        let unit = Unit { connector: "c".into(), incarnation: 7, ..Default::default() };
        let desired = DesiredSet { units: vec![unit] };
        state.save(Epoch { term: 3, revision: 9 }, &desired).unwrap();
        let saved = state.load().unwrap().unwrap();
        assert_eq!((saved.epoch, saved.desired), (Epoch { term: 3, revision: 9 }, desired));
        assert!(saved.downtime < Duration::from_secs(60));
        let mode = fs::metadata(dir.path().join("desired")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_heartbeat_counts_as_a_long_absence() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        state.save(Epoch::hello(1), &DesiredSet::default()).unwrap();
        fs::remove_file(dir.path().join("heartbeat")).unwrap();
        assert_eq!(state.load().unwrap().unwrap().downtime, Duration::MAX);
    }
}
