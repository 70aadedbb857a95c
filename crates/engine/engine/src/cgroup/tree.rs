//! Making and removing groups.

use super::hierarchy::Controller;
use rustix::io::Errno;
use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How often a group is made whose parent goes away.
const ATTEMPTS: u32 = 100;

/// Makes a group; one that is there is as good.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Makes a group and those above it, again when another process removes an empty one above in between.
pub(super) fn make_all(path: &Path) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match fs::create_dir_all(path) {
            Err(e) if is_gone(&e) => {}
            other => return other,
        }
    }
    fs::create_dir_all(path)
}

/// Whether a group is not there, or not any more: files of one that was removed while they were open say ENODEV.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
}

/// Passes v2 controllers on from the root of the hierarchy down to the children of `group`.
pub(super) fn delegate(root: &Path, group: &Path, files: &[(Controller, &str, String)]) -> io::Result<()> {
    let names: BTreeSet<&str> = files.iter().map(|(controller, ..)| controller.name()).collect();
    let enable: Vec<String> = names.iter().map(|name| format!("+{name}")).collect();
    let mut levels: Vec<&Path> = group.ancestors().take_while(|level| level.starts_with(root)).collect();
    levels.reverse();
    for level in levels {
        fs::write(level.join("cgroup.subtree_control"), enable.join(" "))?;
    }
    Ok(())
}

/// Kills what is in a group where the hierarchy can, and removes it with the groups below it; then the two above it, if nothing else is in
/// them. False when somebody is in it at `limit` still.
pub(super) fn remove(group: &Path, limit: Instant) -> io::Result<bool> {
    match fs::write(group.join("cgroup.kill"), "1") {
        // v1 has no such file, and an absent group nothing to kill.
        Err(e) if !is_gone(&e) && e.kind() != io::ErrorKind::PermissionDenied => return Err(e),
        _ => {}
    }
    while !remove_once(group)? {
        if Instant::now() >= limit {
            return Ok(false);
        }
        // Killed processes leave their group within a moment; v1 has no event for it.
        thread::sleep(Duration::from_millis(2));
    }
    for above in group.ancestors().skip(1).take(2) {
        // Used by others, or gone already.
        drop(fs::remove_dir(above));
    }
    Ok(true)
}

/// Processes in a group and those below it. What cannot be read has none.
pub(super) fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut members: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    members.extend(children(group).iter().flat_map(|name| self::members(&group.join(name))));
    members
}

/// Names of the groups in a group. One that cannot be read has none.
pub(super) fn children(group: &Path) -> Vec<String> {
    let folders = fs::read_dir(group).into_iter().flatten().flatten();
    folders
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// True when the group is gone, false when somebody is in it still.
fn remove_once(group: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(group) {
        Err(e) if is_gone(&e) => return Ok(true),
        other => other?,
    };
    for entry in entries {
        let entry = match entry {
            Err(e) if is_gone(&e) => return Ok(true),
            entry => entry?,
        };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !remove_once(&entry.path())? {
            return Ok(false);
        }
    }
    match fs::remove_dir(group) {
        Ok(()) => Ok(true),
        Err(e) if is_gone(&e) => Ok(true),
        Err(e) if e.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => Ok(false),
        Err(e) => Err(e),
    }
}
