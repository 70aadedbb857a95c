//! Processes as owners of sandboxes, kept as labels: who it is, and until when its lease holds.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openlattice::Owner;

/// Set on every sandbox that belongs to a process, so that those can be listed.
pub(crate) const BOUND: (&str, &str) = ("openlattice_bound", "1");
const HOST: &str = "openlattice_owner_host";
const BOOT: &str = "openlattice_owner_boot";
const PROCESS: &str = "openlattice_owner_process";
const LEASE: &str = "openlattice_lease";

/// How long a lease holds; it is renewed three times as often.
pub(crate) const LEASE_LENGTH: Duration = Duration::from_secs(15 * 60);

/// Describes the calling process; nothing where `/proc` does not tell.
pub(crate) fn this_process() -> Option<Owner> {
    let pid = std::process::id();
    Some(Owner {
        host: read("/etc/machine-id").unwrap_or_default(),
        boot: boot()?,
        pid,
        started: started(pid)?,
    })
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

/// Says whether the owner is gone: one of this machine by its process, another by its lease.
pub(crate) fn is_gone(owner: &Owner, tags: &BTreeMap<String, String>) -> bool {
    if read("/etc/machine-id").unwrap_or_default() == owner.host {
        return boot().is_some_and(|boot| boot != owner.boot || started(owner.pid) != Some(owner.started));
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
    fn g5_an_owner_of_this_machine_is_judged_by_its_process() {
        let owner = this_process().unwrap();
        let tags = labels(&owner);
        assert_eq!(of(&tags).unwrap(), owner);
        assert!(!is_gone(&owner, &tags));
        assert!(is_gone(&Owner { started: owner.started + 1, ..owner.clone() }, &tags));
        assert!(is_gone(&Owner { boot: "another".to_owned(), ..owner }, &tags));
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
