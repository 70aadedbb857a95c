//! Signals to commands.

use crate::cgroup;
use crate::exec::Exec;
use crate::sys::{self, Result};

/// Sends a signal to the process group of a command. It has its own, and cannot have been reused: its leader is not reaped.
pub(crate) fn signal_group(exec: &Exec, signal: i32) -> Result<()> {
    match sys::kill(-exec.pid, signal) {
        // Its child has not made the group yet.
        Err(sys::Errno::ESRCH) => sys::kill(exec.pid, signal),
        other => other,
    }
}

/// Kills all that a command started; without cgroup v2 only its process group can be found.
pub(crate) fn kill_tree(exec: &Exec) {
    if !exec.cgroup.is_some() || cgroup::kill(&exec.cgroup).is_err() {
        // ESRCH: it has just ended by itself.
        let _ = signal_group(exec, sys::SIGKILL);
    }
}
