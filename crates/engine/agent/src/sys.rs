//! System calls as safe functions.
//!
//! Numbers, flags and structures are the kernel's (`include/uapi`); each function says no more than its manual page.

use crate::arch::{nr, syscall};
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
    constants!(Errno: EPERM = Errno(1), ENOENT = Errno(2), ESRCH = Errno(3), EINTR = Errno(4), E2BIG = Errno(7), EAGAIN = Errno(11),
        EACCES = Errno(13), EEXIST = Errno(17), ENOTDIR = Errno(20), EINVAL = Errno(22), EPIPE = Errno(32),
        ENOSYS = Errno(38), EPROTO = Errno(71), EINPROGRESS = Errno(115));
}

constants!(usize: O_WRONLY = 1, O_RDWR = 2, O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2_000_000, O_PATH = 0o10_000_000);
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
constants!(usize: PR_SET_DUMPABLE = 4, PR_SET_KEEPCAPS = 8, PR_SET_NAME = 15, PR_CAPBSET_DROP = 24, PR_SET_NO_NEW_PRIVS = 38);
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

// Files ----------------------------------------------------------------------------------------------------------------------------

pub(crate) fn read(fd: i32, buffer: &mut [u8]) -> Result<usize> {
    retry(nr::READ, [at(fd), buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0])
}

pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize> {
    retry(nr::WRITE, [at(fd), bytes.as_ptr() as usize, bytes.len(), 0, 0, 0])
}

pub(crate) fn pread(fd: i32, buffer: &mut [u8], offset: u64) -> Result<usize> {
    retry(nr::PREAD64, [at(fd), buffer.as_mut_ptr() as usize, buffer.len(), offset as usize, 0, 0])
}

pub(crate) fn pwrite(fd: i32, bytes: &[u8], offset: u64) -> Result<usize> {
    retry(nr::PWRITE64, [at(fd), bytes.as_ptr() as usize, bytes.len(), offset as usize, 0, 0])
}

pub(crate) fn close(fd: i32) {
    // The descriptor is gone whatever close says; nothing buffered is lost for the files that the agent writes.
    let _ = call(nr::CLOSE, [at(fd), 0, 0, 0, 0, 0]);
}

/// Closes `first..=last`.
pub(crate) fn close_range(first: i32, last: u32) -> Result<()> {
    call(nr::CLOSE_RANGE, [at(first), last as usize, 0, 0, 0, 0]).map(drop)
}

