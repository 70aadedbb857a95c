//! Adding directories to a watch. Each is opened below the watched one with no link followed, watched, and only then listed, so
//! that what comes to be in it is in the list or is told.

use super::{Below, is_exhausted};
use crate::{
    error::Result,
    files::open::{failed, is_plain, locate},
    watch::Following,
};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, inotify::WatchFlags},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    sync::Arc,
};

/// Entries of one new directory that are told one by one.
const ENTRIES: usize = 8192;
/// Only below, whatever is swapped for a link meanwhile.
const BELOW: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A directory that is watched now.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) wd: i32,
    pub(super) path: Below,
    pub(super) entries: Vec<OsString>,
    /// There are more entries than are told.
    pub(super) more: bool,
}

/// What a walk came to.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Parents before what is below them.
    pub(super) found: Vec<Found>,
    /// Directories that could not be watched.
    pub(super) missed: Vec<Below>,
}

/// What it takes to add directories; cheap to clone.
///
/// It holds the sandbox's root, from which the watched directory is found again each time. A descriptor of the directory itself
/// would keep the kernel from telling that it was removed.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    root: Arc<OwnedFd>,
    base: String,
    /// Device and inode of the watched directory.
    identity: (u64, u64),
    following: Arc<Following>,
    flags: WatchFlags,
    recursive: bool,
}

impl Walk {
    /// Begins at a directory of the sandbox.
    pub(super) fn new(
        root: OwnedFd,
        base: String,
        following: Following,
        (flags, recursive): (WatchFlags, bool),
    ) -> Result<Self> {
        let identity = identity(&locate(&root, &base, true)?).map_err(|e| failed("examine", &base, e))?;
        Ok(Self { root: Arc::new(root), base, identity, following: Arc::new(following), flags, recursive })
    }

    /// The watched directory, while its path still means it.
    fn base(&self) -> rustix::io::Result<OwnedFd> {
        let base = locate(&*self.root, &self.base, true).map_err(|_| Errno::NOENT)?;
        if identity(&base)? == self.identity { Ok(base) } else { Err(Errno::NOENT) }
    }

    pub(super) fn following(&self) -> &Following {
        &self.following
    }

    /// Whether there is an entry of that path below.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.base().and_then(|base| open(&base, path, OFlags::empty())).is_ok()
    }

    /// Adds everything that is there at the beginning.
    ///
    /// # Errors
    /// `ResourceExhausted` for too many directories.
    pub(super) fn all_below(&self) -> Result<Walked> {
        let mut walked = Walked::default();
        let mut todo = vec![Below::new()];
        while let Some(path) = todo.pop() {
            if let Some(below) = self.add(path, &mut walked)? {
                todo.extend(below);
            }
        }
        Ok(walked)
    }

    /// Adds directories that came to be, with all below them.
    pub(super) fn below(&self, start: Vec<Below>) -> Walked {
        let mut walked = Walked::default();
        let mut todo: Vec<Below> = start.into_iter().rev().collect();
        while let Some(path) = todo.pop() {
            match self.add(path.clone(), &mut walked) {
                Ok(Some(below)) => todo.extend(below),
                Ok(None) => {}
                Err(error) => {
                    walked.missed.push(path);
                    // What is left to do cannot be watched either.
                    if is_exhausted(&error) {
                        walked.missed.append(&mut todo);
                    }
                }
            }
        }
        walked
    }

    /// Watches and lists one directory; gives those in it that are to be added next. `None` when it is gone or not to be watched.
    fn add(&self, path: Below, walked: &mut Walked) -> Result<Option<Vec<Below>>> {
        let directory = match self.base().and_then(|base| open(&base, &path, OFlags::DIRECTORY)) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            directory => directory.map_err(std::io::Error::from),
        };
        let directory = directory.map_err(|e| crate::Error::io("cannot open a directory to watch", e))?;
        // Directories of the kernel's own file systems change without telling.
        if !is_plain(&directory)? {
            return Ok(None);
        }
        let wd = self.following.add(&directory, self.flags)?;
        let mut found = Found { wd, path, entries: Vec::new(), more: false };
        let below = self.list(&directory, &mut found);
        walked.found.push(found);
        Ok(Some(below))
    }

    /// Lists a directory that may go away meanwhile.
    fn list(&self, directory: &OwnedFd, found: &mut Found) -> Vec<Below> {
        let mut below = Vec::new();
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = rustix::fs::open(link, flags, Mode::empty()) else { return below };
        let Ok(entries) = Dir::read_from(&folder) else { return below };
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.recursive && is_directory(&folder, &entry) {
                below.push(found.path.join(name));
            }
            if found.entries.len() < ENTRIES {
                found.entries.push(name.to_owned());
            } else {
                found.more = true;
            }
        }
        found.entries.sort();
        below
    }
}

fn identity(directory: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    rustix::fs::fstat(directory).map(|stat| (stat.st_dev, stat.st_ino))
}

fn is_directory(folder: &OwnedFd, entry: &rustix::fs::DirEntry) -> bool {
    match entry.file_type() {
        FileType::Unknown => rustix::fs::statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        kind => kind == FileType::Directory,
    }
}

fn open(base: &OwnedFd, path: &Path, kind: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
    loop {
        match rustix::fs::openat2(base, path, flags, Mode::empty(), BELOW) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}
