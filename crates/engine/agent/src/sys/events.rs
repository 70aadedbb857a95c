//! Readiness, clocks and timers.

use super::{CLOCK_BOOTTIME, Fd, O_CLOEXEC, O_NONBLOCK, Result, address, at, call, owned, retry};
use crate::arch::nr;

/// `struct epoll_event`.
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
#[derive(Clone, Copy, Default)]
pub(crate) struct Event {
    pub(crate) events: u32,
    pub(crate) token: u64,
}

pub(crate) fn epoll() -> Result<Fd> {
    owned(call(nr::EPOLL_CREATE1, [O_CLOEXEC, 0, 0, 0, 0, 0]))
}

pub(crate) fn epoll_ctl(epoll: i32, operation: usize, fd: i32, events: u32, token: u64) -> Result<()> {
    let event = Event { events, token };
    call(nr::EPOLL_CTL, [at(epoll), operation, at(fd), address(&event), 0, 0]).map(drop)
}

/// Waits up to `timeout_ms` (-1: for ever).
pub(crate) fn epoll_wait(epoll: i32, events: &mut [Event], timeout_ms: i32) -> Result<usize> {
    retry(nr::EPOLL_PWAIT, [at(epoll), events.as_mut_ptr() as usize, events.len(), at(timeout_ms), 0, 8])
}

/// Nanoseconds of a clock.
pub(crate) fn now(clock: usize) -> u64 {
    let mut time = [0u64; 2];
    let _ = call(nr::CLOCK_GETTIME, [clock, time.as_mut_ptr() as usize, 0, 0, 0, 0]);
    time[0].saturating_mul(1_000_000_000).saturating_add(time[1])
}

/// A timer on the boot-time clock.
pub(crate) fn timer() -> Result<Fd> {
    owned(call(nr::TIMERFD_CREATE, [CLOCK_BOOTTIME, O_NONBLOCK | O_CLOEXEC, 0, 0, 0, 0]))
}

/// Arms a timer for an absolute time in nanoseconds.
pub(crate) fn arm(timer: i32, at_ns: u64) {
    const ABSOLUTE: usize = 1;
    let value = [0u64, 0, at_ns / 1_000_000_000, at_ns % 1_000_000_000];
    let _ = call(nr::TIMERFD_SETTIME, [at(timer), ABSOLUTE, value.as_ptr() as usize, 0, 0, 0]);
}
