//! Taking the cluster down, also when an earlier run was killed half-way.

use std::{fs, path::Path, time::Duration};

use rustix::{
    mount::{UnmountFlags, unmount},
    process::Signal,
};

use super::{BRIDGE, CLIENTS, Cluster, SERVERS, ip};
use crate::{daemon, progress, run};

impl Cluster {
    /// Stops everything and removes its state. Nothing in it is worth an orderly end, so this takes a second or two.
    pub fn stop(&self) {
        progress::say("stopping Kubernetes and Kafka ...");
        // The iptables rules of services.
        let mut cleanup = std::process::Command::new(&self.tools.kube);
        let grace = Duration::ZERO;
        self.daemons.stop(CLIENTS, Signal::KILL, grace);
        // Containers outlive containerd: their shims are ours by the path of our own socket in their command line.
        let shim = self.tools.containerd.join("containerd-shim-runc-v2");
        daemon::kill_trees(&shim.display().to_string(), &self.folder.display().to_string());
        self.daemons.stop(SERVERS, Signal::KILL, grace);
        if run::find("iptables").is_some() {
            run::succeeds(cleanup.args(["kube-proxy", "--cleanup"]));
        }
        ip(&["link", "delete", BRIDGE]);
        unmount_below(&self.folder);
        remove_cgroups(Path::new("/sys/fs/cgroup"), 0);
        // An unmounted folder can be busy for a moment yet.
        for attempt in 0..50 {
            match fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    if attempt == 49 {
                        eprintln!("warning: cannot remove {}: {error}", self.folder.display());
                    }
                    std::thread::sleep(Duration::from_millis(100));
                    unmount_below(&self.folder);
                }
                _ => break,
            }
        }
        progress::say("stopped Kubernetes and Kafka");
    }
}

/// Unmounts all that is mounted below a folder, the innermost first.
fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    // Spaces in paths are written in octal.
    let points = points.map(|point| point.replace("\\040", " "));
    let mut points = points.filter(|point| Path::new(point).starts_with(folder)).collect::<Vec<_>>();
    points.sort_by_key(|point| std::cmp::Reverse(point.len()));
    for point in points {
        unmount(point.as_str(), UnmountFlags::DETACH).ok();
    }
}

/// Removes the control groups of pods: `kubepods` at the top of each hierarchy, empty by now.
fn remove_cgroups(folder: &Path, depth: usize) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name() == "kubepods" {
            remove_tree(&path);
        } else if depth == 0 {
            // With version 1 each controller has a hierarchy of its own.
            remove_cgroups(&path, 1);
        }
    }
}

fn remove_tree(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // A busy one belongs to somebody else's pods, and stays.
    fs::remove_dir(folder).ok();
}
