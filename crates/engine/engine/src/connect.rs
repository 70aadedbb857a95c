//! Connections into a sandbox's network namespace, which nothing outside reaches otherwise.

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    sandbox::SandboxState,
    store::{Agent, SandboxRow},
    watch::open_agent,
};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    thread,
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::oneshot,
};

/// Connects to a port of the sandbox's loopback address.
pub(crate) async fn connect(engine: &Engine, id: &SandboxId, port: u16) -> Result<TcpStream> {
    let agent = living(id, engine.row(id).await?)?;
    let socket = TcpSocket::from_std_stream(inside(id, agent).await?.into());
    let connected = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
    connected.map_err(|error| refused(id, port, error))
}

fn living(id: &SandboxId, row: SandboxRow) -> Result<Agent> {
    let wrong = |state| Error::new(ErrorKind::FailedPrecondition, format!("sandbox {id} {state}"));
    match (&row.info.state, row.agent) {
        (SandboxState::Running, Some(agent)) => Ok(agent),
        (SandboxState::Ended(_), _) => Err(wrong("has ended")),
        _ => Err(wrong("is being made")),
    }
}

/// An unconnected socket of the sandbox's namespace, where it stays whoever uses it.
async fn inside(id: &SandboxId, agent: Agent) -> Result<OwnedFd> {
    let ended = || Error::new(ErrorKind::FailedPrecondition, format!("sandbox {id} has ended"));
    let pidfd = open_agent(agent)?.ok_or_else(ended)?;
    let (sender, made) = oneshot::channel();
    // A thread of its own that ends here: one of a pool would stay in the namespace.
    let spawned = thread::Builder::new().name("lattice-connect".to_owned()).spawn(move || {
        // A caller that is gone needs no socket.
        drop(sender.send(make(&pidfd)));
    });
    drop(spawned.map_err(|e| Error::io("cannot start a thread for the sandbox's network", e))?);
    let stopped = |_| Error::new(ErrorKind::Internal, "the thread that enters the sandbox's network stopped");
    let made = made.await.map_err(stopped)?;
    made.map_err(|e| match e.raw_os_error() {
        // The process behind the descriptor has ended since.
        Some(libc::ESRCH) => ended(),
        _ => Error::io(format!("cannot enter the network of sandbox {id}"), e),
    })
}

/// Enters by the agent's descriptor (setns(2) takes one since Linux 5.8), which cannot mean another process.
fn make(pidfd: &OwnedFd) -> io::Result<OwnedFd> {
    move_into_thread_name_spaces(pidfd.as_fd(), ThreadNameSpaceType::NETWORK)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

fn refused(id: &SandboxId, port: u16, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        let message = format!("nothing listens on port {port} of sandbox {id}");
        return Error::new(ErrorKind::FailedPrecondition, message).with_source(error);
    }
    Error::io(format!("cannot connect to port {port} of sandbox {id}"), error)
}
