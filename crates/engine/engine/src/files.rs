//! Files of a sandbox, from outside it, by descriptor below its root as its processes see it.

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
use std::{fs::File, os::fd::OwnedFd, path::Path, time::SystemTime};

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
    pub name: String,
    /// Full path as asked for.
    pub path: String,
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
    pub symlink_target: Option<String>,
}

/// File operations on one running sandbox. Paths are absolute inside it, and every link in them is resolved inside it. `NotFound`,
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
    pub async fn read_at(&self, path: &str, offset: u64, len: usize) -> Result<Bytes> {
        let path = path.to_owned();
        self.with_root(move |root| read::read_at(&root, &path, offset, len)).await
    }

    /// Reads a whole file of at most 1 GiB.
    ///
    /// # Errors
    /// As listed at [`Files`]; `ResourceExhausted` for a longer one: read it by pieces.
    pub async fn read(&self, path: &str) -> Result<Bytes> {
        let path = path.to_owned();
        self.with_root(move |root| read::read(&root, &path)).await
    }

    /// Writes a file atomically (nameless, then put into place), making missing parents. Owner 0 and the given mode or 0644, or
    /// what the replaced file has of both. A link is followed.
    ///
    /// # Errors
    /// As listed at [`Files`]; `InvalidArgument` for a mode of more than the permission bits.
    pub async fn write(&self, path: &str, content: Bytes, mode: Option<u32>) -> Result<()> {
        let path = path.to_owned();
        let write = move |root: OwnedFd| {
            let mut file = write::Replacement::begin(&root, &path, mode)?;
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
        path: &str,
        chunks: tokio::sync::mpsc::Receiver<Bytes>,
        mode: Option<u32>,
    ) -> Result<()> {
        let path = path.to_owned();
        let dir = self.engine.inner().store.sandbox_dir(&self.id);
        let lock = move || lock_changes(&dir);
        self.with_root(move |root| write::write_stream(&root, &path, mode, chunks, &lock)).await
    }

    /// Entries of a directory, by name.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn list(&self, path: &str) -> Result<Vec<FileStat>> {
        let path = path.to_owned();
        self.with_root(move |root| list::list(&root, &path)).await
    }

    /// One entry.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn stat(&self, path: &str) -> Result<FileStat> {
        let path = path.to_owned();
        self.with_root(move |root| list::stat(&root, &path)).await
    }

    /// Makes a directory of mode 0755; `parents`: also missing parents, and an existing one is fine.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn mkdir(&self, path: &str, parents: bool) -> Result<()> {
        let path = path.to_owned();
        self.changing(
            move |root| if parents { make_directories(&root, &path) } else { mkdir::make_one(&root, &path) },
        )
        .await
    }

    /// Makes a symbolic link, whatever its target means.
    ///
    /// # Errors
    /// As listed at [`Files`]; `AlreadyExists` for a path that exists.
    pub async fn symlink(&self, path: &str, target: &str) -> Result<()> {
        let (path, target) = (path.to_owned(), target.to_owned());
        self.changing(move |root| link::make_link(&root, &path, &target)).await
    }

    /// Sets the permission bits of a file or a directory. A link at the end of `path` is not followed, and is `Unsupported`.
    ///
    /// # Errors
    /// As listed at [`Files`]; `InvalidArgument` for more than the permission bits.
    pub async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        let path = path.to_owned();
        self.changing(move |root| link::set_mode(&root, &path, mode)).await
    }

    /// Removes a file, a link, an empty directory, or with `recursive` a whole tree.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn remove(&self, path: &str, recursive: bool) -> Result<()> {
        let path = path.to_owned();
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
