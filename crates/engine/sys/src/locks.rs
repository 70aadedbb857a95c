//! Locks of byte ranges of a file, held by the open file and not by the process (fcntl(2), "Open file description locks").

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Locks from `start` to the end of the file, however long it grows, beside other such locks. Waits for an exclusive one to go.
///
/// # Errors
/// `EINVAL` or `ENOLCK` where the file system has no locks; `EBADF` when the file is not open for reading.
pub fn lock_shared_from(file: &File, start: u64) -> io::Result<()> {
    const TO_THE_END: u64 = 0;
    set(file, libc::F_OFD_SETLKW, libc::F_RDLCK, start, TO_THE_END)
}

/// Locks everything below `end` exclusively; false, without waiting, when another open file has a lock there.
///
/// # Errors
/// As [`lock_shared_from`]; the file must be open for writing.
pub fn try_lock_below(file: &File, end: u64) -> io::Result<bool> {
    match set(file, libc::F_OFD_SETLK, libc::F_WRLCK, 0, end) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        locked => locked.map(|()| true),
    }
}

/// Gives up this open file's locks below `end`.
///
/// # Errors
/// `ENOLCK` when the kernel cannot divide a lock.
pub fn unlock_below(file: &File, end: u64) -> io::Result<()> {
    if end == 0 { Ok(()) } else { set(file, libc::F_OFD_SETLK, libc::F_UNLCK, 0, end) }
}

/// Gives up all of this open file's locks.
///
/// # Errors
/// None that are known.
pub fn unlock(file: &File) -> io::Result<()> {
    set(file, libc::F_OFD_SETLK, libc::F_UNLCK, 0, 0)
}

/// Where the bytes of a file from `offset` on begin that are on the disk; `None` when there are none. Moves the file's own position.
///
/// # Errors
/// `EINVAL` where the file system cannot tell.
pub fn data_from(file: BorrowedFd<'_>, offset: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(offset)) {
        Err(rustix::io::Errno::NXIO) => Ok(None),
        found => Ok(Some(found?)),
    }
}

fn set(file: &File, command: i32, kind: i32, start: u64, length: u64) -> io::Result<()> {
    let number = |value: u64| i64::try_from(value).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let lock = libc::flock {
        l_type: i16::try_from(kind).expect("the kinds are 0 to 2"),
        l_whence: 0,
        l_start: number(start)?,
        l_len: number(length)?,
        l_pid: 0,
    };
    loop {
        // SAFETY: the kernel reads `lock`, which lives through the call, and keeps nothing of it.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, std::ptr::from_ref(&lock)) };
        let error = io::Error::last_os_error();
        match error.kind() {
            _ if result == 0 => return Ok(()),
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_and_keep_others_from_what_they_need() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(dir.path().join("f"))
                .unwrap()
        };
        let (first, second) = (open(), open());
        lock_shared_from(&first, 100).unwrap();
        lock_shared_from(&second, 0).unwrap();
        assert!(!try_lock_below(&first, 50).unwrap(), "the second is still there");
        unlock_below(&second, 50).unwrap();
        assert!(try_lock_below(&first, 50).unwrap());
        assert!(!try_lock_below(&first, 51).unwrap());
        drop(second);
        assert!(try_lock_below(&first, 60).unwrap());
        unlock(&first).unwrap();
        assert!(try_lock_below(&open(), 1 << 40).unwrap());
    }

    #[test]
    fn data_is_found_behind_a_hole() {
        use std::os::{fd::AsFd, unix::fs::FileExt};
        let file = tempfile::tempfile().unwrap();
        assert_eq!(data_from(file.as_fd(), 0).unwrap(), None);
        file.write_all_at(b"x", 1 << 20).unwrap();
        // A file system without holes has data from the beginning.
        assert!(matches!(data_from(file.as_fd(), 0).unwrap(), Some(0 | 0x10_0000)));
    }
}
