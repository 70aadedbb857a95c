//! Mounts whose owners are translated.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Translates owners at a detached mount: what the file system calls id n appears as the host id that `userns` maps its n to.
///
/// `mount` is a mount that has never been attached (`open_tree` with `OPEN_TREE_CLONE`). See mount_setattr(2), "ID-mapped mounts"; Linux
/// 5.12, for ext4; each file system has to support it.
///
/// # Errors
/// `EINVAL` when the file system does not support it or the mount is attached, `EPERM` without `CAP_SYS_ADMIN` over the file system.
pub fn idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> io::Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
    let userns_fd = u64::from(userns.as_raw_fd().unsigned_abs());
    let attr = MountAttr { set: MOUNT_ATTR_IDMAP, clear: 0, propagation: 0, userns_fd };
    // SAFETY: the path is a C string and `attr` a structure of the given size; the kernel only reads both, during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, os::fd::AsFd};

    #[test]
    fn an_ordinary_directory_is_no_mount() {
        let dir = tempfile::tempdir().unwrap();
        let dir = File::open(dir.path()).unwrap();
        let userns = File::open("/proc/self/ns/user").unwrap();
        assert!(idmap(dir.as_fd(), userns.as_fd()).is_err());
    }
}
