//! `/dev`: a tmpfs with the few devices that every program may have.

use crate::{
    error::{Error, Result},
    idmap::BASE,
};
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Uid, chmodat, chownat, makedev, mkdirat, mknodat, symlinkat},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    },
};
use std::os::fd::OwnedFd;

/// Memory devices (major 1) and the terminal (5:0).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Mount points of the agent.
const DIRECTORIES: [&str; 2] = ["shm", "pts"];

/// Makes it; the devices can only be made by the host's root, so nobody inside can add others.
pub(super) fn mount() -> Result<OwnedFd> {
    try_mount().map_err(|e| Error::io("cannot make the sandbox's /dev", e))
}

fn try_mount() -> rustix::io::Result<OwnedFd> {
    let dev = mount_tmpfs()?;
    for (name, major, minor) in DEVICES {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor))?;
        // Whatever the umask took away.
        chmodat(&dev, name, mode, AtFlags::empty())?;
        give(&dev, name)?;
    }
    for name in DIRECTORIES {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
        give(&dev, name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name)?;
        give(&dev, name)?;
    }
    Ok(dev)
}

fn mount_tmpfs() -> rustix::io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let root = BASE.to_string();
    for (key, value) in
        [("mode", "0755"), ("size", "1m"), ("nr_inodes", "4096"), ("uid", &root), ("gid", &root)]
    {
        fsconfig_set_string(&fs, key, value)?;
    }
    fsconfig_create(&fs)?;
    fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )
}

/// Makes the guest's root the owner.
fn give(dev: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    chownat(dev, name, Some(Uid::from_raw(BASE)), Some(Gid::from_raw(BASE)), AtFlags::SYMLINK_NOFOLLOW)
}
