//! Files of a sandbox, from outside it, by descriptor below its root as its processes see it.

use crate::error::Result;
use bytes::Bytes;
use std::time::SystemTime;

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

/// File operations on one running sandbox. Paths are absolute inside it; `NotFound`, `IsDirectory`, `NotDirectory`, `PermissionDenied`,
/// `DirectoryNotEmpty`, `AlreadyExists` as their errno says; a device, fifo or socket, and files of proc and sysfs, are `Unsupported`.
#[derive(Clone, Debug)]
pub struct Files {
    pub(crate) _private: (),
}

impl Files {
    /// Reads `len` bytes at `offset` (fewer at the end of the file).
    pub async fn read_at(&self, _path: &str, _offset: u64, _len: usize) -> Result<Bytes> {
        unimplemented!("skeleton")
    }
    /// Reads a whole file.
    pub async fn read(&self, _path: &str) -> Result<Bytes> {
        unimplemented!("skeleton")
    }
    /// Writes a file atomically (temporary name, then rename), making missing parents. Mode 0644, or the replaced file's.
    pub async fn write(&self, _path: &str, _content: Bytes) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Writes a file atomically from a stream of chunks: nothing is visible until the sender says the end with an empty chunk;
    /// a channel that closes before leaves nothing.
    pub async fn write_from(&self, _path: &str, _chunks: tokio::sync::mpsc::Receiver<Bytes>) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Entries of a directory, by name.
    pub async fn list(&self, _path: &str) -> Result<Vec<FileStat>> {
        unimplemented!("skeleton")
    }
    /// One entry.
    pub async fn stat(&self, _path: &str) -> Result<FileStat> {
        unimplemented!("skeleton")
    }
    /// Makes a directory; `parents`: also missing parents, and an existing one is fine.
    pub async fn mkdir(&self, _path: &str, _parents: bool) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Removes a file, a link, an empty directory, or with `recursive` a whole tree.
    pub async fn remove(&self, _path: &str, _recursive: bool) -> Result<()> {
        unimplemented!("skeleton")
    }
}
