//! The table of commands.

use crate::hold::{Bounds, Readers};
use crate::protocol::{EXEC_MAGIC, ExecStatus, MAX_EXEC_ID, VERSION, exec_state, flag};
use crate::sys::{self, Fd};

/// Slots: running commands and ended ones whose pipes somebody still holds.
pub(crate) const SLOTS: usize = 2048;

/// Where a command is in its life. Zero is "free", so that untouched memory is an empty table.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Slot not in use.
    Free = 0,
    /// Forked; the new program does not run yet.
    Starting = 1,
    /// The new program runs.
    Running = 2,
    /// Over and recorded, but somebody it left behind holds its output.
    Lingering = 3,
}

/// One output.
#[repr(C)]
pub(crate) struct Stream {
    /// Our end of the pipe, or of the terminal.
    pub(crate) pipe: Fd,
    /// File that keeps it.
    pub(crate) spool: Fd,
    /// Bytes kept.
    pub(crate) len: u64,
    /// Bytes not kept; once there are some no more are kept, so that the file is a beginning without holes.
    pub(crate) dropped: u64,
    /// Bytes that may be kept before the spool and its readers are looked at again.
    pub(crate) room: u64,
    /// What its readers did.
    pub(crate) readers: Readers,
}

/// The input.
#[repr(C)]
pub(crate) struct Input {
    /// Our end of the pipe, or of the terminal; none when closed.
    pub(crate) pipe: Fd,
    /// File that it comes from.
    pub(crate) spool: Fd,
    /// Bytes handed over.
    pub(crate) offset: u64,
    /// Bytes that the file holds.
    pub(crate) len: u64,
    /// No more will come.
    pub(crate) eof: bool,
    /// The pipe was full and is watched.
    pub(crate) armed: bool,
    /// Bytes handed over that are off the disk.
    pub(crate) forgotten: u64,
    /// What was handed over ends within a line.
    pub(crate) within_line: bool,
}

/// Who waits for the start.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Waiter {
    pub(crate) client: u32,
    pub(crate) generation: u32,
    pub(crate) seq: u32,
}

/// One command. All-zero is a valid, free one: it lives in a table of fresh memory.
#[repr(C)]
pub(crate) struct Exec {
    pub(crate) state: State,
    pub(crate) id_len: u8,
    /// The sandbox ends with it.
    pub(crate) main: bool,
    pub(crate) id: [u8; MAX_EXEC_ID],
    /// Tells uses of the slot apart.
    pub(crate) generation: u32,
    pub(crate) pid: i32,
    /// `flag` bits.
    pub(crate) flags: u32,
    pub(crate) waiter: Waiter,
    /// Reading end on which the child reports a failed start.
    pub(crate) report: Fd,
    pub(crate) status: Fd,
    /// v2 group.
    pub(crate) cgroup: Fd,
    /// The line of its terminal, held open while it lives, so that a command that closes it and opens it again finds it as it was.
    pub(crate) terminal: Fd,
    pub(crate) input: Input,
    pub(crate) output: [Stream; 2],
    /// How much of its output is kept, and when its readers are waited for.
    pub(crate) bounds: Bounds,
    /// Boot-time nanoseconds; 0 = none.
    pub(crate) deadline_ns: u64,
    /// Real-time nanoseconds.
    pub(crate) started_ns: u64,
    /// Memory kills in the sandbox before it started.
    pub(crate) oom_before: u64,
}

impl Exec {
    /// Its id.
    pub(crate) fn id(&self) -> &[u8] {
        &self.id[..usize::from(self.id_len)]
    }

    /// True from the fork to the end of the main process.
    pub(crate) fn lives(&self) -> bool {
        matches!(self.state, State::Starting | State::Running)
    }

    /// Writes the status file. It has its full size from the start, so the last write needs no space.
    pub(crate) fn write_status(&self, state: u32, code: i32, ended_ns: u64) {
        let status = ExecStatus {
            magic: EXEC_MAGIC,
            version: VERSION,
            state,
            code,
            flags: self.flags,
            pid: self.pid as u32,
            stdout_len: self.output[0].len,
            stderr_len: self.output[1].len,
            stdout_dropped: self.output[0].dropped,
            stderr_dropped: self.output[1].dropped,
            started_ns: self.started_ns,
            ended_ns,
        };
        // SAFETY: the record is plain numbers without padding, and is borrowed for its size.
        let bytes = unsafe {
            core::slice::from_raw_parts(core::ptr::from_ref(&status).cast::<u8>(), size_of::<ExecStatus>())
        };
        // A full disk at the start leaves it empty: the engine then sees an exec without a recorded end.
        let _ = sys::pwrite(self.status.raw(), bytes, 0);
    }

    /// Records the end that a wait status tells.
    pub(crate) fn write_end(&self, end: WaitStatus) {
        let (state, code) = match end {
            WaitStatus::Exited(code) => (exec_state::EXITED, code),
            WaitStatus::Signaled(signal) => (exec_state::SIGNALED, signal),
        };
        self.write_status(state, code, sys::now(sys::CLOCK_REALTIME));
    }

    /// True when the end looks like a memory kill of the command itself or of a child of a shell.
    pub(crate) fn judge_oom(&mut self, end: WaitStatus, oom_now: u64) {
        const SHELL_SAYS_KILLED: i32 = 128 + sys::SIGKILL;
        let killed =
            matches!(end, WaitStatus::Signaled(sys::SIGKILL) | WaitStatus::Exited(SHELL_SAYS_KILLED));
        if killed && self.flags & (flag::TIMED_OUT | flag::KILLED) == 0 && oom_now > self.oom_before {
            self.flags |= flag::OOM;
        }
    }

    /// Notes that the end of the sandbox killed it.
    pub(crate) fn judge_sandbox_end(&mut self, end: WaitStatus, ending: bool) {
        let killed = matches!(end, WaitStatus::Signaled(sys::SIGKILL));
        if ending && killed && self.flags & (flag::TIMED_OUT | flag::KILLED | flag::OOM) == 0 {
            self.flags |= flag::SANDBOX_ENDED;
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy)]
pub(crate) enum WaitStatus {
    /// With this code.
    Exited(i32),
    /// Of this signal.
    Signaled(i32),
}

impl WaitStatus {
    /// Reads the status of wait4(2).
    pub(crate) fn decode(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Exited(status >> 8 & 0xff),
            signal => Self::Signaled(signal),
        }
    }
}
