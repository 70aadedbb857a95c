//! Reaping: the ends of commands, and of orphans that process 1 inherits.

use crate::exec::{State, WaitStatus};
use crate::protocol::reason;
use crate::serve::Server;
use crate::{cgroup, end, pump, start, sys};

/// Reaps all that has ended.
pub(crate) fn all(server: &mut Server) {
    let mut orphans = false;
    // Errors mean that there is no child at all.
    while let Ok(Some((pid, status))) = sys::reap() {
        orphans |= !one(server, pid, WaitStatus::decode(status));
    }
    if orphans {
        // One of them may have been the last of its command's group.
        (0..server.used).for_each(|index| server.settle(index));
    }
}

/// Records the end of one process; false for an orphan, whose end nobody asks for.
pub(crate) fn one(server: &mut Server, pid: i32, end: WaitStatus) -> bool {
    let Some(index) = server.find_pid(pid) else { return false };
    if server.execs[index].state == State::Starting {
        // The last word of the report pipe decides whether the program ever ran.
        start::reported(server, index);
        if server.find_pid(pid) != Some(index) {
            return true;
        }
    }
    finish(server, index, end);
    true
}

fn finish(server: &mut Server, index: usize, end: WaitStatus) {
    pump::drain(server, index);
    let oom_now = cgroup::oom_kills(&server.handles.oom);
    let ending = server.ending;
    let exec = &mut server.execs[index];
    exec.judge_oom(end, oom_now);
    exec.judge_sandbox_end(end, ending);
    exec.write_end(end);
    let (main, oom) = (exec.main, exec.flags & crate::protocol::flag::OOM != 0);
    server.retire(index);
    if main && !server.ending {
        match end {
            _ if oom => end::sandbox(server, reason::OOM, sys::SIGKILL),
            WaitStatus::Exited(code) => end::sandbox(server, reason::EXITED, code),
            WaitStatus::Signaled(signal) => end::sandbox(server, reason::SIGNALED, signal),
        }
    }
}

/// Ends a child that is about to exit. It is killed all the same: somebody inside could have stopped it, to make the agent wait.
pub(crate) fn finish_off(pid: i32) {
    let _ = sys::kill(pid, sys::SIGKILL);
    // ECHILD: somebody reaped it already, which is as good.
    let _ = sys::wait(pid);
}
