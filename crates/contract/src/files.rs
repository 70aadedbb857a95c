//! The extension that reads and writes a sandbox's files.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Result, SandboxId, Timestamp};

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
    /// The permission bits of the file; without them those of the file that is replaced, or `0o644`.
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

    /// Returns the content of a file; see [`Files::read`].
    pub async fn read(&self, path: &str) -> Result<Bytes> {
        self.files.read(&self.id, path).await
    }

    /// Writes a file; see [`Files::write`].
    pub async fn write(&self, path: &str, data: impl Into<Bytes> + Send) -> Result<()> {
        self.files.write(&self.id, path, data.into(), WriteOptions::default()).await
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
