//! The extension that reads and writes a sandbox's files.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{FileContent, FileWatch, Result, SandboxId, Timestamp, WatchOptions};

/// Says what a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, not followed.
    Symlink,
    /// A device, a fifo or a socket.
    Other,
}

/// Describes a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileInfo {
    /// The last part of its path.
    pub name: String,
    /// Its absolute path in the sandbox.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its permission bits, such as `0o644`.
    pub mode: u32,
    /// The name or number of its user, as the sandbox sees it.
    pub owner: String,
    /// The name or number of its group, as the sandbox sees it.
    pub group: String,
    /// When its content last changed.
    pub modified_at: Timestamp,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symlink_target: Option<String>,
}

/// Says how a file is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WriteOptions {
    /// The permission bits of the file, up to `0o777`; without them those of the file that is replaced, or `0o644`. Needs
    /// `capabilities.files.modes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// Says how a directory is listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ListOptions {
    /// Whether what lies in its directories is listed too.
    pub recursive: bool,
}

/// Reads and writes the files of sandboxes.
///
/// Paths are absolute and are resolved inside the sandbox, as its processes see them; no link leads out of it. Errors about a
/// path have subject `Path`: a missing one is `NotFound`, a wrong type `FailedPrecondition`, a refused one
/// `PermissionDenied`, a relative one `InvalidArgument`. An unknown or ended sandbox is `NotFound` with subject `Sandbox`. What
/// an option asks for and the provider cannot do is `Unsupported`. A dropped call has happened or has not; it
/// leaves no partial file under its final name.
#[async_trait]
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Returns the whole content of a file, byte for byte, following links.
    async fn read(&self, id: &SandboxId, path: &str) -> Result<Bytes>;

    /// Replaces or creates a file with its missing parents, at once: no reader sees a part.
    async fn write(&self, id: &SandboxId, path: &str, data: Bytes, options: WriteOptions) -> Result<()>;

    /// Opens a file to read it by pieces from an offset in bytes on, following links. Memory is bounded whatever the file's size.
    ///
    /// # Behaviour
    /// - All pieces are of the file that was opened, also when another one replaces it meanwhile.
    /// - From an offset at or after the end there are none.
    /// - An error about the path comes from this call, or from the first piece.
    /// - The end of the sandbox ends the reading with an error, never with an end of the content.
    async fn read_stream(&self, id: &SandboxId, path: &str, offset: u64) -> Result<Box<dyn FileContent>>;

    /// Replaces or creates a file with its missing parents from content that is given by pieces. Memory is bounded whatever its
    /// size.
    ///
    /// # Behaviour
    /// - The file has its name when the content is complete, and not before.
    /// - An error of the content is the call's, and then, as when the call is dropped, nothing changed under the name.
    /// - The content is read at most once.
    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &str,
        content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()>;

    /// Follows what happens to a file, to the entries of a directory, or with `recursive` to all that is below it.
    ///
    /// # Requires
    /// `capabilities.files.watch`.
    ///
    /// # Behaviour
    /// - What happens after the call returned is told.
    /// - A link at the end of the path is followed, and the paths of events begin with what it leads to; no other link is.
    /// - An error about the path comes from this call, or from the first event.
    /// - Dropping the watch ends it and leaves nothing.
    async fn watch(&self, id: &SandboxId, path: &str, options: WatchOptions) -> Result<Box<dyn FileWatch>>;

    /// Makes a symbolic link with this target, which is not looked at. An existing path is `AlreadyExists`, a missing parent
    /// `NotFound`.
    ///
    /// # Requires
    /// `capabilities.files.symlinks`.
    async fn symlink(&self, id: &SandboxId, path: &str, target: &str) -> Result<()>;

    /// Sets the permission bits, up to `0o777`, of a file or a directory; a link at the end of the path is not followed, and is
    /// `FailedPrecondition`.
    ///
    /// # Requires
    /// `capabilities.files.modes`.
    async fn set_mode(&self, id: &SandboxId, path: &str, mode: u32) -> Result<()>;

    /// Lists a directory, ordered by name (by path when recursive), without `.` and `..`.
    async fn list(&self, id: &SandboxId, path: &str, options: ListOptions) -> Result<Vec<FileInfo>>;

    /// Describes a path, not following a final link.
    async fn stat(&self, id: &SandboxId, path: &str) -> Result<FileInfo>;

    /// Creates a directory. With `parents`, missing parents too, and an existing directory is success; without, an
    /// existing path is `AlreadyExists`.
    async fn mkdir(&self, id: &SandboxId, path: &str, parents: bool) -> Result<()>;

    /// Removes a file, a link or an empty directory; with `recursive`, a whole tree. A directory that is not empty
    /// is `FailedPrecondition`.
    async fn remove(&self, id: &SandboxId, path: &str, recursive: bool) -> Result<()>;
}

