//! Which process made or owns something, so that another can tell whether it still lives.

use crate::error::{Error, Result};
use std::{fs, io, sync::OnceLock};

/// A process, named so that a reused pid is not taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    boot: String,
    pid: u32,
    start: u64,
    /// Inode of the pid namespace in which `pid` means something.
    namespace: u64,
}

impl Process {
    /// The calling process.
    pub(crate) fn current() -> Result<Self> {
        let pid = std::process::id();
        let start = start_time(pid)
            .ok_or_else(|| Error::new(crate::ErrorKind::Internal, "cannot read /proc/self/stat"))?;
        Ok(Self { boot: boot_id()?, pid, start, namespace: pid_namespace()? })
    }

    /// Whether it is certain that this process has ended. One of another pid namespace cannot be judged and counts as alive.
    pub(crate) fn is_gone(&self) -> bool {
        if boot_id().is_ok_and(|boot| boot != self.boot) {
            return true;
        }
        if pid_namespace().is_ok_and(|namespace| namespace != self.namespace) {
            return false;
        }
        start_time(self.pid) != Some(self.start)
    }

    /// Whether the host has restarted since.
    pub(crate) fn before_this_boot(&self) -> bool {
        boot_id().is_ok_and(|boot| boot != self.boot)
    }

    /// The stored form: `BOOT:PID:START:NAMESPACE`.
    pub(crate) fn to_text(&self) -> String {
        format!("{}:{}:{}:{}", self.boot, self.pid, self.start, self.namespace)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let boot = next()?.to_owned();
        Some(Self {
            boot,
            pid: next()?.parse().ok()?,
            start: next()?.parse().ok()?,
            namespace: next()?.parse().ok()?,
        })
    }
}

/// When a process started, in clock ticks after boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5)). `None` when it is gone; a
/// zombie counts as gone, because nothing of it runs any more.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_time(&stat)
}

/// A process for who must find out what holds it: number, name, and state letter (proc_pid_stat(5)). `None` when it is gone.
pub(crate) fn describe_process(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let state = rest.chars().next()?;
    Some(format!("process {pid} {name:?} in state {state}"))
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The command name, in parentheses, may hold spaces and parentheses of its own.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The same for the whole life of this process.
fn boot_id() -> Result<String> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known.clone());
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|e| Error::io("cannot read the boot id", e))?;
    Ok(KNOWN.get_or_init(|| text.trim().to_owned()).clone())
}

fn pid_namespace() -> Result<u64> {
    let stat = rustix::fs::stat("/proc/self/ns/pid")
        .map_err(|e| Error::io("cannot examine /proc/self/ns/pid", io::Error::from(e)))?;
    Ok(stat.st_ino)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_survives_the_store() {
        let me = Process::current().unwrap();
        assert!(!me.is_gone());
        assert_eq!(Process::parse(&me.to_text()).unwrap(), me);
    }

    #[test]
    fn another_start_time_or_boot_is_another_process() {
        let me = Process::current().unwrap();
        assert!(Process { start: me.start + 1, ..me.clone() }.is_gone());
        assert!(Process { boot: "x".to_owned(), ..me.clone() }.is_gone());
        assert!(!Process { start: me.start + 1, namespace: 1, ..me }.is_gone());
    }

    #[test]
    fn a_hostile_command_name_does_not_move_the_fields() {
        let stat = "7 (a) Z (b) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 1 0";
        assert_eq!(parse_start_time(stat), Some(4242));
        assert_eq!(parse_start_time(&stat.replace(" S ", " Z ")), None);
    }
}
