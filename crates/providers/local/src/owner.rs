//! Processes as owners of sandboxes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use openlattice::Owner;

/// Describes the calling process; nothing where `/proc` does not tell.
pub(crate) fn this_process() -> Option<Owner> {
    let pid = std::process::id();
    Some(Owner { host: host()?, boot: boot()?, pid, started: started(pid)? })
}

/// Whether the process still lives. One of another machine or pid namespace cannot be asked and counts as alive.
pub(crate) fn is_alive(owner: &Owner) -> bool {
    if host().is_none_or(|host| host != owner.host) {
        return true;
    }
    boot().is_none_or(|boot| boot == owner.boot) && started(owner.pid) == Some(owner.started)
}

/// Where a process id means something: the machine, and the pid namespace on it, of which each container has its own.
fn host() -> Option<String> {
    let machine = read("/etc/machine-id").unwrap_or_default();
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(format!("{machine}-{namespace}"))
}

fn boot() -> Option<String> {
    read("/proc/sys/kernel/random/boot_id")
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The start time of a process, field 22 of proc_pid_stat(5).
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything, brackets and blanks too.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_pid() {
        let owner = this_process().unwrap();
        assert!(is_alive(&owner));
        assert!(!is_alive(&Owner { started: owner.started + 1, ..owner.clone() }));
        assert!(!is_alive(&Owner { boot: "another".to_owned(), ..owner.clone() }));
        let machine = owner.host.split('-').next().unwrap();
        for host in [format!("{machine}-1"), machine.to_owned(), String::new()] {
            let foreign = Owner { host, started: owner.started + 1, ..owner.clone() };
            assert!(is_alive(&foreign), "a pid of another namespace says nothing here: {foreign:?}");
        }
    }
}
