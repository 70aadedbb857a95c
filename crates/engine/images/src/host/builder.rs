//! Writes small trees owned by the guest's root.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::error::{FileError, failed};
use crate::ids::IdRange;
use crate::tree::beneath;

/// A tree under construction in a directory that nobody else writes to.
pub(super) struct Builder {
    root: OwnedFd,
    ids: IdRange,
}

impl Builder {
    /// Starts in the existing directory at `path` and makes it the guest root's.
    pub(super) fn new(path: &Path, ids: IdRange) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open", path))?;
        let builder = Self { root, ids };
        builder.own_directory(&builder.root, 0o755).map_err(failed("set the owner of", path))?;
        Ok(builder)
    }

    /// Makes a directory, and its parents with mode 0755; an existing one gets the mode.
    pub(super) fn directory(&self, path: impl AsRef<Path>, mode: u32) -> Result<(), FileError> {
        let path = path.as_ref();
        let directory = self.open_or_make(path)?;
        self.own_directory(&directory, mode).map_err(failed("make directory", path))
    }

    /// Writes a file of mode 0644.
    pub(super) fn file(&self, path: impl AsRef<Path>, contents: &[u8]) -> Result<(), FileError> {
        let path = path.as_ref();
        let (parent, name) = self.place(path)?;
        let write = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut file = File::from(rustix::fs::openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR)?);
            file.write_all(contents)?;
            self.own(&file)?;
            rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644)).map_err(std::io::Error::from)
        };
        write().map_err(failed("write", path))
    }

    /// Makes a symbolic link.
    pub(super) fn link(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<(), FileError> {
        let path = path.as_ref();
        let (parent, name) = self.place(path)?;
        let make = || {
            rustix::fs::symlinkat(target.as_ref(), &parent, &name)?;
            let (uid, gid) = self.root_ids();
            rustix::fs::chownat(&parent, &name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        };
        make().map_err(failed("make link", path))
    }

    /// Opens a directory of the tree.
    pub(super) fn open(&self, path: impl AsRef<Path>) -> Result<OwnedFd, FileError> {
        beneath::open_directory(&self.root, path.as_ref()).map_err(failed("open", path))
    }

    fn place(&self, path: &Path) -> Result<(OwnedFd, PathBuf), FileError> {
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        Ok((self.open_or_make(path.parent().unwrap_or(Path::new("")))?, name))
    }

    fn open_or_make(&self, path: &Path) -> Result<OwnedFd, FileError> {
        let mut current = self.open("")?;
        for part in path {
            match rustix::fs::mkdirat(&current, part, Mode::RWXU) {
                Err(Errno::EXIST) => {
                    current = beneath::open_directory(&current, part).map_err(failed("open", path))?;
                }
                made => {
                    let own = made.map_err(std::io::Error::from).and_then(|()| {
                        current = beneath::open_directory(&current, part)?;
                        self.own_directory(&current, 0o755)
                    });
                    own.map_err(failed("make directory", path))?;
                }
            }
        }
        Ok(current)
    }

    fn own_directory(&self, directory: impl AsFd, mode: u32) -> std::io::Result<()> {
        self.own(directory.as_fd())?;
        Ok(rustix::fs::fchmod(directory, Mode::from_raw_mode(mode))?)
    }

    fn own(&self, file: impl AsFd) -> std::io::Result<()> {
        let (uid, gid) = self.root_ids();
        Ok(rustix::fs::fchown(file, Some(uid), Some(gid))?)
    }

    fn root_ids(&self) -> (Uid, Gid) {
        (Uid::from_raw(self.ids.base), Gid::from_raw(self.ids.base))
    }
}
