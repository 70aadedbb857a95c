//! Holding a command up for a reader of its output that is behind, as a full pipe would; see `protocol::readers`.

use crate::exec::Stream;
use crate::protocol::readers::GRACE_NS;
use crate::serve::{Kind, Server};
use crate::sys;

/// Most bytes between two looks at a spool that nobody reads.
const STRIDE: u64 = 1 << 20;
/// Times between two looks for a reader that moves and for one that stands still, in nanoseconds.
const LOOKS: (u64, u64) = (1_000_000, 250_000_000);
/// The two outputs.
const KINDS: [Kind; 2] = [Kind::Stdout, Kind::Stderr];

/// How much of an output is kept, and when its readers are waited for.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Bounds {
    /// Most bytes on disk that nobody reads.
    pub(crate) quota: u64,
    /// Bytes on disk from which on readers are waited for; `u64::MAX` = never.
    pub(crate) window: u64,
    /// How long for one that does not move, below the quota.
    pub(crate) patience_ns: u64,
}

/// What is known of the readers of a spool. Zeros are "never looked".
#[repr(C)]
pub(crate) struct Readers {
    /// Boot-time nanoseconds at which one was there, or could be expected.
    seen_ns: u64,
    /// Boot-time nanoseconds at which the last one of them moved.
    moved_ns: u64,
    /// Where that one was.
    at: u64,
    /// When to look next, while the pipe is not watched; 0: it is watched.
    look_ns: u64,
}

impl Readers {
    /// Never looked.
    pub(crate) const NONE: Self = Self { seen_ns: 0, moved_ns: 0, at: 0, look_ns: 0 };

    /// Looks; true when somebody is to be waited for. One that has read all `len` bytes keeps up, and frees them in a moment or never.
    fn hold(&mut self, spool: &sys::Fd, len: u64, full: bool, patience_ns: u64) -> bool {
        let now = sys::now(sys::CLOCK_BOOTTIME);
        if self.seen_ns == 0 {
            (self.seen_ns, self.moved_ns) = (now, now);
        }
        if let Some(at) = last_reader(spool) {
            self.seen_ns = now;
            if self.at != at {
                (self.at, self.moved_ns) = (at, now);
            }
        }
        let stands = now - self.moved_ns;
        let (waits, behind) = (stands < patience_ns, self.at < len);
        let wanted = if full { waits || behind } else { waits && behind };
        let hold = wanted && now - self.seen_ns < GRACE_NS;
        self.look_ns = if hold { now + (stands / 8).clamp(LOOKS.0, LOOKS.1) } else { 0 };
        hold
    }
}

/// Where the reader is that is furthest behind.
fn last_reader(spool: &sys::Fd) -> Option<u64> {
    /// Each front reads with a few; more than that are somebody's nonsense.
    const MOST: usize = 64;
    const WHOLE_FILE: u64 = 0;
    let mut last = sys::locked_below(spool.raw(), WHOLE_FILE)?;
    for _ in 0..MOST {
        match sys::locked_below(spool.raw(), last) {
            Some(at) if last > 0 => last = at,
            _ => break,
        }
    }
    Some(last)
}

/// Bytes that may be taken from a pipe now, at most `most`; `None`: a reader is waited for. Past the quota all may be taken, to be dropped.
pub(crate) fn room(stream: &mut Stream, bounds: &Bounds, most: usize) -> Option<usize> {
    if stream.dropped > 0 || !stream.spool.is_some() {
        return Some(most);
    }
    if stream.room == 0 {
        stream.room = look(stream, bounds)?;
    }
    Some(match usize::try_from(stream.room) {
        Ok(room @ 1..) => most.min(room),
        _ => most,
    })
}

/// Bytes that the spool may take before the next look: none when it is full for good. `None`: a reader is waited for.
fn look(stream: &mut Stream, bounds: &Bounds) -> Option<u64> {
    let first = sys::first_data(stream.spool.raw()).unwrap_or(stream.len);
    let kept = stream.len.saturating_sub(first);
    let free = bounds.window.min(bounds.quota).saturating_sub(kept);
    if free > 0 {
        return Some(free);
    }
    let left = bounds.quota.saturating_sub(kept);
    let waits = bounds.window != u64::MAX;
    if waits && stream.readers.hold(&stream.spool, stream.len, left == 0, bounds.patience_ns) {
        return None;
    }
    Some(left.min(STRIDE))
}

/// Stops watching a pipe until a look finds room. (The end of a pipe is told whatever it is watched for, so it leaves the set.)
pub(crate) fn hold(server: &mut Server, index: usize, which: usize) {
    let pipe = server.execs[index].output[which].pipe.raw();
    let _ = sys::epoll_ctl(server.epoll.raw(), sys::EPOLL_DEL, pipe, 0, 0);
    server.timers_changed = true;
}

/// Watches the pipes again for whose spools there is room now.
pub(crate) fn look_again(server: &mut Server, now: u64) {
    for index in 0..server.used {
        for which in 0..KINDS.len() {
            let exec = &mut server.execs[index];
            let stream = &mut exec.output[which];
            let due = (1..=now).contains(&stream.readers.look_ns);
            if due && stream.pipe.is_some() && room(stream, &exec.bounds, 1).is_some() {
                watch(server, index, which);
            }
        }
    }
}

/// Watches a pipe that was left alone. Without memory for that the next look tries again.
fn watch(server: &mut Server, index: usize, which: usize) {
    let exec = &server.execs[index];
    let pipe = exec.output[which].pipe.raw();
    let watched = server.watch(pipe, KINDS[which], index, exec.generation, sys::EPOLLIN);
    server.execs[index].output[which].readers.look_ns = match watched {
        Ok(()) => 0,
        Err(_) => sys::now(sys::CLOCK_BOOTTIME) + LOOKS.1,
    };
}

/// When the next look is due; 0: nobody is held up.
pub(crate) fn next_look(server: &Server) -> u64 {
    let streams = server.execs[..server.used].iter().flat_map(|exec| &exec.output);
    let held = streams.filter(|stream| stream.pipe.is_some()).map(|stream| stream.readers.look_ns);
    held.filter(|at| *at != 0).min().unwrap_or(0)
}

/// Watches both pipes of a command that has ended: what others write there is read and dropped.
pub(crate) fn release(server: &mut Server, index: usize) {
    for which in 0..KINDS.len() {
        let stream = &server.execs[index].output[which];
        if stream.pipe.is_some() && stream.readers.look_ns != 0 {
            watch(server, index, which);
        }
    }
}
