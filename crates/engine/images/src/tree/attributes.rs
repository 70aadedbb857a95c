//! Extended attributes, owners, modes and times.

use std::ffi::{CStr, CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;

use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

/// The attribute that hides what lies below a directory (kernel documentation, filesystems/overlayfs).
pub(crate) const OPAQUE: &CStr = c"trusted.overlay.opaque";

/// Marks that describe an upper directory's relation to its own lowers. In a layer they would be stale at best.
const UPPER_ONLY: [&CStr; 5] = [
    c"trusted.overlay.origin",
    c"trusted.overlay.impure",
    c"trusted.overlay.nlink",
    c"trusted.overlay.upper",
    c"trusted.overlay.uuid",
];

/// Owner, permission bits and time of change of one file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metadata {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) mtime: Timespec,
}

impl Metadata {
    pub(crate) fn of(stat: &Stat) -> Self {
        let mtime = Timespec {
            tv_sec: stat.st_mtime,
            tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        };
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777, mtime }
    }

    fn times(&self) -> Timestamps {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        Timestamps { last_access, last_modification: self.mtime }
    }

    /// Sets owner and then mode, since a change of owner clears the setuid bit.
    pub(crate) fn apply(&self, file: impl AsFd) -> io::Result<()> {
        rustix::fs::fchown(file.as_fd(), Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(self.mode))?;
        Ok(rustix::fs::futimens(file, &self.times())?)
    }

    /// The same for a name that must not be opened or followed: a link, a fifo, a device.
    pub(crate) fn apply_at(&self, directory: impl AsFd, name: &CStr, link: bool) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(directory.as_fd(), name, Some(uid), Some(gid), nofollow)?;
        if !link {
            rustix::fs::chmodat(directory.as_fd(), name, Mode::from_raw_mode(self.mode), AtFlags::empty())?;
        }
        Ok(rustix::fs::utimensat(directory, name, &self.times(), nofollow)?)
    }
}

/// Marks a directory as hiding the one below it.
pub(crate) fn set_opaque(directory: impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsetxattr(directory, OPAQUE, b"y", XattrFlags::empty())?)
}

/// Copies the attributes of one open file to another, less those that only an upper layer can have.
pub(crate) fn copy_attributes(source: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let mut list = vec![0; size(rustix::fs::flistxattr_query(source.as_fd()))?];
    let length = rustix::fs::flistxattr(source.as_fd(), &mut list[..])?;
    for name in kept(&list[..length]) {
        let mut value = vec![0; rustix::fs::fgetxattr_query(source.as_fd(), &name)?];
        let length = rustix::fs::fgetxattr(source.as_fd(), &name, &mut value[..])?;
        rustix::fs::fsetxattr(target.as_fd(), &name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

/// Copies the attributes of a name that cannot be opened, such as a link or a device.
pub(crate) fn copy_attributes_at(source: impl AsFd, target: impl AsFd, name: &CStr) -> io::Result<()> {
    let (from, to) = (through_proc(source, name), through_proc(target, name));
    let mut list = vec![0; size(rustix::fs::llistxattr_query(&from))?];
    let length = rustix::fs::llistxattr(&from, &mut list[..])?;
    for attribute in kept(&list[..length]) {
        let mut value = vec![0; rustix::fs::lgetxattr_query(&from, &attribute)?];
        let length = rustix::fs::lgetxattr(&from, &attribute, &mut value[..])?;
        rustix::fs::lsetxattr(&to, &attribute, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

/// `name` in the directory that a descriptor holds, for the calls that take no descriptor (before Linux 6.13).
fn through_proc(directory: impl AsFd, name: &CStr) -> OsString {
    let mut path = format!("/proc/self/fd/{}/", directory.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    OsString::from_vec(path)
}

fn size(answer: Result<usize, Errno>) -> io::Result<usize> {
    match answer {
        Err(Errno::OPNOTSUPP) => Ok(0),
        answer => Ok(answer?),
    }
}

fn kept(list: &[u8]) -> Vec<CString> {
    list.split_inclusive(|&byte| byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .filter(|name| !UPPER_ONLY.contains(name))
        .map(CStr::to_owned)
        .collect()
}
