//! What process 1 knows, kept in order: watched descriptors, slots of commands, fronts.

use crate::exec::{Exec, State, Waiter};
use crate::records::Reply;
use crate::serve::{Kind, Server};
use crate::sys::{self, Fd, Result};
use crate::{cgroup, hold, stdin};

impl Server {
    /// Watches a descriptor.
    pub(crate) fn watch(
        &self,
        fd: i32,
        kind: Kind,
        index: usize,
        generation: u32,
        events: u32,
    ) -> Result<()> {
        sys::epoll_ctl(self.epoll.raw(), sys::EPOLL_ADD, fd, events, Self::token(kind, index, generation))
    }

    /// What an event of a descriptor carries.
    pub(crate) fn token(kind: Kind, index: usize, generation: u32) -> u64 {
        (kind as u64) << 56 | u64::from(generation) << 24 | index as u64
    }

    /// Changes what is watched for.
    pub(crate) fn rewatch(&mut self, index: usize, kind: Kind, events: u32) {
        let token = Self::token(kind, index, self.execs[index].generation);
        let fd = self.slot(index, kind).raw();
        // It is in the set, and a change needs no memory.
        let _ = sys::epoll_ctl(self.epoll.raw(), sys::EPOLL_MOD, fd, events, token);
    }

    /// Stops watching a descriptor of a command and closes it. (A child between fork and exec may hold a copy, so closing alone
    /// would not end the watching.)
    pub(crate) fn unwatch(&mut self, index: usize, kind: Kind) {
        let epoll = self.epoll.raw();
        let fd = self.slot(index, kind).take();
        if fd.is_some() {
            let _ = sys::epoll_ctl(epoll, sys::EPOLL_DEL, fd.raw(), 0, 0);
        }
    }

    fn slot(&mut self, index: usize, kind: Kind) -> &mut Fd {
        let exec = &mut self.execs[index];
        match kind {
            Kind::Stdin => &mut exec.input.pipe,
            Kind::Stdout => &mut exec.output[0].pipe,
            Kind::Stderr => &mut exec.output[1].pipe,
            _ => &mut exec.report,
        }
    }

    /// A command by id, also one that lingers.
    pub(crate) fn find(&self, id: &[u8]) -> Option<usize> {
        self.execs[..self.used].iter().position(|exec| exec.state != State::Free && exec.id() == id)
    }

    /// A living command by its pid.
    pub(crate) fn find_pid(&self, pid: i32) -> Option<usize> {
        self.execs[..self.used].iter().position(|exec| exec.pid == pid && exec.lives())
    }

    /// A slot for a new command; when all are taken, the one that has lingered longest gives way.
    pub(crate) fn free_slot(&mut self) -> Option<usize> {
        if let Some(index) = self.execs[..self.used].iter().position(|exec| exec.state == State::Free) {
            return Some(index);
        }
        if self.used < self.execs.len() {
            return Some(self.used);
        }
        let lingering = self.execs.iter().enumerate().filter(|(_, exec)| exec.state == State::Lingering);
        let index = lingering.min_by_key(|(_, exec)| exec.started_ns)?.0;
        self.release(index);
        Some(index)
    }

    /// Puts a new command into a slot.
    pub(crate) fn adopt(&mut self, index: usize, exec: Exec) {
        self.generation = self.generation.wrapping_add(1);
        self.execs[index] = Exec { generation: self.generation, ..exec };
        self.used = self.used.max(index + 1);
        self.running += 1;
    }

    /// A command has ended and is recorded: keeps only what others may still hold.
    pub(crate) fn retire(&mut self, index: usize) {
        self.unwatch(index, Kind::Stdin);
        self.unwatch(index, Kind::Report);
        if self.execs[index].terminal.take().is_some() {
            // It ends with its command, which hangs up whoever was left at it.
            self.unwatch(index, Kind::Stdout);
        }
        hold::release(self, index);
        let exec = &mut self.execs[index];
        exec.state = State::Lingering;
        exec.status.take();
        stdin::forget_all(&mut exec.input);
        exec.input.spool.take();
        exec.output.iter_mut().for_each(|stream| drop(stream.spool.take()));
        self.running -= 1;
        self.active_ns = sys::now(sys::CLOCK_BOOTTIME);
        self.timers_changed = true;
        self.settle(index);
    }

    /// Frees the slot of an ended command once nobody that it left behind needs it: its group is empty, or, without groups, its
    /// pipes are closed.
    pub(crate) fn settle(&mut self, index: usize) {
        let exec = &mut self.execs[index];
        if exec.state != State::Lingering {
            return;
        }
        let over = match exec.cgroup.is_some() {
            true => exec_group_gone(&self.handles.work, exec),
            false => exec.output.iter().all(|stream| !stream.pipe.is_some()),
        };
        if over {
            self.release(index);
        }
    }

    /// Frees a slot and what it holds.
    pub(crate) fn release(&mut self, index: usize) {
        for kind in [Kind::Report, Kind::Stdin, Kind::Stdout, Kind::Stderr] {
            self.unwatch(index, kind);
        }
        if self.execs[index].lives() {
            self.running -= 1;
            self.timers_changed = true;
        }
        // Processes that are left keep the group; the engine removes it with the sandbox.
        exec_group_gone(&self.handles.work, &mut self.execs[index]);
        // SAFETY: zeros are a free slot.
        let free = unsafe { core::mem::zeroed::<Exec>() };
        self.execs[index] = free;
    }

    /// Sends a reply, if the front is still the same; one that does not take it is dropped.
    pub(crate) fn reply(&mut self, waiter: Waiter, reply: &Reply) {
        let index = waiter.client as usize;
        let client = &self.clients[index];
        if client.socket.is_some() && client.generation == waiter.generation {
            let sent = reply.send(client.socket.raw(), 0);
            if sent.is_err() {
                self.drop_client(index);
            }
        }
    }

    /// Forgets a front.
    pub(crate) fn drop_client(&mut self, index: usize) {
        let socket = self.clients[index].socket.take();
        let _ = sys::epoll_ctl(self.epoll.raw(), sys::EPOLL_DEL, socket.raw(), 0, 0);
    }

    /// Gives the pages of a buffer back that was used in full, once nothing runs.
    pub(crate) fn forget_buffer(&mut self) {
        const FEW: usize = 8 << 10;
        if self.running == 0 && self.buffer_touched > FEW {
            self.buffer.discard();
            self.buffer_touched = 0;
        }
    }
}

/// Removes the group of a command; true when there was one and nobody is left in it.
fn exec_group_gone(work: &Fd, exec: &mut Exec) -> bool {
    if !exec.cgroup.is_some() || !cgroup::remove(work, exec.id()) {
        return false;
    }
    exec.cgroup.take();
    true
}
