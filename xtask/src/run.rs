//! Running other programs: quietly with a log, or passed through, and always ended by Ctrl-C.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{cache, progress};

/// A quiet program gets a line of its own this often, so that nobody takes it for hung.
const HEARTBEAT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Turns SIGINT and SIGTERM into a flag, so that what was started can be torn down.
/// A second SIGINT ends the process at once; the next start then cleans up by recorded process ids.
pub fn watch_signals() {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        flag,
    };
    let flag = INTERRUPTED.get_or_init(Default::default);
    // The order matters: the shutdown looks at the flag before this signal sets it.
    let registered = flag::register_conditional_shutdown(SIGINT, 130, flag.clone())
        .and_then(|_| flag::register(SIGINT, flag.clone()))
        .and_then(|_| flag::register(SIGTERM, flag.clone()));
    if let Err(error) = registered {
        eprintln!("warning: cannot handle Ctrl-C: {error}");
    }
}

/// Whether Ctrl-C or SIGTERM arrived.
pub fn interrupted() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Fails when Ctrl-C or SIGTERM arrived.
pub fn check_interrupted() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// The program and its arguments as one would type them.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The path of a program on the `PATH`, or in one of the folders where a plain user's `PATH` does not look.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/go/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A command for a program that set-up has made sure of.
pub fn program(name: &str) -> Command {
    Command::new(find(name).unwrap_or_else(|| name.into()))
}

/// A `cargo` command that builds in the cache folder.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(cache::repository()).env("CARGO_TARGET_DIR", cache::target());
    // Set by the cargo that runs xtask. Build scripts that watch these variables (ring's does) would run anew, and all
    // that depends on them would be compiled anew, whenever xtask and a plain cargo take turns.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    command.env_remove("OUT_DIR").env_remove("CARGO_PRIMARY_PACKAGE");
    command
}

/// Waits for `child`; ends it when Ctrl-C arrives, or past the limit. Calls `tick` while waiting.
fn wait(child: &mut Child, limit: Option<Duration>, mut tick: impl FnMut()) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            // The child had the terminal's Ctrl-C too: its failure is not the news.
            check_interrupted()?;
            return Ok(status);
        }
        if interrupted() {
            // In a terminal the child got the same signal; give it the time to end by itself.
            let patience = Instant::now() + Duration::from_secs(2);
            while Instant::now() < patience && child.try_wait()?.is_none() {
                thread::sleep(POLL);
            }
            child.kill().ok();
            child.wait()?;
            bail!("interrupted");
        }
        if limit.is_some_and(|limit| start.elapsed() > limit) {
            child.kill().ok();
            return Ok(child.wait()?);
        }
        tick();
        thread::sleep(POLL);
    }
}

/// Runs a program with its output in `logs/NAME.log` of the cache folder. While it runs, a line now and then says
/// where it is; when it fails, the end of its log is part of the error.
pub fn quiet(name: &str, command: &mut Command) -> Result<()> {
    let log = cache::folder("logs")?.join(format!("{}.log", name.replace([' ', '/'], "-")));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot start {}", display(command)))?;
    let start = Instant::now();
    let mut next = HEARTBEAT;
    let status = wait(&mut child, None, || {
        if start.elapsed() >= next {
            next += HEARTBEAT;
            let line = tail(&log, 1).chars().take(100).collect::<String>();
            progress::say(format!("  still at {name}, {} s: {line}", start.elapsed().as_secs()));
        }
    })?;
    if !status.success() {
        bail!("{} failed with {status}; the end of {}:\n{}", display(command), log.display(), tail(&log, 40));
    }
    Ok(())
}

/// Runs a program whose output goes straight to the terminal. False when it failed.
pub fn shown(command: &mut Command) -> Result<bool> {
    let mut child = command.spawn().with_context(|| format!("cannot start {}", display(command)))?;
    Ok(wait(&mut child, None, || ())?.success())
}

/// Runs a program and hands every line of its standard output to `on_line`; past the limit it is killed, which is
/// a failure. False when it failed.
pub fn streamed(command: &mut Command, limit: Option<Duration>, mut on_line: impl FnMut(&str) + Send) -> Result<bool> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", display(command)))?;
    let output = child.stdout.take().context("no standard output")?;
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { break };
                on_line(&String::from_utf8_lossy(&line));
            }
        });
        let status = wait(&mut child, limit, || ());
        reader.join().ok();
        Ok(status?.success())
    })
}

/// Runs a program to its end and returns its standard output; its standard error is part of the error.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", display(command)))?;
    if !output.status.success() {
        bail!("{} failed with {}: {}", display(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a program runs and succeeds; its output is dropped.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The last lines of a file, empty when it cannot be read.
pub fn tail(file: &Path, lines: usize) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all = text.lines().collect::<Vec<_>>();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Polls `ready` until it is true. Fails after `limit`, with what `why` says then.
pub fn wait_for(what: &str, limit: Duration, mut ready: impl FnMut() -> bool, why: impl Fn() -> String) -> Result<()> {
    let start = Instant::now();
    while !ready() {
        check_interrupted()?;
        if start.elapsed() > limit {
            bail!("{what} was not reached within {} s: {}", limit.as_secs(), why());
        }
        thread::sleep(POLL);
    }
    Ok(())
}
