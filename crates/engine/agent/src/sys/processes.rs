//! Processes and signals.

use super::{
    CLONE_INTO_CGROUP, Errno, Fd, O_CLOEXEC, O_NONBLOCK, Result, SIGCHLD, address, address_mut, at, call,
    check, owned, retry, text,
};
use crate::arch::{nr, syscall};
use core::ffi::CStr;

pub(crate) fn exit(code: i32) -> ! {
    loop {
        let _ = call(nr::EXIT_GROUP, [at(code), 0, 0, 0, 0, 0]);
    }
}

#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks with namespaces; `None` in the child. `pidfd` is set when `flags` has `CLONE_PIDFD`, `cgroup` used with `CLONE_INTO_CGROUP`.
pub(crate) fn clone(flags: u64, pidfd: &mut i32, cgroup: i32) -> Result<Option<i32>> {
    let args = CloneArgs {
        flags,
        pidfd: address_mut(pidfd) as u64,
        exit_signal: SIGCHLD as u64,
        cgroup: cgroup as u64,
        ..CloneArgs::default()
    };
    let pid = call(nr::CLONE3, [address(&args), size_of::<CloneArgs>(), 0, 0, 0, 0])?;
    Ok(if pid == 0 { None } else { Some(pid as i32) })
}

/// Forks.
pub(crate) fn fork(cgroup: Option<i32>) -> Result<Option<i32>> {
    let flags = if cgroup.is_some() { CLONE_INTO_CGROUP } else { 0 };
    clone(flags, &mut 0, cgroup.unwrap_or(0))
}

pub(crate) fn unshare(flags: u64) -> Result<()> {
    call(nr::UNSHARE, [flags as usize, 0, 0, 0, 0, 0]).map(drop)
}

/// Reaps one ended child: its pid and wait status.
pub(crate) fn reap() -> Result<Option<(i32, i32)>> {
    const WNOHANG: usize = 1;
    const ALL_KINDS: usize = 0x4000_0000;
    let mut status = 0i32;
    let pid = retry(nr::WAIT4, [usize::MAX, address_mut(&mut status), WNOHANG | ALL_KINDS, 0, 0, 0])?;
    Ok(if pid == 0 { None } else { Some((pid as i32, status)) })
}

/// Waits for a child (-1: any) to end: its pid and wait status.
pub(crate) fn wait(pid: i32) -> Result<(i32, i32)> {
    const ALL_KINDS: usize = 0x4000_0000;
    let mut status = 0i32;
    let pid = retry(nr::WAIT4, [at(pid), address_mut(&mut status), ALL_KINDS, 0, 0, 0])?;
    Ok((pid as i32, status))
}

pub(crate) fn kill(pid: i32, signal: i32) -> Result<()> {
    call(nr::KILL, [at(pid), at(signal), 0, 0, 0, 0]).map(drop)
}

pub(crate) fn setsid() {
    // Fails only for a process group leader, which is one of its own session already.
    let _ = call(nr::SETSID, [0; 6]);
}

/// Blocks the signals of `mask` (bit n-1 for signal n) and no others.
pub(crate) fn set_signal_mask(mask: u64) -> Result<()> {
    const SIG_SETMASK: usize = 2;
    call(nr::RT_SIGPROCMASK, [SIG_SETMASK, address(&mask), 0, 8, 0, 0]).map(drop)
}

/// Sets every signal back to its default action.
pub(crate) fn default_signals() {
    let action = [0u64; 4];
    for signal in 1..=64 {
        // SIGKILL and SIGSTOP refuse, rightly.
        let _ = call(nr::RT_SIGACTION, [signal, address(&action), 0, 8, 0, 0]);
    }
}

/// A descriptor that is readable while one of the signals of `mask` is pending.
pub(crate) fn signal_fd(mask: u64) -> Result<Fd> {
    owned(call(nr::SIGNALFD4, [usize::MAX, address(&mask), 8, O_NONBLOCK | O_CLOEXEC, 0, 0]))
}

/// Replaces the program; returns only when that fails.
///
/// # Safety
/// `argv` and `envp` must be null-terminated arrays of C strings.
pub(crate) unsafe fn execve(path: &CStr, argv: *const usize, envp: *const usize) -> Errno {
    // SAFETY: forwarded to the caller.
    match check(unsafe { syscall(nr::EXECVE, [text(path), argv as usize, envp as usize, 0, 0, 0]) }) {
        Err(errno) => errno,
        Ok(_) => Errno::EINVAL,
    }
}
