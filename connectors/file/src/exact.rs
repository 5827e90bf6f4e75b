//! The sink's `exactly.once`: how far the file is valid, and up to which offsets, kept beside it.
//!
//! A file has no transactions. What makes a write whole is that nothing after `length` counts: a crash may leave more in
//! the file than was confirmed, and the next start cuts it off and reads those records again. A lock on the file keeps a
//! task away that was replaced and does not know it yet.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use barnabas_connect::{Error, Offsets, Result, TopicPartition};
use serde::{Deserialize, Serialize};

/// How long a predecessor may hold the file.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is kept in `<file>.positions`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Confirmed {
    /// Bytes of the file that count.
    length: u64,
    /// Topic, partition and the offset after the last record in the file.
    offsets: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// The positions of one file.
#[derive(Debug)]
pub struct Positions {
    path: PathBuf,
    confirmed: Confirmed,
}

impl Positions {
    /// Takes hold of the file, and cuts off what was not confirmed. Blocks.
    pub fn open(file: &File, name: &Path) -> Result<Self> {
        lock(file, name)?;
        let path = name.with_added_extension("positions");
        let failed = |doing: &str, path: &Path, error: io::Error| {
            Error::fatal(format!("{doing} {} failed.", path.display())).with_source(error)
        };
        let confirmed = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                let message = format!(
                    "{} is not what this sink writes; without it nobody knows which records {} holds. Mend it, or remove both.",
                    path.display(),
                    name.display()
                );
                Error::fatal(message).with_source(error)
            })?,
            // What was there before the sink came stays.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let length = file.metadata().map_err(|error| failed("Looking at", name, error))?.len();
                Confirmed { length, offsets: BTreeMap::new() }
            }
            Err(error) => return Err(failed("Reading", &path, error)),
        };
        let length = file.metadata().map_err(|error| failed("Looking at", name, error))?.len();
        if length < confirmed.length {
            let message = format!(
                "{} has {length} bytes, and {} says that {} were written: somebody has cut it. Remove both to begin anew.",
                name.display(),
                path.display(),
                confirmed.length
            );
            return Err(Error::fatal(message));
        }
        file.set_len(confirmed.length).map_err(|error| failed("Cutting", name, error))?;
        let positions = Self { path, confirmed };
        positions.write().map_err(|error| failed("Writing", &positions.path, error))?;
        Ok(positions)
    }

    /// Where to go on.
    pub fn of(&self, partitions: &[TopicPartition]) -> Offsets {
        let known = |tp: &TopicPartition| self.confirmed.offsets.get(tp.topic.as_str())?.get(&tp.partition).copied();
        partitions.iter().filter_map(|tp| Some((tp.clone(), known(tp)?))).collect()
    }

    /// The file is durable, and holds everything before `offsets`. Blocks.
    pub fn confirm(&mut self, length: u64, offsets: &Offsets) -> io::Result<()> {
        self.confirmed.length = length;
        for (tp, offset) in offsets {
            self.confirmed.offsets.entry(tp.topic.to_string()).or_default().insert(tp.partition, *offset);
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let new = self.path.with_added_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&self.confirmed)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

fn lock(file: &File, name: &Path) -> Result<()> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if started.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::fatal(format!("Another process holds the file {}.", name.display())));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Error::fatal(format!("The file {} cannot be locked.", name.display())).with_source(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_not_confirmed_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("out.txt");
        let open = || File::options().create(true).append(true).open(&name).unwrap();
        fs::write(&name, "before\n").unwrap();
        let tp = TopicPartition::new("t", 3);
        let all = [tp.clone(), TopicPartition::new("t", 4)];
        {
            let file = open();
            let mut positions = Positions::open(&file, &name).unwrap();
            assert!(positions.of(&all).is_empty());
            (&file).write_all(b"one\n").unwrap();
            positions.confirm(11, &[(tp.clone(), 1)].into()).unwrap();
            (&file).write_all(b"torn").unwrap();
        }
        let file = open();
        let positions = Positions::open(&file, &name).unwrap();
        assert_eq!(fs::read_to_string(&name).unwrap(), "before\none\n");
        assert_eq!(positions.of(&all), [(tp, 1)].into());
        drop(file);

        // Nobody can know what is in a file that someone else has cut, or beside which the positions are broken.
        fs::write(&name, "short").unwrap();
        assert!(Positions::open(&open(), &name).unwrap_err().message().contains("has 5 bytes"));
        fs::write(name.with_added_extension("positions"), "{").unwrap();
        assert!(Positions::open(&open(), &name).unwrap_err().message().contains("Mend it"));
    }
}
