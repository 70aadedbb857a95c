//! Fronts that are connected, and their requests.

use crate::exec::Waiter;
use crate::launch::{At, Failure};
use crate::protocol::{VERSION, flag, op, reason, stage, tag};
use crate::records::{Packet, Records, Reply};
use crate::serve::{Kind, Server};
use crate::sys::{self, Errno, Fd, Result};
use crate::{end, signals, start, stdin};

/// Most fronts at once; another is turned away (its connection closes).
pub(crate) const MAX_CLIENTS: usize = 256;

/// A connected front.
#[repr(C)]
pub(crate) struct Client {
    pub(crate) socket: Fd,
    /// Tells uses of the slot apart.
    pub(crate) generation: u32,
}

/// Accepts one front.
pub(crate) fn accept(server: &mut Server) {
    let Ok(socket) = sys::accept(server.handles.listener.raw()) else { return };
    let Some(index) = server.clients.iter().position(|client| !client.socket.is_some()) else { return };
    server.generation = server.generation.wrapping_add(1);
    let generation = server.generation;
    if server.watch(socket.raw(), Kind::Client, index, generation, sys::EPOLLIN).is_ok() {
        server.clients[index] = Client { socket, generation };
    }
}

/// One request of a front, or its end. A front that sends nonsense or does not take its replies is dropped.
pub(crate) fn readable(server: &mut Server, index: usize) {
    let packet = match Packet::receive(server.clients[index].socket.raw()) {
        Ok(Some(packet)) => packet,
        Err(Errno::EAGAIN) => return,
        Ok(None) | Err(_) => return server.drop_client(index),
    };
    if answer(server, index, packet).is_err() {
        server.drop_client(index);
    }
}

fn answer(server: &mut Server, index: usize, mut packet: Packet) -> Result<()> {
    let (header, _) = packet.open()?;
    let waiter =
        Waiter { client: index as u32, generation: server.clients[index].generation, seq: header.seq };
    if !matches!(header.op, op::HELLO | op::STDIN_STATUS) {
        server.active_ns = sys::now(sys::CLOCK_BOOTTIME);
    }
    let reply = match header.op {
        op::EXEC => start::request(server, waiter, &mut packet),
        op::ROOT => return send_root(server, waiter),
        op::TERMINATE => terminate(server, waiter, &packet),
        _ => simple(server, header.op, header.seq, packet.open()?.1).map(Some),
    };
    match reply {
        Ok(None) => {}
        Ok(Some(reply)) => server.reply(waiter, &reply),
        Err(failure) => {
            server.reply(waiter, &Reply::failed(header.op, header.seq, failure.errno, failure.stage));
        }
    }
    Ok(())
}

fn simple(
    server: &mut Server,
    op: u32,
    seq: u32,
    records: Records<'_>,
) -> core::result::Result<Reply, Failure> {
    let reply = Reply::new(op, seq);
    if op == op::HELLO {
        return Ok(reply.u32(tag::VERSION, VERSION).u32(tag::RUNNING, server.running as u32));
    }
    let index = living(server, records.bytes(tag::EXEC_ID)).at(stage::PROTOCOL)?;
    match op {
        op::STDIN => {
            let (len, eof) =
                (records.u64(tag::LENGTH).at(stage::PROTOCOL)?, records.u32(tag::EOF).at(stage::PROTOCOL)?);
            stdin::offer(server, index, len, eof != 0).at(stage::PROTOCOL)?;
        }
        op::STDIN_STATUS => {
            let input = &server.execs[index].input;
            return Ok(reply.u64(tag::LENGTH, input.offset).u32(tag::EOF, u32::from(!input.pipe.is_some())));
        }
        op::SIGNAL => signal(server, index, &records).at(stage::PROTOCOL)?,
        op::RESIZE => resize(server, index, &records).at(stage::PROTOCOL)?,
        _ => return Err(Failure { stage: stage::PROTOCOL, errno: Errno::ENOSYS }),
    }
    Ok(reply)
}

fn living(server: &Server, id: &[u8]) -> Result<usize> {
    server.find(id).filter(|index| server.execs[*index].lives()).ok_or(Errno::ESRCH)
}

fn signal(server: &mut Server, index: usize, records: &Records<'_>) -> Result<()> {
    const LAST_SIGNAL: u32 = 64;
    let (signal, tree) = (records.u32(tag::SIGNAL)?, records.u32(tag::TREE)? != 0);
    let exec = &mut server.execs[index];
    if tree {
        exec.flags |= flag::KILLED;
        signals::kill_tree(exec);
        return Ok(());
    }
    if signal > LAST_SIGNAL {
        return Err(Errno::EINVAL);
    }
    if signal == sys::SIGKILL as u32 {
        exec.flags |= flag::KILLED;
    }
    signals::signal_group(exec, signal as i32)
}

fn resize(server: &Server, index: usize, records: &Records<'_>) -> Result<()> {
    let size = start::Size::parse(records)?.ok_or(Errno::EPROTO)?;
    let exec = &server.execs[index];
    if !exec.terminal.is_some() {
        return Err(Errno::ENOTTY);
    }
    sys::set_size(exec.output[0].pipe.raw(), size.rows, size.columns)
}

fn send_root(server: &mut Server, waiter: Waiter) -> Result<()> {
    let root = sys::open(sys::AT_FDCWD, c"/", sys::O_PATH | sys::O_DIRECTORY)?;
    let socket = server.clients[waiter.client as usize].socket.raw();
    Reply::new(op::ROOT, waiter.seq).send(socket, root.raw())
}

fn terminate(
    server: &mut Server,
    waiter: Waiter,
    packet: &Packet,
) -> core::result::Result<Option<Reply>, Failure> {
    let (_, records) = packet.open().at(stage::PROTOCOL)?;
    let asked = match records.u32(tag::REASON).at(stage::PROTOCOL)? {
        0 => reason::TERMINATED,
        other => other,
    };
    server.reply(waiter, &Reply::new(op::TERMINATE, waiter.seq));
    end::sandbox(server, asked, 0)
}
