//! Talks to the agent of a sandbox.

mod body;
pub(crate) mod records;
mod refusal;
mod turns;

pub(crate) use body::{ExecBody, ExecFiles};
pub(crate) use refusal::Refusal;
pub(crate) use turns::{Connected, Turns};

use crate::{
    error::{Error, ErrorKind, Result},
    exec::TerminalSize,
    launch::memory_file,
    protocol::{TERMINALS_SINCE, op, role, tag},
};
use records::{Packet, Writer};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType},
};
use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};
use tokio::{io::Interest, net::UnixStream, sync::Mutex};

/// Longest wait for one answer. An agent answers within milliseconds; one that does not has been taken over or hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest path that a unix address holds, without its NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// A connection to an agent. Requests on one connection go one after the other. Every method is cancel-safe in that a dropped one leaves the
/// connection usable; whether the request was carried out is then unknown.
#[derive(Debug)]
pub(crate) struct Agent {
    /// A SEQPACKET socket: the type is borrowed for its readiness only, all transfers go through `records`.
    socket: UnixStream,
    /// Last sequence number; held while a request is under way.
    seq: Mutex<u32>,
}

impl Agent {
    /// Connects to the agent of the sandbox whose folder is `dir`. `FailedPrecondition` when none listens: the sandbox has ended.
    pub(crate) async fn connect(dir: &Path) -> Result<Self> {
        let socket = loop {
            match connect(dir) {
                // Its queue is full: connections are taken within a moment.
                Err(Errno::AGAIN) => tokio::time::sleep(Duration::from_millis(1)).await,
                other => break other,
            }
        };
        let socket = socket.map_err(|errno| match errno {
            Errno::CONNREFUSED | Errno::NOENT => Error::new(
                ErrorKind::FailedPrecondition,
                "the sandbox's agent does not run: the sandbox has ended",
            ),
            errno => Error::io(format!("cannot connect to the agent in {}", dir.display()), errno),
        })?;
        let socket = UnixStream::from_std(socket.into())
            .map_err(|e| Error::io("cannot watch the agent's connection", e))?;
        Ok(Self { socket, seq: Mutex::new(0) })
    }

    /// Version that it speaks.
    async fn version(&self) -> Result<u32, Refusal> {
        let reply = self.request(op::HELLO, |packet| packet, &[]).await?;
        reply.u32(tag::VERSION).ok_or(Refusal::Nonsense)
    }

    /// Number of commands that run.
    #[cfg(test)]
    pub(crate) async fn running(&self) -> Result<u32, Refusal> {
        let reply = self.request(op::HELLO, |packet| packet, &[]).await?;
        reply.u32(tag::RUNNING).ok_or(Refusal::Nonsense)
    }

    /// Starts a command and returns when its program runs.
    pub(crate) async fn exec(&self, id: &str, body: ExecBody, files: ExecFiles) -> Result<(), Refusal> {
        if body.terminal.is_some() && self.version().await? < TERMINALS_SINCE {
            return Err(Refusal::Old);
        }
        let body = memory_file("lattice-exec", &body.encode()?).map_err(Refusal::Local)?;
        let spools =
            [(role::STDIN, &files.stdin), (role::STDOUT, &files.stdout), (role::STDERR, &files.stderr)];
        let (mut roles, mut fds) = (Vec::new(), vec![body.as_fd(), files.status.as_fd()]);
        for (role, file) in spools {
            if let Some(file) = file {
                roles.push(role);
                fds.push(file.as_fd());
            }
        }
        let fill = |packet: Writer| packet.bytes(tag::EXEC_ID, id.as_bytes()).bytes(tag::ROLES, &roles);
        self.request(op::EXEC, fill, &fds).await.map(drop)
    }

    /// Says how many bytes the input spool of a command holds, and whether no more will come.
    pub(crate) async fn stdin(&self, id: &str, length: u64, eof: bool) -> Result<(), Refusal> {
        let fill = |packet: Writer| {
            packet.bytes(tag::EXEC_ID, id.as_bytes()).u64(tag::LENGTH, length).u32(tag::EOF, eof.into())
        };
        self.request(op::STDIN, fill, &[]).await.map(drop)
    }

    /// Bytes of input that a command was given, and whether its input is closed.
    pub(crate) async fn stdin_status(&self, id: &str) -> Result<(u64, bool), Refusal> {
        let reply =
            self.request(op::STDIN_STATUS, |packet| packet.bytes(tag::EXEC_ID, id.as_bytes()), &[]).await?;
        Ok((reply.u64(tag::LENGTH).ok_or(Refusal::Nonsense)?, reply.u32(tag::EOF) == Some(1)))
    }

    /// Sends a signal to a command's process group; with `tree` SIGKILL to all that it started.
    pub(crate) async fn signal(&self, id: &str, signal: u32, tree: bool) -> Result<(), Refusal> {
        let fill = |packet: Writer| {
            packet.bytes(tag::EXEC_ID, id.as_bytes()).u32(tag::SIGNAL, signal).u32(tag::TREE, tree.into())
        };
        self.request(op::SIGNAL, fill, &[]).await.map(drop)
    }

