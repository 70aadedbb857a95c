//! System calls as safe functions.
//!
//! Numbers, flags and structures are the kernel's (`include/uapi`); each function says no more than its manual page.

mod events;
mod files;
mod identity;
mod memory;
mod mounts;
mod processes;
mod sockets;
mod terminals;

pub(crate) use events::*;
pub(crate) use files::*;
pub(crate) use identity::*;
pub(crate) use memory::*;
pub(crate) use mounts::*;
pub(crate) use processes::*;
pub(crate) use sockets::*;
pub(crate) use terminals::*;

use crate::arch::syscall;
use core::ffi::CStr;

/// An errno.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

/// Result of a system call.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

macro_rules! constants {
    ($kind:ty: $($name:ident = $value:expr),* $(,)?) => { $(pub(crate) const $name: $kind = $value;)* };
}

impl Errno {
    constants!(Errno: EPERM = Errno(1), ENOENT = Errno(2), ESRCH = Errno(3), EINTR = Errno(4), ENXIO = Errno(6), E2BIG = Errno(7), EAGAIN = Errno(11),
        EACCES = Errno(13), EEXIST = Errno(17), ENOTDIR = Errno(20), EINVAL = Errno(22), ENOTTY = Errno(25), EFBIG = Errno(27), EPIPE = Errno(32),
        ENOSYS = Errno(38), EPROTO = Errno(71), EINPROGRESS = Errno(115));
}

constants!(usize: O_WRONLY = 1, O_RDWR = 2, O_NOCTTY = 0o400, O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2_000_000, O_PATH = 0o10_000_000);
#[cfg(target_arch = "x86_64")]
pub(crate) const O_DIRECTORY: usize = 0o200_000;
#[cfg(target_arch = "aarch64")]
pub(crate) const O_DIRECTORY: usize = 0o40_000;
constants!(i32: AT_FDCWD = -100);
constants!(usize: AT_REMOVEDIR = 0x200, AT_EMPTY_PATH = 0x1000, AT_RECURSIVE = 0x8000);
constants!(u64: CLONE_PIDFD = 0x1000, CLONE_NEWNS = 0x2_0000, CLONE_NEWCGROUP = 0x200_0000, CLONE_NEWUTS = 0x400_0000,
    CLONE_NEWIPC = 0x800_0000, CLONE_NEWUSER = 0x1000_0000, CLONE_NEWPID = 0x2000_0000, CLONE_NEWNET = 0x4000_0000,
    CLONE_INTO_CGROUP = 0x2_0000_0000);
constants!(i32: SIGKILL = 9, SIGCHLD = 17);
constants!(u32: EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8);
constants!(usize: EPOLL_ADD = 1, EPOLL_DEL = 2, EPOLL_MOD = 3);
constants!(usize: PR_SET_DUMPABLE = 4, PR_SET_KEEPCAPS = 8, PR_SET_NAME = 15, PR_CAPBSET_DROP = 24, PR_SET_SECUREBITS = 28, PR_SET_NO_NEW_PRIVS = 38);
constants!(u64: MOUNT_ATTR_RDONLY = 1, MOUNT_ATTR_NOSUID = 2, MOUNT_ATTR_NODEV = 4, MOUNT_ATTR_NOEXEC = 8);
constants!(usize: CLOCK_REALTIME = 0, CLOCK_BOOTTIME = 7);
constants!(usize: RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_NPROC = 6, RLIMIT_NOFILE = 7);

/// A descriptor that closes itself. Zero is "none": the standard descriptors are never owned this way.
pub(crate) struct Fd(i32);

impl Fd {
    /// No descriptor.
    pub(crate) const NONE: Self = Self(0);

    /// Takes a descriptor over.
    pub(crate) const fn own(raw: i32) -> Self {
        Self(raw)
    }

    /// Its number.
    pub(crate) const fn raw(&self) -> i32 {
        self.0
    }

    /// True when there is one.
    pub(crate) const fn is_some(&self) -> bool {
        self.0 > 0
    }

    /// Takes it out.
    pub(crate) const fn take(&mut self) -> Self {
        core::mem::replace(self, Self::NONE)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        if self.0 > 0 {
            close(self.0);
        }
    }
}

fn check(result: isize) -> Result<usize> {
    if result < 0 { Err(Errno(-(result as i32))) } else { Ok(result as usize) }
}

fn call(number: usize, a: [usize; 6]) -> Result<usize> {
    // SAFETY: every caller in this file passes what `number` takes: pointers come from references, slices or C strings that outlive
    // the call, with their own lengths, and no call here unmaps or remaps memory that Rust knows of.
    check(unsafe { syscall(number, a) })
}

/// Repeats a call that a signal interrupted.
fn retry(number: usize, a: [usize; 6]) -> Result<usize> {
    loop {
        match call(number, a) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

fn at(fd: i32) -> usize {
    fd as isize as usize
}

fn text(path: &CStr) -> usize {
    path.as_ptr() as usize
}

fn address<T>(value: &T) -> usize {
    core::ptr::from_ref(value) as usize
}

fn address_mut<T>(value: &mut T) -> usize {
    core::ptr::from_mut(value) as usize
}

fn owned(result: Result<usize>) -> Result<Fd> {
    result.map(|raw| Fd(raw as i32))
}
