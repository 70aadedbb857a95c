//! The two processes of a launch, each owned: dropped before its time, it is killed.

use super::{plan::AGENT_UID, program};
use crate::{
    agent::records::Packet,
    error::{Error, ErrorKind, Result},
    idmap::{BASE, COUNT},
    protocol::tag,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, openat},
    process::{Signal, pidfd_send_signal},
};
use std::{
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

/// The launcher, a child of ours until it is reaped.
pub(super) struct Launcher(Child);

impl Launcher {
    /// Starts it with its end of the channel as standard input.
    pub(super) fn start(channel: OwnedFd, directory: &Path) -> Result<Self> {
        let program = format!("/proc/self/fd/{}", program::file()?.as_raw_fd());
        let mut command = Command::new(program);
        command.arg0("lattice-agent").env_clear().current_dir(directory);
        command.stdin(Stdio::from(channel)).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(|e| Error::io("cannot start the launcher", e))
    }

    /// Reaps it.
    pub(super) fn wait(mut self) -> Result<()> {
        self.0.wait().map(drop).map_err(|e| Error::io("cannot wait for the launcher", e))
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // After `wait` both do nothing.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Process 1 of the sandbox.
pub(super) struct Init {
    pid: u32,
    pidfd: OwnedFd,
    kept: bool,
}

impl Init {
    /// Takes it over from the launcher's answer.
    pub(super) fn new(mut answer: Packet) -> Result<Self> {
        let odd = || Error::new(ErrorKind::Internal, "the launcher's answer lacks the clone's pid");
        let pid = answer.u32(tag::PID).ok_or_else(odd)?;
        let pidfd = answer.fds.pop().ok_or_else(odd)?;
        Ok(Self { pid, pidfd, kept: false })
    }

    /// Writes its id maps and returns its user namespace.
    pub(super) fn map_ids(&self) -> Result<OwnedFd> {
        let (agent, host) = (AGENT_UID, BASE + AGENT_UID);
        let map = format!("0 {BASE} {COUNT}\n{agent} {host} 1\n");
        self.try_map(map.as_bytes()).map_err(|e| Error::io("cannot map the sandbox's ids", e))
    }

    fn try_map(&self, map: &[u8]) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process = rustix::fs::open(format!("/proc/{}", self.pid), flags, Mode::empty())?;
        // Now the folder is that of the process behind the pidfd, or of one that has taken its number: then the pidfd says so.
        if self.has_ended()? {
            return Err(rustix::io::Errno::SRCH);
        }
        for name in ["uid_map", "gid_map"] {
            let file = openat(&process, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
            rustix::io::write(&file, map)?;
        }
        openat(&process, "ns/user", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    fn has_ended(&self) -> rustix::io::Result<bool> {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&now))? != 0)
    }

    /// Lets it live on; its pid.
    pub(super) fn keep(mut self) -> u32 {
        self.kept = true;
        self.pid
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
        if !self.kept {
            // It may have ended by itself. Its namespace is empty once the pidfd tells its end.
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
            let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&PATIENCE));
        }
    }
}
