//! The worker program without an operator: it resumes what its state folder says, however often it is killed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use barnabas_protocol::{DesiredSet, Epoch, TargetState, Unit};
use barnabas_worker::{WorkerConfig, resume::StateDir};

/// Writes what [`Process::start`] needs: the configuration, and the tasks that it is to run.
pub fn prepare(folder: &Path, mut config: WorkerConfig, tasks: &[(&str, &[(&str, &str)])]) {
    config.state_dir = Some(folder.join("state"));
    config.unreachable_delay_ms = Some(600_000);
    config.control.listen = Some("127.0.0.1:0".parse().unwrap());
    fs::write(folder.join("worker.yaml"), serde_yaml::to_string(&config).unwrap()).unwrap();
    let unit = |(name, pairs): &(&str, &[(&str, &str)])| Unit {
        connector: (*name).into(),
        name: (*name).into(),
        task: Some(0),
        incarnation: 1,
        config_hash: 1,
        config: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        target: TargetState::Running.into(),
        tasks_max: 1,
        secrets: Vec::new(),
        fence: None,
    };
    let units = tasks.iter().map(unit).collect();
    StateDir::open(config.state_dir.as_deref().unwrap())
        .unwrap()
        .save(Epoch { term: 1, revision: 1 }, &DesiredSet { units })
        .unwrap();
}

/// A running worker; killed when dropped.
pub struct Process(Child, PathBuf);

impl Process {
    pub fn start(folder: &Path) -> Self {
        let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_barnabas-worker"))
            .args(["run", "--log-format", "text", "--config"])
            .arg(folder.join("worker.yaml"))
            .stdin(Stdio::piped())
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child, folder.join("log"))
    }

    /// What is written there, a FileStream source without a file reads; once.
    pub fn input(&mut self) -> ChildStdin {
        self.0.stdin.take().unwrap()
    }

    /// The most memory that it ever had, MiB.
    pub fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1024
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.1).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGKILL; already gone is as good.
        drop(self.0.kill());
        drop(self.0.wait());
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}
