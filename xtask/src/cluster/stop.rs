//! Taking the cluster down, also when an earlier run was killed half-way.

use std::{fs, path::Path, process::Command, time::Duration};

use rustix::{
    mount::{UnmountFlags, unmount},
    process::Signal,
};

use super::{BRIDGE, CLIENTS, GUESTS, NETWORK, SERVERS, ip, socket};
use crate::{
    daemon::{self, Daemons},
    progress, run,
};

/// Stops the cluster whose state is in `folder`, and removes the state. It needs nothing but that folder, so that it
/// works for a cluster that an older version of these tasks has started.
///
/// Nothing of a test cluster is worth an orderly end, so this takes a second or two.
pub fn stop(folder: &Path) {
    progress::say("stopping Kubernetes and Kafka ...");
    let daemons = Daemons::new(folder);
    daemons.stop(CLIENTS, Signal::KILL, Duration::ZERO);
    // Containers outlive containerd: their shims are ours by the path of our own socket on their command line.
    daemon::kill_trees("containerd-shim-runc-v2", &socket(folder).display().to_string());
    daemons.stop(SERVERS, Signal::KILL, Duration::ZERO);
    daemons.stop(GUESTS, Signal::KILL, Duration::ZERO);
    remove_firewall(&folder.join("kube"));
    ip(&["link", "delete", BRIDGE]);
    remove_links(Path::new("/var/log/containers"), folder);
    remove_prefixed(Path::new("/var/lib/cni/results"), &format!("{NETWORK}-"));
    unmount_below(folder);
    remove_cgroups(Path::new("/sys/fs/cgroup"), 0);
    // An unmounted folder can be busy for a moment yet.
    for attempt in 0..50 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                if attempt == 49 {
                    eprintln!("warning: cannot remove {}: {error}", folder.display());
                }
                std::thread::sleep(Duration::from_millis(100));
                unmount_below(folder);
            }
            _ => break,
        }
    }
    progress::say("stopped Kubernetes and Kafka");
}

/// Removes the iptables rules of services.
fn remove_firewall(kube: &Path) {
    if run::find("iptables").is_none() || !kube.is_file() {
        return;
    }
    run::succeeds(Command::new(kube).args(["kube-proxy", "--cleanup"]));
    // The one chain that kube-proxy makes and leaves.
    for rule in ["-D INPUT -j", "-D OUTPUT -j", "-F", "-X"] {
        run::succeeds(run::program("iptables").args(rule.split(' ')).arg("KUBE-FIREWALL"));
    }
}

/// Removes the symbolic links in a folder that point below `target`.
fn remove_links(folder: &Path, target: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(target)) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Removes the files in a folder whose names start with `prefix`.
fn remove_prefixed(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            fs::remove_file(entry.path()).ok();
        }
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
