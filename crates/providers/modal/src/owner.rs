//! Processes as owners of sandboxes, kept as labels: who it is, and until when its lease holds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openlattice::{Owner, SandboxState};

/// Set on every sandbox that belongs to a process, so that those can be listed.
pub(crate) const BOUND: (&str, &str) = ("openlattice_bound", "1");
const HOST: &str = "openlattice_owner_host";
const BOOT: &str = "openlattice_owner_boot";
const PROCESS: &str = "openlattice_owner_process";
const LEASE: &str = "openlattice_lease";
/// Set on a sandbox that belongs to a process only until it is set up.
pub(crate) const SETUP: (&str, &str) = ("openlattice_setup", "1");

/// How long a lease holds; it is renewed three times as often.
pub(crate) const LEASE_LENGTH: Duration = Duration::from_secs(15 * 60);

/// Describes the calling process; nothing where `/proc` does not tell.
pub(crate) fn this_process() -> Option<Owner> {
    let pid = std::process::id();
    Some(Owner { host: host()?, boot: boot()?, pid, started: started(pid)? })
}

/// Writes an owner and a fresh lease as labels.
pub(crate) fn labels(owner: &Owner) -> BTreeMap<String, String> {
    let pairs = [
        (BOUND.0, BOUND.1.to_owned()),
        (HOST, owner.host.clone()),
        (BOOT, owner.boot.clone()),
        (PROCESS, format!("{}-{}", owner.pid, owner.started)),
        (LEASE, fresh_lease()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Puts a fresh lease on labels.
pub(crate) fn renew(tags: &mut BTreeMap<String, String>) {
    tags.insert(LEASE.to_owned(), fresh_lease());
}

/// Reads the owner of a sandbox; nothing for a detached one.
pub(crate) fn of(tags: &BTreeMap<String, String>) -> Option<Owner> {
    let (pid, started) = tags.get(PROCESS)?.split_once('-')?;
    Some(Owner {
        host: tags.get(HOST)?.clone(),
        boot: tags.get(BOOT)?.clone(),
        pid: pid.parse().ok()?,
        started: started.parse().ok()?,
    })
}

/// The state of a sandbox with these labels: one that runs is abandoned when its owner is gone.
pub(crate) fn judged(state: SandboxState, tags: &BTreeMap<String, String>) -> SandboxState {
    let gone = || of(tags).is_some_and(|owner| is_gone(&owner, tags));
    if state == SandboxState::Running && gone() { SandboxState::Abandoned } else { state }
}

/// Takes owner and lease off labels.
pub(crate) fn remove(tags: &mut BTreeMap<String, String>) {
    for name in [BOUND.0, HOST, BOOT, PROCESS, LEASE, SETUP.0] {
        tags.remove(name);
    }
}

/// Says whether the owner is gone: one that runs beside this process by its process, any other by its lease.
///
/// Beside means the same run of the same kernel, and the same pid namespace. A machine id alone would not do: containers often have
/// none, and copies of one image share theirs.
pub(crate) fn is_gone(owner: &Owner, tags: &BTreeMap<String, String>) -> bool {
    if boot().is_some_and(|boot| boot == owner.boot) && host().is_some_and(|host| host == owner.host) {
        return started(owner.pid) != Some(owner.started);
    }
    let until = tags.get(LEASE).and_then(|text| text.parse::<u64>().ok());
    until.is_some_and(|until| until < now())
}

fn fresh_lease() -> String {
    now().saturating_add(LEASE_LENGTH.as_secs()).to_string()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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

    #[cfg(target_os = "linux")]
    #[test]
    fn g5_an_owner_beside_this_process_is_judged_by_its_process() {
        let owner = this_process().unwrap();
        let tags = labels(&owner);
        assert_eq!(of(&tags).unwrap(), owner);
        assert!(!is_gone(&owner, &tags));
        assert!(is_gone(&Owner { started: owner.started + 1, ..owner.clone() }, &tags));
        // A container without a machine id, a copy of this machine, another container on it: the lease decides.
        let mut tags = tags;
        let foreign = |host: &str, boot: &str| Owner {
            host: host.to_owned(),
            boot: boot.to_owned(),
            pid: 1,
            started: 1,
        };
        let all = [foreign(&owner.host, "another"), foreign("-1", &owner.boot), foreign("", &owner.boot)];
        assert!(all.iter().all(|owner| !is_gone(owner, &tags)));
        tags.insert(LEASE.to_owned(), "1000".to_owned());
        assert!(all.iter().all(|owner| is_gone(owner, &tags)));
        assert!(!is_gone(&owner, &tags), "a late lease does not end what belongs to a process that is there");
        remove(&mut tags);
        assert!(tags.is_empty());
    }

    #[test]
    fn g5_an_owner_of_another_machine_is_judged_by_its_lease() {
        let owner = Owner { host: "elsewhere".to_owned(), boot: "b".to_owned(), pid: 1, started: 2 };
        let mut tags = labels(&owner);
        assert!(!is_gone(&owner, &tags));
        tags.insert(LEASE.to_owned(), "1000".to_owned());
        assert!(is_gone(&owner, &tags));
        renew(&mut tags);
        assert!(!is_gone(&owner, &tags));
        tags.remove(LEASE);
        assert!(!is_gone(&owner, &tags), "without a lease nothing is known, and nothing is ended");
        assert_eq!(of(&BTreeMap::new()), None);
    }
}
