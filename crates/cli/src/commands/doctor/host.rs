//! What can be seen of the machine without changing anything.

use std::fs;
use std::path::Path;

use openlattice_engine::MINIMAL_KERNEL;

use super::{Finding, Status};

/// Controllers that the declared limits stand on.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

pub(super) fn findings(state_dir: &Path) -> Vec<Finding> {
    let mut findings = vec![kernel(), user(), overlay(), user_namespaces(), seccomp(), usr()];
    findings.extend(CONTROLLERS.map(controller));
    findings.push(kill());
    findings.push(store(state_dir));
    findings.push(network());
    findings
}

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    let new_enough = version(release).is_some_and(|version| version >= MINIMAL_KERNEL);
    let (major, minor) = MINIMAL_KERNEL;
    Finding::needed("kernel", new_enough, format!("{release} (needed: {major}.{minor})"))
}

/// Major and minor number of a kernel release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn user() -> Finding {
    let root = rustix::process::geteuid().is_root();
    let detail =
        if root { "root" } else { "not root: sandboxes need root on this machine, run lattice with sudo" };
    Finding::needed("user", root, detail)
}

fn overlay() -> Finding {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let there = known.lines().any(|line| line.ends_with("\toverlay"));
    let detail = if there { "overlay" } else { "no overlay: try `modprobe overlay`" };
    Finding::needed("file systems", there, detail)
}

fn user_namespaces() -> Finding {
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let there = limit.trim() != "0" && Path::new("/proc/self/ns/user").exists();
    Finding::needed("user namespaces", there, format!("at most {}", limit.trim()))
}

fn seccomp() -> Finding {
    let there = Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
    Finding::needed(
        "seccomp",
        there,
        if there { "filters" } else { "the kernel has no filters of system calls" },
    )
}

fn usr() -> Finding {
    let merged = ["bin", "lib", "sbin"].iter().all(|name| Path::new("/").join(name).is_symlink());
    let status = if merged { Status::Ok } else { Status::Limited };
    let detail =
        if merged { "merged /usr" } else { "no merged /usr: import an image, the image host does not work" };
    Finding::new("image host", status, detail)
}

fn controller(name: &'static str) -> Finding {
    let groups = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let hierarchy = groups.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(name)).then(|| words.next().unwrap_or("0").to_owned())
    });
    let unified = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let found = match hierarchy.as_deref() {
        _ if unified.split_whitespace().any(|controller| controller == name) => Some("version 2"),
        Some("0") | None => None,
        Some(_) => Some("version 1"),
    };
    let label = match name {
        "memory" => "limit of memory",
        "cpu" => "limit of processors",
        _ => "limit of processes",
    };
    match found {
        Some(version) => Finding::new(label, Status::Ok, format!("control groups {version}")),
        None => Finding::new(label, Status::Limited, format!("no {name} controller: the limit is refused")),
    }
}

fn kill() -> Finding {
    let there = ["/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"]
        .iter()
        .any(|path| Path::new(path).exists());
    let detail =
        if there { "control groups version 2" } else { "by version 1 freezer: ending a sandbox is slower" };
    Finding::new("kill and freeze", if there { Status::Ok } else { Status::Limited }, detail)
}

fn store(state_dir: &Path) -> Finding {
    let parent = state_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(parent) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
            let status = if free < 512 { Status::Limited } else { Status::Ok };
            Finding::new("store", status, format!("{} ({free} MiB free)", state_dir.display()))
        }
        Err(errno) => Finding::new("store", Status::Missing, format!("{}: {errno}", state_dir.display())),
    }
}

/// The same on every machine for now, and what users ask first.
fn network() -> Finding {
    let detail = "sandboxes reach their own loopback only; `--network open` is refused, and clients of `lattice serve` are told";
    Finding::new("network", Status::Limited, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_two_numbers() {
        assert_eq!(version("6.18.44-x"), Some((6, 18)));
        assert_eq!(version("5.19"), Some((5, 19)));
        assert_eq!(version("six"), None);
    }
}
