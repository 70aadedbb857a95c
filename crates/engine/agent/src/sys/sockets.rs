//! Sockets and messages.

use super::{Errno, Fd, O_CLOEXEC, O_NONBLOCK, Result, address, address_mut, at, call, owned, retry};
use crate::arch::nr;

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> Result<()> {
    const AF_INET_DGRAM: [usize; 2] = [2, 2 | O_CLOEXEC];
    const SIOCSIFFLAGS: usize = 0x8914;
    const UP_RUNNING: u8 = 0x41;
    let socket = owned(call(nr::SOCKET, [AF_INET_DGRAM[0], AF_INET_DGRAM[1], 0, 0, 0, 0]))?;
    // struct ifreq: 16 bytes of name, then the flags.
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16] = UP_RUNNING;
    call(nr::IOCTL, [at(socket.raw()), SIOCSIFFLAGS, request.as_ptr() as usize, 0, 0, 0]).map(drop)
}

pub(crate) fn accept(listener: i32) -> Result<Fd> {
    owned(retry(nr::ACCEPT4, [at(listener), 0, 0, O_NONBLOCK | O_CLOEXEC, 0, 0]))
}

/// Starts to connect a new socket of this network namespace to a port of 127.0.0.1; what becomes of it shows when it is writable.
pub(crate) fn connect_loopback(port: u16) -> Result<Fd> {
    const AF_INET: usize = 2;
    const SOCK_STREAM: usize = 1;
    let kind = SOCK_STREAM | O_NONBLOCK | O_CLOEXEC;
    let socket = owned(call(nr::SOCKET, [AF_INET, kind, 0, 0, 0, 0]))?;
    // struct sockaddr_in: the family in the machine's order, port and address in the network's.
    let mut address = [0u8; 16];
    address[..2].copy_from_slice(&(AF_INET as u16).to_ne_bytes());
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let connected = retry(nr::CONNECT, [at(socket.raw()), address.as_ptr() as usize, address.len(), 0, 0, 0]);
    match connected {
        Ok(_) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Sends small writes of a TCP socket at once.
pub(crate) fn set_no_delay(socket: i32) -> Result<()> {
    const IPPROTO_TCP: usize = 6;
    const TCP_NODELAY: usize = 1;
    let on = 1i32;
    call(nr::SETSOCKOPT, [at(socket), IPPROTO_TCP, TCP_NODELAY, address(&on), size_of::<i32>(), 0]).map(drop)
}

/// Tells the other side that no more will be sent.
pub(crate) fn shut_down_writing(socket: i32) {
    const SHUT_WR: usize = 1;
    // A connection that is broken already shows that to the next read.
    let _ = call(nr::SHUTDOWN, [at(socket), SHUT_WR, 0, 0, 0, 0]);
}

/// One buffer of a message.
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

/// `struct msghdr`.
#[repr(C)]
pub(crate) struct Message {
    pub(crate) name: usize,
    pub(crate) name_len: usize,
    pub(crate) buffers: usize,
    pub(crate) buffer_count: usize,
    pub(crate) control: usize,
    pub(crate) control_len: usize,
    pub(crate) flags: usize,
}

/// # Safety
/// Every address in `message` must be valid for its length.
pub(crate) unsafe fn sendmsg(fd: i32, message: &Message) -> Result<usize> {
    const MSG_NOSIGNAL: usize = 0x4000;
    retry(nr::SENDMSG, [at(fd), address(message), MSG_NOSIGNAL, 0, 0, 0])
}

/// # Safety
/// Every address in `message` must be valid, and free to write, for its length.
pub(crate) unsafe fn recvmsg(fd: i32, message: &mut Message) -> Result<usize> {
    const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
    retry(nr::RECVMSG, [at(fd), address_mut(message), MSG_CMSG_CLOEXEC, 0, 0, 0])
}
