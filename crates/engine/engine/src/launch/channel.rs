//! The set-up channel: blocking, with a bound on every wait.

use crate::{
    agent::records::{self, Packet},
    error::{Error, ErrorKind, Result},
    protocol::stage,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair},
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest wait for one answer; a launch takes milliseconds, so this only ends one that hangs.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Our end.
pub(super) struct Channel(OwnedFd);

impl Channel {
    /// A channel and the launcher's end.
    pub(super) fn new() -> Result<(Self, OwnedFd)> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (ours, theirs) = pair.map_err(|e| Error::io("cannot make the set-up channel", e))?;
        Ok((Self(ours), theirs))
    }

    /// Sends a packet.
    pub(super) fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let sent = records::send(self.0.as_fd(), packet, fds, SendFlags::empty());
        sent.map_err(|e| Error::io("cannot speak to the launcher: it has ended", e))
    }

    /// Waits for the answer `op`; an answer that reports a failure is an error.
    pub(super) fn expect(&self, op: u32) -> Result<Packet> {
        let packet = self.wait().map_err(|e| Error::io("cannot hear from the launcher", e))?;
        let packet =
            packet.ok_or_else(|| Error::new(ErrorKind::Internal, "the launcher ended without a word"))?;
        if packet.header.errno != 0 {
            return Err(failure(packet.header.stage, packet.header.errno));
        }
        match packet.header.op == op {
            true => Ok(packet),
            false => Err(Error::new(
                ErrorKind::Internal,
                format!("the launcher answered {} where {op} is due", packet.header.op),
            )),
        }
    }

    fn wait(&self) -> rustix::io::Result<Option<Packet>> {
        loop {
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PATIENCE)) {
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) => return records::receive(self.0.as_fd(), RecvFlags::DONTWAIT),
            }
        }
    }
}

/// What a failed step means.
fn failure(stage: u32, errno: i32) -> Error {
    let step = match stage {
        stage::NETWORK => "make its network namespace",
        stage::CLONE => "make its namespaces: user namespaces must be enabled",
        stage::IDENTITY => "take its identity",
        stage::MOUNT => "mount its file systems: the host's /proc must be fully visible",
        stage::MASK => "cover what it must not see",
        stage::CGROUP => "join its control groups",
        stage::PRIVILEGES => "drop its privileges",
        _ => "start its agent",
    };
    Error::io(format!("the sandbox could not {step}"), std::io::Error::from_raw_os_error(errno))
}
