//! This machine's side: everything below one directory, opened component by component with no link followed.

mod content;
mod hidden;
mod target;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use openlattice::{Error, FileTime, Result};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

pub(crate) use content::{Reading, Writing};
use hidden::{Hidden, require_replaceable};

use crate::local_error;

/// Mode of a directory while it is being filled.
const FILLING: Mode = Mode::RWXU;
/// Set-user-id and set-group-id: what comes out of a sandbox must not act with the rights of whoever copied it.
pub(crate) const SET_ID: u32 = 0o6000;

/// A local directory that is copied from or to. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    root: Arc<OwnedFd>,
    /// How it was named, for errors.
    path: Arc<Path>,
}

/// What is kept of a file besides its content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meta {
    /// Permission bits, sticky and set-id bits (0o7777).
    pub(crate) mode: u32,
    pub(crate) modified: Option<FileTime>,
}

/// What an entry of a local directory is.
#[derive(Debug)]
pub(crate) enum Kind {
    File,
    Directory,
    Link { target: OsString },
    Other,
}

/// An entry of a local directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
    pub(crate) meta: Meta,
    pub(crate) size: u64,
}

impl Meta {
    fn of(stat: &rustix::fs::Stat) -> Self {
        let nanos = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        Self { mode: bits(stat.st_mode), modified: Some(FileTime::from_unix_nanos(nanos)) }
    }

    /// Sets both on a local file or directory, without set-id bits.
    fn set(self, file: impl AsFd) -> rustix::io::Result<()> {
        rustix::fs::fchmod(&file, permissions(self.mode))?;
        match self.modified {
            Some(modified) => rustix::fs::futimens(&file, &timestamps(modified)),
            None => Ok(()),
        }
    }
}

