//! Background programs, recorded by process id so that a later run can end them.
//!
//! A record holds the start time of the process beside its id: an id that the system has given to another
//! process since then is never signalled.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::run;

/// The programs started below one folder: `pids/NAME` and `logs/NAME.log`.
#[derive(Clone)]
pub struct Daemons {
    folder: PathBuf,
}

impl Daemons {
    /// The programs recorded below `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where a program's output goes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{name}.log"))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.folder.join("pids").join(name)
    }

    /// Starts a program in a process group of its own (so that a terminal's Ctrl-C does not reach it) and records it.
    pub fn start(&self, name: &str, command: &mut Command) -> Result<()> {
        fs::create_dir_all(self.folder.join("pids"))?;
        fs::create_dir_all(self.folder.join("logs"))?;
        let log = File::options().create(true).append(true).open(self.log(name))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", run::display(command)))?;
        write_record(&self.record(name), child.id())
    }

    /// Whether a started program still runs.
    pub fn alive(&self, name: &str) -> bool {
        read_record(&self.record(name)).is_some()
    }

    /// Fails with the end of its log when a started program has ended.
    pub fn check(&self, name: &str) -> Result<()> {
        if !self.alive(name) {
            bail!("{name} ended; the end of {}:\n{}", self.log(name).display(), run::tail(&self.log(name), 25));
        }
        Ok(())
    }

    /// Ends the named programs together: `signal` first, and SIGKILL for those alive after `grace`.
    pub fn stop(&self, names: &[&str], signal: Signal, grace: Duration) {
        let alive = || names.iter().filter_map(|name| read_record(&self.record(name)));
        alive().for_each(|pid| send(pid, signal));
        let end = Instant::now() + grace;
        while alive().next().is_some() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        alive().for_each(|pid| send(pid, Signal::KILL));
        let end = Instant::now() + Duration::from_secs(5);
        while alive().next().is_some() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        for name in names {
            fs::remove_file(self.record(name)).ok();
        }
    }
}

/// Records a process: id and start time.
pub fn write_record(file: &Path, pid: u32) -> Result<()> {
    let start = Process::read(pid).map_or(0, |process| process.start);
    fs::write(file, format!("{pid} {start}\n")).with_context(|| format!("cannot write {}", file.display()))
}

/// The recorded process id, when that very process is alive.
pub fn read_record(file: &Path) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let (pid, start) = text.trim().split_once(' ')?;
    let process = Process::read(pid.parse().ok()?)?;
    (process.start.to_string() == start && process.state != 'Z').then_some(process.pid)
}

/// Sends a signal; a process that has ended is no error.
pub fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// What `/proc/PID/stat` says.
struct Process {
    pid: u32,
    parent: u32,
    state: char,
    /// In clock ticks since boot.
    start: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name, in parentheses, may hold spaces and parentheses of its own.
        let fields = stat.rsplit_once(") ")?.1.split(' ').collect::<Vec<_>>();
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }
}

/// Ends every process of the named program that has `argument` on its command line, and all its descendants, with
/// SIGKILL. The argument must be a path of ours, so that nothing else can match.
pub fn kill_trees(program: &str, argument: &str) {
    let processes = Process::all();
    let mut children = BTreeMap::<u32, Vec<u32>>::new();
    for process in &processes {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut doomed = processes
        .iter()
        .filter(|process| {
            let line = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let mut words = line.split('\0');
            words.next().is_some_and(|first| first.rsplit('/').next() == Some(program))
                && words.any(|word| word == argument)
        })
        .map(|process| process.pid)
        .collect::<Vec<_>>();
    let mut next = 0;
    while let Some(pid) = doomed.get(next) {
        doomed.extend(children.get(pid).into_iter().flatten().copied().collect::<Vec<_>>());
        next += 1;
    }
    // Children first, or their parents would be seen restarting or reporting them.
    for pid in doomed.iter().rev() {
        send(*pid, Signal::KILL);
    }
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end && doomed.iter().any(|pid| Process::read(*pid).is_some_and(|it| it.state != 'Z')) {
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, process::Command, time::Duration};

    use rustix::process::Signal;

    use super::{Daemons, read_record, write_record};

    #[test]
    fn a_recorded_program_is_found_and_stopped() {
        let folder = std::env::temp_dir().join(format!("barnabas-daemon-{}", std::process::id()));
        let daemons = Daemons::new(&folder);
        daemons.start("sleeper", Command::new("sleep").arg("600")).unwrap();
        // Another value, as another run would have: it knows nothing but the folder.
        let later = Daemons::new(&folder);
        assert!(later.alive("sleeper"));
        later.stop(&["sleeper", "never-started"], Signal::TERM, Duration::from_secs(10));
        assert!(!later.alive("sleeper"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_process_id_that_was_given_away_is_not_ours() {
        let file = std::env::temp_dir().join(format!("barnabas-record-{}", std::process::id()));
        write_record(&file, std::process::id()).unwrap();
        assert_eq!(read_record(&file), Some(std::process::id()));
        fs::write(&file, format!("{} 1\n", std::process::id())).unwrap();
        assert_eq!(read_record(&file), None, "same id, another start");
        fs::remove_file(&file).unwrap();
    }
}
