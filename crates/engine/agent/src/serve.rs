//! Process 1 at work: one loop over everything that can happen.

use crate::clients::{self, Client, MAX_CLIENTS};
use crate::exec::{Exec, SLOTS, State};
use crate::memory::Map;
use crate::plan::Plan;
use crate::protocol::{SETUP_FD, op, reason, stage};
use crate::records::Reply;
use crate::relay::Relays;
use crate::setup::Handles;
use crate::sys::{self, Event, Fd, Result};
use crate::{end, pump, reap, relay, start, stdin, timers};

/// What a watched descriptor is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Listener = 0,
    Signals = 1,
    Timer = 2,
    Client = 3,
    Report = 4,
    Stdin = 5,
    Stdout = 6,
    Stderr = 7,
    Port = 8,
    Outside = 9,
    Inside = 10,
}

/// Everything that process 1 knows.
pub(crate) struct Server {
    pub(crate) plan: Plan,
    pub(crate) handles: Handles,
    pub(crate) epoll: Fd,
    signals: Fd,
    pub(crate) timer: Fd,
    pub(crate) clients: &'static mut [Client],
    pub(crate) execs: &'static mut [Exec],
    /// Slots of `execs` that were ever used.
    pub(crate) used: usize,
    /// Commands that live.
    pub(crate) running: usize,
    /// Last generation given to a slot.
    pub(crate) generation: u32,
    /// For moving bytes.
    pub(crate) buffer: Map,
    /// Non-zero, and large when many pages of it were touched.
    pub(crate) buffer_touched: usize,
    /// Connections to the published ports.
    pub(crate) relays: Relays,
    /// A deadline came or went.
    pub(crate) timers_changed: bool,
    /// The sandbox is being ended.
    pub(crate) ending: bool,
    /// Boot-time nanoseconds of READY.
    pub(crate) started_ns: u64,
    /// Boot-time nanoseconds of the last request or end of a command.
    pub(crate) active_ns: u64,
}

/// Tells the engine that all is ready and serves until the end.
pub(crate) fn run(plan: Plan, handles: Handles) -> ! {
    match prepare(plan, handles) {
        Ok(mut server) => serve(&mut server),
        Err(errno) => {
            // If the engine is gone nobody is left to tell.
            let _ = Reply::failed(op::READY, 0, errno, stage::RESOURCES).send(SETUP_FD, 0);
            sys::exit(1)
        }
    }
}

fn prepare(plan: Plan, handles: Handles) -> Result<Server> {
    const ALL_SIGNALS: u64 = u64::MAX;
    const SIGCHLD: u64 = 1 << (sys::SIGCHLD - 1);
    sys::set_signal_mask(ALL_SIGNALS)?;
    let now = sys::now(sys::CLOCK_BOOTTIME);
    let relays = Relays::new(!plan.ports.numbers().is_empty())?;
    let mut server = Server {
        plan,
        handles,
        epoll: sys::epoll()?,
        signals: sys::signal_fd(SIGCHLD)?,
        timer: sys::timer()?,
        // SAFETY: zeros are a client without a socket.
        clients: unsafe { Map::new(MAX_CLIENTS * size_of::<Client>())?.into_table() },
        // SAFETY: zeros are a free slot.
        execs: unsafe { Map::new(SLOTS * size_of::<Exec>())?.into_table() },
        used: 0,
        running: 0,
        generation: 0,
        buffer: Map::new(pump::CHUNK)?,
        buffer_touched: 0,
        relays,
        timers_changed: false,
        ending: false,
        started_ns: now,
        active_ns: now,
    };
    announce(&mut server)?;
    Ok(server)
}

/// Watches what is there from the start, and tells the engine.
fn announce(server: &mut Server) -> Result<()> {
    let listener = server.handles.listener.raw();
    sys::set_nonblocking(listener)?;
    for (fd, kind) in
        [(listener, Kind::Listener), (server.signals.raw(), Kind::Signals), (server.timer.raw(), Kind::Timer)]
    {
        server.watch(fd, kind, 0, 0, sys::EPOLLIN)?;
    }
    relay::listen(server)?;
    timers::check(server);
    Reply::new(op::READY, 0).send(SETUP_FD, 0)?;
    // The channel's place, and what the engine gave as 1 and 2, must never become a command's.
    (0..3).try_for_each(|standard| sys::duplicate(server.handles.null.raw(), standard))
}

fn serve(server: &mut Server) -> ! {
    const EVENTS: usize = 32;
    let mut events = [Event::default(); EVENTS];
    loop {
        let count = match sys::epoll_wait(server.epoll.raw(), &mut events, -1) {
            Ok(count) => count,
            Err(errno) => end::sandbox(server, reason::FAILED, errno.0),
        };
        for event in &events[..count] {
            dispatch(server, *event);
        }
        if server.timers_changed {
            timers::check(server);
        }
        server.forget_buffer();
    }
}

fn dispatch(server: &mut Server, event: Event) {
    let (token, events) = (event.token, event.events);
    let (kind, generation, index) = ((token >> 56) as u8, (token >> 24) as u32, (token & 0xff_ffff) as usize);
    if kind == Kind::Client as u8 {
        if server
            .clients
            .get(index)
            .is_some_and(|client| client.socket.is_some() && client.generation == generation)
        {
            clients::readable(server, index);
        }
        return;
    }
    if kind < Kind::Client as u8 {
        return dispatch_own(server, kind);
    }
    if kind >= Kind::Port as u8 {
        return relay::event(server, kind, generation, index, events);
    }
    // An event of this batch may be about a slot that an earlier one has freed.
    let current = |exec: &Exec| exec.state != State::Free && exec.generation == generation;
    if !server.execs.get(index).is_some_and(current) {
        return;
    }
    let exec = &server.execs[index];
    match kind {
        k if k == Kind::Report as u8 && exec.state == State::Starting => start::reported(server, index),
        k if k == Kind::Stdin as u8 && exec.input.pipe.is_some() => stdin::writable(server, index, events),
        k if k == Kind::Stdout as u8 && exec.output[0].pipe.is_some() => pump::readable(server, index, 0),
        k if k == Kind::Stderr as u8 && exec.output[1].pipe.is_some() => pump::readable(server, index, 1),
        _ => {}
    }
}

fn dispatch_own(server: &mut Server, kind: u8) {
    // Contents do not matter: both are looked at in full.
    let mut buffer = [0u8; 128];
    if kind == Kind::Listener as u8 {
        clients::accept(server);
    } else if kind == Kind::Signals as u8 {
        while sys::read(server.signals.raw(), &mut buffer).is_ok() {}
        reap::all(server);
    } else {
        let _ = sys::read(server.timer.raw(), &mut buffer[..8]);
        timers::check(server);
    }
}