/// The files of one sandbox; errors are those of [`Files`].
#[derive(Clone, Debug)]
pub struct NodeFiles {
    files: Arc<dyn Files>,
    id: SandboxId,
}

impl NodeFiles {
    /// Ties the extension to a sandbox.
    pub fn new(files: Arc<dyn Files>, id: SandboxId) -> Self {
        Self { files, id }
    }

    /// Returns the extension itself.
    pub fn extension(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Returns the content of a file; see [`Files::read`].
    pub async fn read(&self, path: &str) -> Result<Bytes> {
        self.files.read(&self.id, path).await
    }

    /// Writes a file; see [`Files::write`].
    pub async fn write(&self, path: &str, data: impl Into<Bytes> + Send) -> Result<()> {
        self.files.write(&self.id, path, data.into(), WriteOptions::default()).await
    }

    /// Opens a file to read it by pieces; see [`Files::read_stream`].
    pub async fn read_stream(&self, path: &str) -> Result<Box<dyn FileContent>> {
        self.files.read_stream(&self.id, path, 0).await
    }

    /// Writes a file from content given by pieces; see [`Files::write_stream`].
    pub async fn write_stream(&self, path: &str, content: impl FileContent + 'static) -> Result<()> {
        self.files.write_stream(&self.id, path, Box::new(content), WriteOptions::default()).await
    }

    /// Follows changes; see [`Files::watch`].
    pub async fn watch(&self, path: &str, options: WatchOptions) -> Result<Box<dyn FileWatch>> {
        self.files.watch(&self.id, path, options).await
    }

    /// Makes a symbolic link; see [`Files::symlink`].
    pub async fn symlink(&self, path: &str, target: &str) -> Result<()> {
        self.files.symlink(&self.id, path, target).await
    }

    /// Sets permission bits; see [`Files::set_mode`].
    pub async fn set_mode(&self, path: &str, mode: u32) -> Result<()> {
        self.files.set_mode(&self.id, path, mode).await
    }

    /// Lists a directory; see [`Files::list`].
    pub async fn list(&self, path: &str) -> Result<Vec<FileInfo>> {
        self.files.list(&self.id, path, ListOptions::default()).await
    }

    /// Describes a path; see [`Files::stat`].
    pub async fn stat(&self, path: &str) -> Result<FileInfo> {
        self.files.stat(&self.id, path).await
    }

    /// Creates a directory and its parents; see [`Files::mkdir`].
    pub async fn mkdir(&self, path: &str) -> Result<()> {
        self.files.mkdir(&self.id, path, true).await
    }

    /// Removes a file or an empty directory; see [`Files::remove`].
    pub async fn remove(&self, path: &str) -> Result<()> {
        self.files.remove(&self.id, path, false).await
    }

    /// Removes a whole tree; see [`Files::remove`].
    pub async fn remove_all(&self, path: &str) -> Result<()> {
        self.files.remove(&self.id, path, true).await
    }
}