/// Opens below `dir`; always close-on-exec.
pub(crate) fn open(dir: i32, path: &CStr, flags: usize) -> Result<Fd> {
    owned(retry(nr::OPENAT, [at(dir), text(path), flags | O_CLOEXEC, 0, 0, 0]))
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// Opens `path` as `dir` were the root, following no link at all. `O_PATH` and close-on-exec are added.
pub(crate) fn open_in_root(dir: i32, path: &CStr, flags: usize) -> Result<Fd> {
    const NO_MAGICLINKS: u64 = 2;
    const NO_SYMLINKS: u64 = 4;
    const IN_ROOT: u64 = 0x10;
    let how = OpenHow {
        flags: (flags | O_PATH | O_CLOEXEC) as u64,
        mode: 0,
        resolve: NO_MAGICLINKS | NO_SYMLINKS | IN_ROOT,
    };
    owned(retry(nr::OPENAT2, [at(dir), text(path), address(&how), size_of::<OpenHow>(), 0, 0]))
}

pub(crate) fn mkdir(dir: i32, path: &CStr, mode: usize) -> Result<()> {
    call(nr::MKDIRAT, [at(dir), text(path), mode, 0, 0, 0]).map(drop)
}

pub(crate) fn rmdir(dir: i32, path: &CStr) -> Result<()> {
    call(nr::UNLINKAT, [at(dir), text(path), AT_REMOVEDIR, 0, 0, 0]).map(drop)
}

/// What `statx` says that the agent needs.
pub(crate) struct Stat {
    /// Type and permission bits.
    pub(crate) mode: u16,
    /// Device number of a device node.
    pub(crate) device: (u32, u32),
    /// Bytes.
    pub(crate) size: u64,
}

pub(crate) fn stat(fd: i32) -> Result<Stat> {
    const TYPE_MODE_SIZE: usize = 0x203;
    let mut raw = [0u32; 64];
    call(nr::STATX, [at(fd), text(c""), AT_EMPTY_PATH, TYPE_MODE_SIZE, raw.as_mut_ptr() as usize, 0])?;
    // struct statx: mode is the u16 at byte 28, size the u64 at 40, rdev major and minor the u32s at 128 and 132.
    Ok(Stat {
        mode: raw[7] as u16,
        device: (raw[32], raw[33]),
        size: u64::from(raw[10]) | u64::from(raw[11]) << 32,
    })
}

/// Makes later reads and writes fail with `EAGAIN` instead of waiting.
pub(crate) fn set_nonblocking(fd: i32) -> Result<()> {
    const F_SETFL: usize = 4;
    call(nr::FCNTL, [at(fd), F_SETFL, O_NONBLOCK, 0, 0, 0]).map(drop)
}

/// Bytes that wait in a pipe.
pub(crate) fn waiting(fd: i32) -> Result<usize> {
    const FIONREAD: usize = 0x541b;
    let mut bytes = 0i32;
    call(nr::IOCTL, [at(fd), FIONREAD, address_mut(&mut bytes), 0, 0, 0])?;
    Ok(bytes as usize)
}

pub(crate) fn pipe() -> Result<(Fd, Fd)> {
    let mut ends = [0i32; 2];
    call(nr::PIPE2, [ends.as_mut_ptr() as usize, O_CLOEXEC, 0, 0, 0, 0])?;
    Ok((Fd(ends[0]), Fd(ends[1])))
}

/// Makes `to` a copy of `from` that survives exec; the same number stays as it is.
pub(crate) fn duplicate(from: i32, to: i32) -> Result<()> {
    call(nr::DUP3, [at(from), at(to), 0, 0, 0, 0]).map(drop)
}

/// Makes `to` a copy of `from` that is closed by exec.
pub(crate) fn duplicate_cloexec(from: i32, to: i32) -> Result<()> {
    call(nr::DUP3, [at(from), at(to), O_CLOEXEC, 0, 0, 0]).map(drop)
}

pub(crate) fn chdir(path: &CStr) -> Result<()> {
    call(nr::CHDIR, [text(path), 0, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn fchdir(fd: i32) -> Result<()> {
    call(nr::FCHDIR, [at(fd), 0, 0, 0, 0, 0]).map(drop)
}

/// True when the working directory lies below the root (the kernel names one outside `(unreachable)…`).
pub(crate) fn cwd_is_reachable() -> Result<bool> {
    let mut buffer = [0u8; 4096];
    call(nr::GETCWD, [buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0, 0])?;
    Ok(buffer[0] == b'/')
}

pub(crate) fn umask(mask: usize) {
    let _ = call(nr::UMASK, [mask, 0, 0, 0, 0, 0]);
}

// Memory ---------------------------------------------------------------------------------------------------------------------------

pub(crate) fn map_anonymous(len: usize) -> Result<usize> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    call(nr::MMAP, [0, len, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0])
}

/// Ends a mapping that [`map_anonymous`] made; only `Map::drop` calls it.
pub(crate) fn unmap(start: usize, len: usize) {
    let _ = call(nr::MUNMAP, [start, len, 0, 0, 0, 0]);
}

/// Gives the pages of an anonymous mapping back.
pub(crate) fn discard(region: &mut [u8]) {
    const MADV_DONTNEED: usize = 4;
    let _ = call(nr::MADVISE, [region.as_mut_ptr() as usize, region.len(), MADV_DONTNEED, 0, 0, 0]);
}

// Processes and signals ------------------------------------------------------------------------------------------------------------

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

// Identity -------------------------------------------------------------------------------------------------------------------------

pub(crate) fn set_groups(groups: &[u32]) -> Result<()> {
    call(nr::SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn set_gid(gid: u32) -> Result<()> {
    let gid = gid as usize;
    call(nr::SETRESGID, [gid, gid, gid, 0, 0, 0]).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> Result<()> {
    let uid = uid as usize;
    call(nr::SETRESUID, [uid, uid, uid, 0, 0, 0]).map(drop)
}

/// Sets the permitted and the effective capabilities; the inheritable ones become none.
pub(crate) fn set_capabilities(permitted: u64, effective: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let data = [effective as u32, permitted as u32, 0, (effective >> 32) as u32, (permitted >> 32) as u32, 0];
    call(nr::CAPSET, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

/// A `prctl` that takes numbers only.
pub(crate) fn prctl(option: usize, value: usize) -> Result<usize> {
    call(nr::PRCTL, [option, value, 0, 0, 0, 0])
}

/// Names the process.
pub(crate) fn set_name(name: &CStr) {
    let _ = call(nr::PRCTL, [PR_SET_NAME, text(name), 0, 0, 0, 0]);
}

/// Joins a new session keyring.
pub(crate) fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION: usize = 1;
    call(nr::KEYCTL, [JOIN_SESSION, 0, 0, 0, 0, 0]).map(drop)
}

/// Sets the soft and the hard limit, or what comes nearest where the host's root may not raise limits (no `CAP_SYS_RESOURCE`).
pub(crate) fn set_limit(resource: usize, soft: u64, hard: u64) -> Result<()> {
    match limit(resource, [soft, hard]) {
        Err(Errno::EPERM) => {
            let mut now = [0u64; 2];
            call(nr::PRLIMIT64, [0, resource, 0, now.as_mut_ptr() as usize, 0, 0])?;
            limit(resource, [soft.min(now[1]), hard.min(now[1])])
        }
        other => other,
    }
}

fn limit(resource: usize, values: [u64; 2]) -> Result<()> {
    call(nr::PRLIMIT64, [0, resource, values.as_ptr() as usize, 0, 0, 0]).map(drop)
}

/// Installs a filter of `struct sock_filter[]`.
pub(crate) fn seccomp(filter: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        len: u16,
        filter: usize,
    }
    let len = u16::try_from(filter.len() / 8).map_err(|_| Errno::E2BIG)?;
    let program = Program { len, filter: filter.as_ptr() as usize };
    call(nr::SECCOMP, [SET_MODE_FILTER, 0, address(&program), 0, 0, 0]).map(drop)
}

pub(crate) fn set_hostname(name: &[u8]) -> Result<()> {
    call(nr::SETHOSTNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]).map(drop)
}

// Mounts ---------------------------------------------------------------------------------------------------------------------------

/// Makes every mount of this namespace private.
pub(crate) fn make_mounts_private() -> Result<()> {
    const REC_PRIVATE: usize = 0x4000 | 0x4_0000;
    call(nr::MOUNT, [0, text(c"/"), 0, REC_PRIVATE, 0, 0]).map(drop)
}

pub(crate) fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    call(nr::PIVOT_ROOT, [text(new), text(old), 0, 0, 0, 0]).map(drop)
}

/// Takes the topmost mount at `path` away, with what is below it.
pub(crate) fn detach(path: &CStr) -> Result<()> {
    const MNT_DETACH: usize = 2;
    call(nr::UMOUNT2, [text(path), MNT_DETACH, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn fs_open(kind: &CStr) -> Result<Fd> {
    const FSOPEN_CLOEXEC: usize = 1;
    owned(call(nr::FSOPEN, [text(kind), FSOPEN_CLOEXEC, 0, 0, 0, 0]))
}

pub(crate) fn fs_set(fs: &Fd, key: &CStr, value: &CStr) -> Result<()> {
    const SET_STRING: usize = 1;
    call(nr::FSCONFIG, [at(fs.raw()), SET_STRING, text(key), text(value), 0, 0]).map(drop)
}

pub(crate) fn fs_flag(fs: &Fd, key: &CStr) -> Result<()> {
    const SET_FLAG: usize = 0;
    call(nr::FSCONFIG, [at(fs.raw()), SET_FLAG, text(key), 0, 0, 0]).map(drop)
}

/// Makes the file system and a detached mount of it.
pub(crate) fn fs_mount(fs: &Fd, attributes: u64) -> Result<Fd> {
    const CREATE: usize = 6;
    const FSMOUNT_CLOEXEC: usize = 1;
    call(nr::FSCONFIG, [at(fs.raw()), CREATE, 0, 0, 0, 0])?;
    owned(call(nr::FSMOUNT, [at(fs.raw()), FSMOUNT_CLOEXEC, attributes as usize, 0, 0, 0]))
}

/// A detached copy of the mount at a descriptor, from that file on.
pub(crate) fn open_tree_clone(fd: i32, flags: usize) -> Result<Fd> {
    const OPEN_TREE_CLONE: usize = 1;
    owned(call(
        nr::OPEN_TREE,
        [at(fd), text(c""), OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | flags, 0, 0, 0],
    ))
}

/// Attaches the detached mount `mount` on the file `target`.
pub(crate) fn move_mount(mount: i32, target: i32) -> Result<()> {
    const BOTH_EMPTY: usize = 0x4 | 0x40;
    call(nr::MOVE_MOUNT, [at(mount), text(c""), at(target), text(c""), BOTH_EMPTY, 0]).map(drop)
}

/// Attaches the detached mount `mount` on the working directory.
pub(crate) fn move_mount_here(mount: i32) -> Result<()> {
    const FROM_EMPTY: usize = 0x4;
    call(nr::MOVE_MOUNT, [at(mount), text(c""), at(AT_FDCWD), text(c"."), FROM_EMPTY, 0]).map(drop)
}

/// Makes the mounts of a detached tree read-only.
pub(crate) fn make_read_only(tree: &Fd) -> Result<()> {
    let attributes = [MOUNT_ATTR_RDONLY, 0, 0, 0];
    let flags = AT_EMPTY_PATH | AT_RECURSIVE;
    call(
        nr::MOUNT_SETATTR,
        [at(tree.raw()), text(c""), flags, attributes.as_ptr() as usize, size_of_val(&attributes), 0],
    )
    .map(drop)
}

// Sockets --------------------------------------------------------------------------------------------------------------------------

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

// Events and time ------------------------------------------------------------------------------------------------------------------

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