impl Local {
    /// Opens an existing directory; a link at the end of the caller's own path is followed.
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let root = rustix::fs::open(&path, flags, Mode::empty())
                .map_err(|e| local_error("open the directory", &path, e.into()))?;
            Ok(Self { root: Arc::new(root), path: path.into() })
        })
        .await
    }

    /// Opens a directory, which is made if it is missing.
    pub(crate) async fn make(path: &Path) -> Result<Self> {
        let target = path.to_owned();
        blocking(move || match rustix::fs::mkdir(&target, FILLING) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(e) => Err(local_error("make the directory", &target, e.into())),
        })
        .await?;
        Self::open(path).await
    }

    /// Runs `work` on the directory of a path below, where it may block.
    async fn at<T: Send + 'static>(
        &self,
        folder: &Path,
        what: &'static str,
        work: impl FnOnce(&OwnedFd) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (local, folder) = (self.clone(), folder.to_owned());
        blocking(move || {
            let done = local.directory(&folder).map_err(io::Error::from).and_then(|found| work(&found));
            done.map_err(|error| local_error(what, &local.path.join(&folder), error))
        })
        .await
    }

    fn directory(&self, folder: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut found = rustix::fs::openat(&self.root, ".", flags, Mode::empty())?;
        for name in folder {
            found = rustix::fs::openat(&found, name, flags, Mode::empty())?;
        }
        Ok(found)
    }

    /// Mode and time of the directory itself.
    pub(crate) async fn meta(&self) -> Result<Meta> {
        self.at(Path::new(""), "examine", |found| Ok(Meta::of(&rustix::fs::fstat(found)?))).await
    }

    /// Lists a directory, ordered by name.
    pub(crate) async fn list(&self, folder: &Path) -> Result<Vec<Entry>> {
        self.at(folder, "list", |found| {
            let mut entries = Vec::new();
            for entry in Dir::read_from(found)? {
                let name = os_name(entry?.file_name());
                if name != "." && name != ".." {
                    entries.extend(describe(found, name)?);
                }
            }
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(entries)
        })
        .await
    }

    /// Opens a regular file with its mode and time; `None` when it is one no more.
    pub(crate) async fn read(&self, folder: &Path, name: &OsStr) -> Result<Option<(Reading, Meta)>> {
        let (shown, name) = (self.path.join(folder).join(name), name.to_owned());
        self.at(folder, "read a file in", move |found| {
            let flags =
                OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let file = match rustix::fs::openat(found, &name, flags, Mode::empty()) {
                Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
                file => File::from(file?),
            };
            let stat = rustix::fs::fstat(&file)?;
            let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            Ok(regular.then(|| (Reading::new(file, shown), Meta::of(&stat))))
        })
        .await
    }

    /// Makes a directory; one that exists is used. Whether there is one now: all else that has the name stays.
    pub(crate) async fn make_directory(&self, folder: &Path, name: &OsStr) -> Result<bool> {
        let name = name.to_owned();
        self.at(folder, "make a directory in", move |found| {
            match rustix::fs::mkdirat(found, &name, FILLING) {
                Err(Errno::EXIST) => {
                    let stat = rustix::fs::statat(found, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
                }
                made => Ok(made.map(|()| true)?),
            }
        })
        .await
    }

    /// Begins a file, which gets its name at the end; `None` where something else than a regular file has it.
    pub(crate) async fn write(&self, folder: &Path, name: &OsStr) -> Result<Option<Writing>> {
        let (shown, name) = (self.path.join(folder).join(name), name.to_owned());
        self.at(folder, "write a file in", move |found| match require_replaceable(found, &name) {
            Err(Errno::EXIST) => Ok(None),
            judged => {
                judged?;
                Ok(Some(Writing::hidden(Hidden::create(found.try_clone()?, &name)?, shown)))
            }
        })
        .await
    }

    /// Makes a link; a regular file of that name is replaced. Whether it is there now: all else that has the name stays.
    pub(crate) async fn link(
        &self,
        folder: &Path,
        name: &OsStr,
        target: &OsStr,
        modified: Option<FileTime>,
    ) -> Result<bool> {
        let (name, target) = (name.to_owned(), target.to_owned());
        self.at(folder, "make a link in", move |found| {
            if !make_link(found, &name, &target)? {
                return Ok(false);
            }
            if let Some(modified) = modified {
                let times = timestamps(modified);
                rustix::fs::utimensat(found, &name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            Ok(true)
        })
        .await
    }

    /// Sets mode and time of a directory.
    pub(crate) async fn set_meta(&self, folder: &Path, meta: Meta) -> Result<()> {
        self.at(folder, "set mode and time of", move |found| Ok(meta.set(found)?)).await
    }
}

fn make_link(folder: &OwnedFd, name: &OsStr, target: &OsStr) -> rustix::io::Result<bool> {
    match rustix::fs::symlinkat(target, folder, name) {
        Err(Errno::EXIST) => {}
        made => return made.map(|()| true),
    }
    if require_replaceable(folder, name).is_ok() {
        rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
        return rustix::fs::symlinkat(target, folder, name).map(|()| true);
    }
    // The very same link may be there from a copy before.
    let there = rustix::fs::readlinkat(folder, name, Vec::new());
    Ok(there.is_ok_and(|there| os_name(&there) == target))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => {
                let text = "the runtime is shutting down";
                Err(Error::new(openlattice::ErrorKind::Internal, crate::OPERATION, text).with_source(error))
            }
        },
    }
}

fn os_name(name: &std::ffi::CStr) -> OsString {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(name.to_bytes()).to_owned()
}

fn describe(folder: &OwnedFd, name: OsString) -> io::Result<Option<Entry>> {
    let stat = match rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
        // It went away meanwhile.
        Err(Errno::NOENT) => return Ok(None),
        stat => stat?,
    };
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => {
            Kind::Link { target: os_name(&rustix::fs::readlinkat(folder, &name, Vec::new())?) }
        }
        _ => Kind::Other,
    };
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    Ok(Some(Entry { name, kind, meta: Meta::of(&stat), size }))
}

fn timestamps(modified: FileTime) -> Timestamps {
    let kept = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let last_modification = Timespec { tv_sec: modified.seconds, tv_nsec: modified.nanos.into() };
    Timestamps { last_access: kept, last_modification }
}

#[expect(clippy::useless_conversion, reason = "a mode has another width on other systems")]
fn bits(mode: rustix::fs::RawMode) -> u32 {
    u32::from(mode) & 0o7777
}

/// All but set-id bits.
#[expect(clippy::useless_conversion, reason = "a mode has another width on other systems")]
fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate((mode & 0o7777 & !SET_ID).try_into().unwrap_or_default())
}
