//! Files of a sandbox, from outside it, by descriptor below its root as its processes see it.

mod hidden;
mod link;
mod list;
mod mkdir;
mod open;
mod read;
mod remove;
mod watch;
mod write;

pub(crate) use mkdir::make_directories;
pub(crate) use read::read_start;

pub use read::FileReader;
pub use watch::{FileEvent, FileEventKind, FileWatch, WatchSpec};

use crate::{engine::Engine, error::Result, id::SandboxId, store};
use bytes::Bytes;
use rustix::fs::FlockOperation;
use std::{
    ffi::OsString,
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// Regular file.
    File,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// Device, fifo, socket.
    Other,
}

/// What is known of a file; never follows a final symbolic link.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileStat {
    /// Last component.
    pub name: OsString,
    /// Full path as asked for.
    pub path: PathBuf,
    /// Kind.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Permission bits and set-id bits (07777).
    pub mode: u32,
    /// Owner id inside the sandbox.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Last change of content.
    pub modified: SystemTime,
    /// Target, for symbolic links.
    pub symlink_target: Option<OsString>,
}

/// What a written file is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// Permission, set-id and sticky bits (07777); without, those of the replaced file but for set-id bits, or 0644.
    pub mode: Option<u32>,
    /// When the content last changed; without, now.
    pub modified: Option<SystemTime>,
}

/// File operations on one running sandbox. Paths are absolute inside it, of any bytes, and every link in them is resolved inside it. `NotFound`,
/// `IsDirectory`, `NotDirectory`, `PermissionDenied`, `DirectoryNotEmpty`, `AlreadyExists` as their errno says; a device, fifo or
/// socket, and files of proc and sysfs, are `Unsupported`; a sandbox that has ended is `FailedPrecondition`.
///
/// They act as the sandbox's root does: what is made belongs to id 0 inside, and modes stop nothing. A change that began is
/// finished when its future is dropped.
#[derive(Clone, Debug)]
pub struct Files {
    engine: Engine,
    id: SandboxId,
}

impl Files {
    pub(crate) fn new(engine: &Engine, id: &SandboxId) -> Self {
        Self { engine: engine.clone(), id: id.clone() }
    }

    /// Reads `len` bytes at `offset`: fewer at the end of the file, and at most 64 MiB.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn read_at(&self, path: impl AsRef<Path>, offset: u64, len: usize) -> Result<Bytes> {
        let path = path.as_ref().to_owned();
        self.with_root(move |root| read::read_at(&root, &path, offset, len)).await
    }

    /// Reads a whole file of at most 1 GiB.
    ///
    /// # Errors
    /// As listed at [`Files`]; `ResourceExhausted` for a longer one: read it by pieces.
    pub async fn read(&self, path: impl AsRef<Path>) -> Result<Bytes> {
        let path = path.as_ref().to_owned();
        self.with_root(move |root| read::read(&root, &path)).await
    }

    /// Writes a file atomically (nameless, then put into place), making missing parents. Its owner is 0 or that of the replaced
    /// file. A link is followed. Blocks of zeros become holes.
    ///
    /// # Errors
    /// As listed at [`Files`]; `InvalidArgument` for a mode beyond 07777.
    pub async fn write(
        &self,
        path: impl AsRef<Path>,
        content: Bytes,
        attributes: FileAttributes,
    ) -> Result<()> {
        let path = path.as_ref().to_owned();
        let write = move |root: OwnedFd| {
            let mut file = write::Replacement::begin(&root, &path, attributes)?;
            file.append(&content)?;
            file.commit()
        };
        self.changing(write).await
    }

    /// Writes a file atomically from a stream of chunks: nothing is visible until the sender says the end with an empty chunk;
    /// a channel that closes before leaves nothing, and is `InvalidArgument`.
    ///
    /// # Errors
    /// As those of [`Files::write`].
    pub async fn write_from(
        &self,
        path: impl AsRef<Path>,
        chunks: tokio::sync::mpsc::Receiver<Bytes>,
        attributes: FileAttributes,
    ) -> Result<()> {
        let path = path.as_ref().to_owned();
        let dir = self.engine.inner().store.sandbox_dir(&self.id);
        let lock = move || lock_changes(&dir);
        self.with_root(move |root| write::write_stream(&root, &path, attributes, chunks, &lock)).await
    }

    /// Entries of a directory, by name.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn list(&self, path: impl AsRef<Path>) -> Result<Vec<FileStat>> {
        let path = path.as_ref().to_owned();
        self.with_root(move |root| list::list(&root, &path)).await
    }

    /// One entry.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn stat(&self, path: impl AsRef<Path>) -> Result<FileStat> {
        let path = path.as_ref().to_owned();
        self.with_root(move |root| list::stat(&root, &path)).await
    }

    /// Makes a directory of mode 0755; `parents`: also missing parents, and an existing one is fine.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn mkdir(&self, path: impl AsRef<Path>, parents: bool) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.changing(
            move |root| if parents { make_directories(&root, &path) } else { mkdir::make_one(&root, &path) },
        )
        .await
    }

    /// Makes a symbolic link, whatever its target means.
    ///
    /// # Errors
    /// As listed at [`Files`]; `AlreadyExists` for a path that exists.
    pub async fn symlink(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<()> {
        let (path, target) = (path.as_ref().to_owned(), target.as_ref().to_owned());
        self.changing(move |root| link::make_link(&root, &path, &target)).await
    }

    /// Sets permission, set-id and sticky bits of a file or a directory. A link at the end of `path` is not followed, and is
    /// `Unsupported`.
    ///
    /// # Errors
    /// As listed at [`Files`]; `InvalidArgument` for a mode beyond 07777.
    pub async fn set_mode(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.changing(move |root| link::set_mode(&root, &path, mode)).await
    }

    /// Sets when a file, a directory or a link itself last changed. A link at the end of `path` is not followed.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn set_modified(&self, path: impl AsRef<Path>, modified: SystemTime) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.changing(move |root| link::set_modified(&root, &path, modified)).await
    }

    /// Removes a file, a link, an empty directory, or with `recursive` a whole tree.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn remove(&self, path: impl AsRef<Path>, recursive: bool) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.changing(move |root| remove::remove(&root, &path, recursive)).await
    }

    /// Runs `work` on the root of the sandbox. The descriptor holds the sandbox's mounts, so it is asked for anew each time.
    async fn with_root<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(OwnedFd) -> Result<T> + Send + 'static,
    {
        self.engine.row(&self.id).await?.require_running()?;
        let root = self.engine.agent(&self.id).await?.root().await?;
        self.engine.blocking(move |_| work(open::check_root(root)?)).await
    }

    /// Like [`Self::with_root`], while no snapshot copies the file system.
    async fn changing<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(OwnedFd) -> Result<T> + Send + 'static,
    {
        let dir = self.engine.inner().store.sandbox_dir(&self.id);
        self.with_root(move |root| {
            let _lock = lock_changes(&dir)?;
            work(root)
        })
        .await
    }
}

/// Keeps snapshots away while it is held.
fn lock_changes(dir: &Path) -> Result<Option<File>> {
    store::lock_at(&dir.join("snapshot.lock"), FlockOperation::LockShared)
}
