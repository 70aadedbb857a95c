//! This machine's side: everything below one directory, opened component by component with no link followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openlattice::{Bytes, Error, FileContent, Result, async_trait};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::local_error;

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Mode of a directory while it is being filled.
const FILLING: Mode = Mode::RWXU;

/// A local directory that is copied from or to. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    root: Arc<OwnedFd>,
    /// How it was named, for errors.
    path: Arc<Path>,
}

/// What an entry of a local directory is.
#[derive(Debug)]
pub(crate) enum Kind {
    File,
    Directory { mode: u32 },
    Link { target: Option<String> },
    Other,
}

/// An entry of a local directory.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
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

    /// The mode of the directory itself.
    pub(crate) async fn mode(&self) -> Result<u32> {
        self.at(Path::new(""), "examine", |found| Ok(bits(rustix::fs::fstat(found)?.st_mode))).await
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

    /// Opens a regular file with its mode; `None` when it is one no more.
    pub(crate) async fn read(&self, folder: &Path, name: &OsStr) -> Result<Option<(Reading, u32)>> {
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
            Ok(regular
                .then(|| (Reading { file: Arc::new(file), path: shown, offset: 0 }, bits(stat.st_mode))))
        })
        .await
    }

    /// Makes a directory; one that exists is used, a link to one is not.
    pub(crate) async fn make_directory(&self, folder: &Path, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.at(folder, "make a directory in", move |found| {
            match rustix::fs::mkdirat(found, &name, FILLING) {
                Err(Errno::EXIST) => {
                    let stat = rustix::fs::statat(found, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                        return Ok(());
                    }
                    Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{name:?} is in the way")))
                }
                made => Ok(made?),
            }
        })
        .await
    }

    /// Begins a file, which gets its name at the end.
    pub(crate) async fn write(&self, folder: &Path, name: &str) -> Result<Writing> {
        let (shown, name) = (self.path.join(folder).join(name), name.to_owned());
        self.at(folder, "write a file in", move |found| {
            let (file, temporary) = create(found)?;
            let folder = found.try_clone()?;
            Ok(Writing { file, folder, temporary: Some(temporary), name, path: shown })
        })
        .await
    }

    /// Makes a link; a link or file of that name is replaced.
    pub(crate) async fn link(&self, folder: &Path, name: &str, target: &str) -> Result<()> {
        let (name, target) = (name.to_owned(), target.to_owned());
        self.at(folder, "make a link in", move |found| match rustix::fs::symlinkat(&target, found, &name) {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(found, &name, AtFlags::empty())?;
                Ok(rustix::fs::symlinkat(&target, found, &name)?)
            }
            made => Ok(made?),
        })
        .await
    }

    /// Sets the permission bits of a directory.
    pub(crate) async fn set_mode(&self, folder: &Path, mode: u32) -> Result<()> {
        let mode = permissions(mode);
        self.at(folder, "set the mode of", move |found| Ok(rustix::fs::fchmod(found, mode)?)).await
    }
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
        FileType::Directory => Kind::Directory { mode: bits(stat.st_mode) },
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(folder, &name, Vec::new())?;
            Kind::Link { target: target.into_string().ok() }
        }
        _ => Kind::Other,
    };
    Ok(Some(Entry { name, kind }))
}

#[expect(clippy::useless_conversion, reason = "a mode has another width on other systems")]
fn bits(mode: rustix::fs::RawMode) -> u32 {
    u32::from(mode) & 0o777
}

/// Permission bits alone: a file from a node gets no set-id bit here.
#[expect(clippy::useless_conversion, reason = "a mode has another width on other systems")]
fn permissions(mode: u32) -> Mode {
    Mode::from_bits_truncate((mode & 0o777).try_into().unwrap_or_default())
}

/// Makes a file under a name that nobody has.
fn create(folder: &OwnedFd) -> io::Result<(File, String)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".lattice-copy-{}-{number}", std::process::id());
        match rustix::fs::openat(folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => {}
            file => return Ok((file?.into(), name)),
        }
    }
}

/// A local file that is read as content.
#[derive(Debug)]
pub(crate) struct Reading {
    file: Arc<File>,
    path: PathBuf,
    offset: u64,
}

#[async_trait]
impl FileContent for Reading {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let (file, path, offset) = (Arc::clone(&self.file), self.path.clone(), self.offset);
        let read = blocking(move || {
            let mut piece = vec![0; PIECE];
            let read = file.read_at(&mut piece, offset).map_err(|error| local_error("read", &path, error))?;
            piece.truncate(read);
            Ok(Bytes::from(piece))
        });
        let piece = read.await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// A local file that is being written; removed unless it is finished.
#[derive(Debug)]
pub(crate) struct Writing {
    file: File,
    folder: OwnedFd,
    temporary: Option<String>,
    name: String,
    path: PathBuf,
}

impl Writing {
    pub(crate) async fn append(mut self, piece: Bytes) -> Result<Self> {
        blocking(move || match self.file.write_all(&piece) {
            Ok(()) => Ok(self),
            Err(error) => Err(local_error("write", &self.path, error)),
        })
        .await
    }

    /// Sets the mode and gives the file its name, in place of what had it.
    pub(crate) async fn finish(mut self, mode: u32) -> Result<()> {
        blocking(move || {
            self.place(permissions(mode)).map_err(|e| local_error("write", &self.path, e.into()))
        })
        .await
    }

    fn place(&mut self, mode: Mode) -> rustix::io::Result<()> {
        rustix::fs::fchmod(&self.file, mode)?;
        let temporary = self.temporary.as_deref().unwrap_or_default();
        rustix::fs::renameat(self.folder.as_fd(), temporary, self.folder.as_fd(), &self.name)?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            // Nobody is left to tell.
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}
