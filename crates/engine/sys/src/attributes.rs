//! Attributes of detached mounts (mount_setattr(2)).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

const READ_ONLY: u64 = 0x1;
const NO_SETUID: u64 = 0x2;
const NO_DEVICES: u64 = 0x4;
const IDMAP: u64 = 0x10_0000;
/// `MS_PRIVATE`: nothing that is mounted elsewhere appears in it, or the other way round.
const PRIVATE: u64 = 1 << 18;

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
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
    let userns_fd = u64::from(userns.as_raw_fd().unsigned_abs());
    set(mount, &MountAttr { set: IDMAP, userns_fd, ..MountAttr::default() })
}

/// Takes set-id bits and device nodes of a mount their effect, and with `read_only` all writing; cuts it off from what is mounted
/// elsewhere.
///
/// # Errors
/// `EINVAL` when `mount` is none, `EPERM` without `CAP_SYS_ADMIN`.
pub fn restrict(mount: BorrowedFd<'_>, read_only: bool) -> io::Result<()> {
    let read_only = if read_only { READ_ONLY } else { 0 };
    set(
        mount,
        &MountAttr { set: NO_SETUID | NO_DEVICES | read_only, propagation: PRIVATE, ..MountAttr::default() },
    )
}

fn set(mount: BorrowedFd<'_>, attr: &MountAttr) -> io::Result<()> {
    // SAFETY: the path is a C string and `attr` a structure of the given size; the kernel only reads both, during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            std::ptr::from_ref(attr),
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
        assert!(restrict(dir.as_fd(), true).is_err());
    }
}
