//! Files, pipes and directories.

use super::{
    AT_EMPTY_PATH, AT_REMOVEDIR, Errno, Fd, O_CLOEXEC, O_NONBLOCK, O_PATH, Result, address, address_mut, at, call,
    owned, retry, text,
};
use crate::arch::nr;
use core::ffi::CStr;

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

/// Where the bytes of a file begin that are on the disk; 0 where the file system cannot tell. `None`: there are none at all.
pub(crate) fn first_data(fd: i32) -> Option<u64> {
    const SEEK_DATA: usize = 3;
    match call(nr::LSEEK, [at(fd), 0, SEEK_DATA, 0, 0, 0]) {
        Err(Errno::ENXIO) => None,
        first => Some(first.unwrap_or(0) as u64),
    }
}

/// `struct flock`.
#[repr(C)]
struct Lock {
    kind: i16,
    whence: i16,
    start: u64,
    len: u64,
    pid: i32,
}

/// Where the first range begins that others have locked below `end`; some range, when there are several.
pub(crate) fn locked_below(fd: i32, end: u64) -> Option<u64> {
    const F_OFD_GETLK: usize = 36;
    const F_WRLCK: i16 = 1;
    const F_UNLCK: i16 = 2;
    let mut lock = Lock { kind: F_WRLCK, whence: 0, start: 0, len: end, pid: 0 };
    call(nr::FCNTL, [at(fd), F_OFD_GETLK, address_mut(&mut lock), 0, 0, 0]).ok()?;
    (lock.kind != F_UNLCK).then_some(lock.start)
}

/// Takes `len` bytes from `start` on off the disk; they read as zeros, and the file stays as long as it is.
pub(crate) fn punch(fd: i32, start: u64, len: u64) -> Result<()> {
    const KEEP_SIZE_PUNCH_HOLE: usize = 1 | 2;
    retry(nr::FALLOCATE, [at(fd), KEEP_SIZE_PUNCH_HOLE, start as usize, len as usize, 0, 0]).map(drop)
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

/// Another descriptor for the same open file; closed by exec.
pub(crate) fn copy(fd: i32) -> Result<Fd> {
    const F_DUPFD_CLOEXEC: usize = 1030;
    const FIRST: usize = 3;
    owned(call(nr::FCNTL, [at(fd), F_DUPFD_CLOEXEC, FIRST, 0, 0, 0]))
}

/// Gives a file to a user; its group stays.
pub(crate) fn set_owner(fd: i32, uid: u32) -> Result<()> {
    const SAME: usize = u32::MAX as usize;
    call(nr::FCHOWN, [at(fd), uid as usize, SAME, 0, 0, 0]).map(drop)
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
