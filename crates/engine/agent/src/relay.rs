//! Connections to published ports, relayed to the sandbox's own loopback.
//!
//! The listeners are sockets of the host's network, opened by the engine; this process lives in the sandbox's network, so that a socket
//! it makes reaches what listens inside. Nobody else is needed: a port answers for as long as the sandbox lives.
//!
//! Each direction has one buffer. What is in it must be handed over before more is read, so a side that does not take its bytes holds
//! up its own connection and nothing else.

use crate::memory::Map;
use crate::protocol::MAX_CONNECTIONS;
use crate::serve::{Kind, Server};
use crate::sys::{self, Errno, Fd, Result};

/// Bytes of one direction.
const CHUNK: usize = 16 << 10;
/// Chunks per event and direction, so that one busy connection does not keep the others waiting.
const ROUNDS: usize = 4;
/// The two sides of a connection.
const OUTSIDE: usize = 0;
const INSIDE: usize = 1;

/// All connections.
pub(crate) struct Relays {
    slots: &'static mut [Relay],
    /// Two chunks a slot: what came from outside, what came from inside.
    buffers: Map,
    /// Slots in use.
    pub(crate) open: usize,
    /// The listeners are watched: a slot is free.
    listening: bool,
}

/// One connection. All-zero is a free slot.
#[repr(C)]
struct Relay {
    sides: [Side; 2],
    /// Tells uses of the slot apart.
    generation: u32,
    /// The inner socket is not connected yet.
    connecting: bool,
}

/// One end of a connection.
#[repr(C)]
struct Side {
    socket: Fd,
    /// What it is watched for; 0: not at all.
    watched: u32,
    /// Of the chunk that came from here, what the other side has not taken yet.
    start: usize,
    end: usize,
    /// No more will come from here.
    over: bool,
    /// It was told that no more will come.
    told: bool,
}

/// A connection that must be closed.
struct Broken;

impl Relays {
    /// Room for the most connections, which costs nothing until they come; or for none.
    pub(crate) fn new(any: bool) -> Result<Self> {
        let most = if any { MAX_CONNECTIONS } else { 0 };
        // SAFETY: zeros are a free slot.
        let slots: &'static mut [Relay] =
            unsafe { Map::new(MAX_CONNECTIONS * size_of::<Relay>())?.into_table() };
        Ok(Self {
            slots: &mut slots[..most],
            buffers: Map::new(most * 2 * CHUNK)?,
            open: 0,
            listening: false,
        })
    }
}

/// Watches the listeners.
pub(crate) fn listen(server: &mut Server) -> Result<()> {
    for index in 0..server.plan.ports.numbers().len() {
        let listener = server.handles.ports[index].raw();
        sys::set_nonblocking(listener)?;
        server.watch(listener, Kind::Port, index, 0, sys::EPOLLIN)?;
    }
    server.relays.listening = true;
    Ok(())
}

/// Something happened to a listener or to a side of a connection.
pub(crate) fn event(server: &mut Server, kind: u8, generation: u32, index: usize, events: u32) {
    if kind == Kind::Port as u8 {
        return accept(server, index);
    }
    let Some(relay) = server.relays.slots.get_mut(index) else { return };
    // An event of this batch may be about a connection that an earlier one has closed.
    if !relay.sides[OUTSIDE].socket.is_some() || relay.generation != generation {
        return;
    }
    if relay.connecting && kind == Kind::Inside as u8 {
        if events & sys::EPOLLERR != 0 {
            return close(server, index);
        }
        relay.connecting = false;
    }
    go_on(server, index);
}

/// Takes one connection; with the last slot gone the rest waits.
fn accept(server: &mut Server, port: usize) {
    let relays = &mut server.relays;
    let Some(index) = relays.slots.iter().position(|relay| !relay.sides[OUTSIDE].socket.is_some()) else {
        return;
    };
    let Ok(outside) = sys::accept(server.handles.ports[port].raw()) else { return };
    // Nothing listens inside: dropping the socket says so.
    let Ok(inside) = sys::connect_loopback(server.plan.ports.numbers()[port]) else { return };
    // Without it bytes arrive all the same, later.
    let _ = sys::set_no_delay(outside.raw()).and(sys::set_no_delay(inside.raw()));
    server.generation = server.generation.wrapping_add(1);
    relays.slots[index] = Relay {
        sides: [Side::new(outside), Side::new(inside)],
        generation: server.generation,
        connecting: true,
    };
    relays.open += 1;
    server.timers_changed = true;
    if relays.open == relays.slots.len() {
        watch_listeners(server, false);
    }
    if watch(server, index).is_err() {
        close(server, index);
    }
}