    /// Changes the size of a command's terminal.
    pub(crate) async fn resize(&self, id: &str, size: TerminalSize) -> Result<(), Refusal> {
        let fill = |packet: Writer| packet.bytes(tag::EXEC_ID, id.as_bytes()).u32(tag::SIZE, size.packed());
        self.request(op::RESIZE, fill, &[]).await.map(drop)
    }

    /// The sandbox's root directory, `O_PATH`, as its processes see it.
    pub(crate) async fn root(&self) -> Result<OwnedFd, Refusal> {
        let mut reply = self.request(op::ROOT, |packet| packet, &[]).await?;
        reply.fds.pop().ok_or(Refusal::Nonsense)
    }

    /// Asks it to end the sandbox for one of the `reason` numbers; it answers before it does.
    pub(crate) async fn terminate(&self, reason: u32) -> Result<(), Refusal> {
        self.request(op::TERMINATE, |packet| packet.u32(tag::REASON, reason), &[]).await.map(drop)
    }

    async fn request(
        &self,
        op: u32,
        fill: impl FnOnce(Writer) -> Writer,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Packet, Refusal> {
        let mut seq = self.seq.lock().await;
        *seq = seq.wrapping_add(1);
        let packet = fill(Writer::packet(op, *seq)).finish();
        let exchange = tokio::time::timeout(PATIENCE, self.exchange(op, *seq, &packet, fds)).await;
        let reply = exchange.map_err(|_elapsed| Refusal::Silent)??;
        match reply.header.errno {
            0 => Ok(reply),
            errno if !(1..4096).contains(&errno) => Err(Refusal::Nonsense),
            errno => {
                Err(Refusal::Agent { errno: Errno::from_raw_os_error(errno), stage: reply.header.stage })
            }
        }
    }

    async fn exchange(
        &self,
        op: u32,
        seq: u32,
        packet: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> Result<Packet, Refusal> {
        let send =
            || records::send(self.socket.as_fd(), packet, fds, SendFlags::DONTWAIT).map_err(Into::into);
        self.socket.async_io(Interest::WRITABLE, send).await.map_err(Refusal::lost)?;
        loop {
            let receive = || records::receive(self.socket.as_fd(), RecvFlags::DONTWAIT).map_err(Into::into);
            let reply = self.socket.async_io(Interest::READABLE, receive).await.map_err(Refusal::lost)?;
            let reply = reply.ok_or(Refusal::HungUp)?;
            // An answer to a request that was dropped may come first.
            if reply.header.seq == seq {
                return if reply.header.op == op { Ok(reply) } else { Err(Refusal::Nonsense) };
            }
        }
    }
}

fn connect(dir: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let path = dir.join("agent.sock");
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        rustix::net::connect(&socket, &SocketAddrUnix::new(&path)?)?;
    } else {
        let open = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = format!("/proc/self/fd/{}/agent.sock", open.as_raw_fd());
        rustix::net::connect(&socket, &SocketAddrUnix::new(short)?)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_PACKET;
    use rustix::net::{accept, bind, listen, recv, send, socket_with};

    /// An agent of version 1: it knows HELLO, and RESIZE as little as any other op. Returns the ops that it was asked for.
    fn old_agent(dir: &Path) -> std::thread::JoinHandle<Vec<u32>> {
        let listener =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(dir.join("agent.sock")).unwrap()).unwrap();
        listen(&listener, 1).unwrap();
        std::thread::spawn(move || {
            let client = accept(&listener).unwrap();
            let (mut asked, mut packet) = (Vec::new(), [0; MAX_PACKET]);
            while recv(&client, &mut packet, RecvFlags::empty()).unwrap().0 > 0 {
                let word = |at: usize| u32::from_le_bytes(packet[at..at + 4].try_into().unwrap());
                let (op, seq) = (word(0), word(4));
                asked.push(op);
                let mut reply = Writer::packet(op, seq).u32(tag::VERSION, 1).finish();
                if op != op::HELLO {
                    reply[8..12].copy_from_slice(&Errno::NOSYS.raw_os_error().to_le_bytes());
                }
                send(&client, &reply, SendFlags::empty()).unwrap();
            }
            asked
        })
    }

    #[tokio::test]
    async fn m12_an_older_agent_is_not_asked_to_run_what_it_would_run_without_a_terminal() {
        let dir = tempfile::tempdir().unwrap();
        let old = old_agent(dir.path());
        let agent = Agent::connect(dir.path()).await.unwrap();
        let size = TerminalSize { rows: 24, columns: 80 };
        let body = ExecBody { terminal: Some(size), ..ExecBody::default() };
        let status = memory_file("status", b"").unwrap();
        let files = ExecFiles { status, stdin: None, stdout: None, stderr: None };
        assert!(matches!(agent.exec("e", body, files).await, Err(Refusal::Old)));
        assert!(agent.resize("e", size).await.unwrap_err().is(Errno::NOSYS));
        drop(agent);
        assert_eq!(old.join().unwrap(), [op::HELLO, op::RESIZE]);
    }
}