impl Side {
    fn new(socket: Fd) -> Self {
        Self { socket, watched: 0, start: 0, end: 0, over: false, told: false }
    }

    fn holds(&self) -> bool {
        self.start < self.end
    }
}

/// Moves what can be moved, both ways.
fn go_on(server: &mut Server, index: usize) {
    let moved = flow(server, index, OUTSIDE).and_then(|()| flow(server, index, INSIDE));
    let over = server.relays.slots[index].sides.iter().all(|side| side.over && !side.holds());
    if moved.is_err() || over || watch(server, index).is_err() {
        close(server, index);
    }
}

/// Moves what comes from one side to the other.
fn flow(server: &mut Server, index: usize, from: usize) -> core::result::Result<(), Broken> {
    let relays = &mut server.relays;
    let relay = &mut relays.slots[index];
    if relay.connecting {
        return Ok(());
    }
    let buffer = &mut relays.buffers.bytes_mut()[(2 * index + from) * CHUNK..][..CHUNK];
    let to = relay.sides[1 - from].socket.raw();
    let side = &mut relay.sides[from];
    for _ in 0..ROUNDS {
        if side.holds() {
            side.start += moved(sys::write(to, &buffer[side.start..side.end]))?;
            if side.holds() {
                break;
            }
        }
        if side.over {
            break;
        }
        match sys::read(side.socket.raw(), buffer) {
            Ok(0) => side.over = true,
            read => (side.start, side.end) = (0, moved(read)?),
        }
        if !side.holds() {
            break;
        }
    }
    let over = side.over && !side.holds();
    if over && !core::mem::replace(&mut relay.sides[1 - from].told, true) {
        sys::shut_down_writing(to);
    }
    Ok(())
}

/// Bytes moved; none when it has to wait.
fn moved(result: Result<usize>) -> core::result::Result<usize, Broken> {
    match result {
        Ok(n) => Ok(n),
        Err(Errno::EAGAIN) => Ok(0),
        Err(_) => Err(Broken),
    }
}

/// Watches both sides for what they are waited for.
fn watch(server: &mut Server, index: usize) -> Result<()> {
    for (which, kind) in [(OUTSIDE, Kind::Outside), (INSIDE, Kind::Inside)] {
        let relay = &server.relays.slots[index];
        let (side, other) = (&relay.sides[which], &relay.sides[1 - which]);
        let readable = if relay.connecting || side.over || side.holds() { 0 } else { sys::EPOLLIN };
        let writable = if other.holds() || (relay.connecting && which == INSIDE) { sys::EPOLLOUT } else { 0 };
        let (wanted, before) = (readable | writable, side.watched);
        let (socket, generation) = (side.socket.raw(), relay.generation);
        match (before, wanted) {
            _ if before == wanted => {}
            (0, _) => server.watch(socket, kind, index, generation, wanted)?,
            // One that is not waited for must not be watched: its hang-up would be told for ever.
            (_, 0) => sys::epoll_ctl(server.epoll.raw(), sys::EPOLL_DEL, socket, 0, 0)?,
            _ => {
                let token = Server::token(kind, index, generation);
                sys::epoll_ctl(server.epoll.raw(), sys::EPOLL_MOD, socket, wanted, token)?;
            }
        }
        server.relays.slots[index].sides[which].watched = wanted;
    }
    Ok(())
}

/// Frees a slot and gives its pages back.
fn close(server: &mut Server, index: usize) {
    for side in &server.relays.slots[index].sides {
        // A child between fork and exec may hold a copy, so closing alone would not end the watching.
        if side.watched != 0 {
            let _ = sys::epoll_ctl(server.epoll.raw(), sys::EPOLL_DEL, side.socket.raw(), 0, 0);
        }
    }
    // SAFETY: zeros are a free slot.
    server.relays.slots[index] = unsafe { core::mem::zeroed::<Relay>() };
    sys::discard(&mut server.relays.buffers.bytes_mut()[2 * index * CHUNK..][..2 * CHUNK]);
    server.relays.open -= 1;
    server.active_ns = sys::now(sys::CLOCK_BOOTTIME);
    server.timers_changed = true;
    if !server.relays.listening {
        watch_listeners(server, true);
    }
}

fn watch_listeners(server: &mut Server, listening: bool) {
    for index in 0..server.plan.ports.numbers().len() {
        let token = Server::token(Kind::Port, index, 0);
        let events = if listening { sys::EPOLLIN } else { 0 };
        let listener = server.handles.ports[index].raw();
        // It is in the set, and a change needs no memory.
        let _ = sys::epoll_ctl(server.epoll.raw(), sys::EPOLL_MOD, listener, events, token);
    }
    server.relays.listening = listening;
}
