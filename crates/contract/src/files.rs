//! The extension that reads and writes a sandbox's files.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{FileContent, FileTime, FileWatch, Result, SandboxId, WatchOptions};

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
    /// The last part of its path, with replacement characters for bytes that are no text: [`os_name`](Self::os_name) has all bytes.
    pub name: String,
    /// Its absolute path in the sandbox, with replacement characters as well.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
    /// Its permission bits such as `0o644`, with the set-id bits and the sticky bit (`0o7777`).
    pub mode: u32,
    /// The name or number of its user, as the sandbox sees it.
    pub owner: String,
    /// The name or number of its group, as the sandbox sees it.
    pub group: String,
    /// When its content last changed, as exactly as the provider tells it.
    pub modified_at: FileTime,
    /// Where a symbolic link points, with replacement characters for bytes that are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symlink_target: Option<String>,
    /// The bytes of a name that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_bytes: Option<Vec<u8>>,
    /// The bytes of a link's target that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symlink_target_bytes: Option<Vec<u8>>,
}

impl FileInfo {
    /// Returns the name as it is, byte for byte.
    pub fn os_name(&self) -> OsString {
        exact(self.name_bytes.as_deref(), &self.name)
    }

    /// Returns where a symbolic link points, byte for byte.
    pub fn os_symlink_target(&self) -> Option<OsString> {
        self.symlink_target.as_deref().map(|target| exact(self.symlink_target_bytes.as_deref(), target))
    }

    /// Sets the name, with its bytes where it is no text.
    #[must_use]
    pub fn with_os_name(mut self, name: &OsStr) -> Self {
        (self.name, self.name_bytes) = shown(name);
        self
    }

    /// Sets where a symbolic link points, with the bytes where that is no text.
    #[must_use]
    pub fn with_os_symlink_target(mut self, target: &OsStr) -> Self {
        let (text, bytes) = shown(target);
        (self.symlink_target, self.symlink_target_bytes) = (Some(text), bytes);
        self
    }
}

fn exact(bytes: Option<&[u8]>, text: &str) -> OsString {
    #[cfg(unix)]
    if let Some(bytes) = bytes {
        return <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).to_owned();
    }
    // Elsewhere names are text.
    let _ = bytes;
    text.into()
}

fn shown(name: &OsStr) -> (String, Option<Vec<u8>>) {
    match name.to_str() {
        Some(text) => (text.to_owned(), None),
        None => (name.to_string_lossy().into_owned(), Some(name.as_encoded_bytes().to_vec())),
    }
}

/// Says how a file is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WriteOptions {
    /// The permission bits of the file, with set-id and sticky bits up to `0o7777`; without them those of the file that is replaced,
    /// but for set-id bits, or `0o644`. Needs `capabilities.files.modes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// When the content last changed; without it now. Needs `capabilities.files.times`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<FileTime>,
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
/// Paths are absolute and are resolved inside the sandbox, as its processes see them; no link leads out of it. They are bytes: one
/// that is not UTF-8 needs `capabilities.files.byte_names` and is `Unsupported` with subject `Path` without. Errors about a
/// path have subject `Path`: a missing one is `NotFound`, a wrong type `FailedPrecondition`, a refused one
/// `PermissionDenied`, a relative one `InvalidArgument`, no space `ResourceExhausted`. An unknown or ended sandbox is `NotFound` with subject `Sandbox`. What
/// an option asks for and the provider cannot do is `Unsupported`. A dropped call has happened or has not; it
/// leaves no partial file under its final name.
#[async_trait]
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Returns the whole content of a file, byte for byte, following links.
    async fn read(&self, id: &SandboxId, path: &Path) -> Result<Bytes>;

    /// Replaces or creates a file with its missing parents, at once: no reader sees a part.
    async fn write(&self, id: &SandboxId, path: &Path, data: Bytes, options: WriteOptions) -> Result<()>;

    /// Opens a file to read it by pieces from an offset in bytes on, following links. Memory is bounded whatever the file's size.
    ///
    /// # Behaviour
    /// - A hole is given as zeros.
    /// - All pieces are of the file that was opened, also when another one replaces it meanwhile.
    /// - From an offset at or after the end there are none.
    /// - An error about the path comes from this call, or from the first piece.
    /// - The end of the sandbox ends the reading with an error, never with an end of the content.
    async fn read_stream(&self, id: &SandboxId, path: &Path, offset: u64) -> Result<Box<dyn FileContent>>;

    /// Replaces or creates a file with its missing parents from content that is given by pieces. Memory is bounded whatever its
    /// size.
    ///
    /// # Behaviour
    /// - Blocks of zeros may take no room in the sandbox: a file with holes keeps them.
    /// - The file has its name when the content is complete, and not before.
    /// - An error of the content is the call's, and then, as when the call is dropped, nothing changed under the name.
    /// - The content is read at most once.
    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &Path,
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
    async fn watch(&self, id: &SandboxId, path: &Path, options: WatchOptions) -> Result<Box<dyn FileWatch>>;

    /// Makes a symbolic link with this target, which is not looked at. An existing path is `AlreadyExists`, a missing parent
    /// `NotFound`.
    ///
    /// # Requires
    /// `capabilities.files.symlinks`.
    async fn symlink(&self, id: &SandboxId, path: &Path, target: &Path) -> Result<()>;

    /// Sets the permission bits, with set-id and sticky bits up to `0o7777`, of a file or a directory; a link at the end of the path
    /// is not followed, and is `FailedPrecondition`.
    ///
    /// # Requires
    /// `capabilities.files.modes`.
    async fn set_mode(&self, id: &SandboxId, path: &Path, mode: u32) -> Result<()>;

    /// Sets when a file, a directory or a link itself last changed; a link at the end of the path is not followed.
    ///
    /// # Requires
    /// `capabilities.files.times`.
    async fn set_modified(&self, id: &SandboxId, path: &Path, modified_at: FileTime) -> Result<()>;

    /// Lists a directory, ordered by name (by path when recursive), without `.` and `..`.
    async fn list(&self, id: &SandboxId, path: &Path, options: ListOptions) -> Result<Vec<FileInfo>>;

    /// Describes a path, not following a final link.
    async fn stat(&self, id: &SandboxId, path: &Path) -> Result<FileInfo>;

    /// Creates a directory. With `parents`, missing parents too, and an existing directory is success; without, an
    /// existing path is `AlreadyExists`.
    async fn mkdir(&self, id: &SandboxId, path: &Path, parents: bool) -> Result<()>;

    /// Removes a file, a link or an empty directory; with `recursive`, a whole tree. A directory that is not empty
    /// is `FailedPrecondition`.
    async fn remove(&self, id: &SandboxId, path: &Path, recursive: bool) -> Result<()>;
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
    pub async fn read(&self, path: impl AsRef<Path> + Send) -> Result<Bytes> {
        self.files.read(&self.id, path.as_ref()).await
    }

    /// Writes a file; see [`Files::write`].
    pub async fn write(&self, path: impl AsRef<Path> + Send, data: impl Into<Bytes> + Send) -> Result<()> {
        self.files.write(&self.id, path.as_ref(), data.into(), WriteOptions::default()).await
    }

    /// Opens a file to read it by pieces; see [`Files::read_stream`].
    pub async fn read_stream(&self, path: impl AsRef<Path> + Send) -> Result<Box<dyn FileContent>> {
        self.files.read_stream(&self.id, path.as_ref(), 0).await
    }

    /// Writes a file from content given by pieces; see [`Files::write_stream`].
    pub async fn write_stream(
        &self,
        path: impl AsRef<Path> + Send,
        content: impl FileContent + 'static,
    ) -> Result<()> {
        self.files.write_stream(&self.id, path.as_ref(), Box::new(content), WriteOptions::default()).await
    }

    /// Follows changes; see [`Files::watch`].
    pub async fn watch(
        &self,
        path: impl AsRef<Path> + Send,
        options: WatchOptions,
    ) -> Result<Box<dyn FileWatch>> {
        self.files.watch(&self.id, path.as_ref(), options).await
    }

    /// Makes a symbolic link; see [`Files::symlink`].
    pub async fn symlink(
        &self,
        path: impl AsRef<Path> + Send,
        target: impl AsRef<Path> + Send,
    ) -> Result<()> {
        self.files.symlink(&self.id, path.as_ref(), target.as_ref()).await
    }

    /// Sets permission bits; see [`Files::set_mode`].
    pub async fn set_mode(&self, path: impl AsRef<Path> + Send, mode: u32) -> Result<()> {
        self.files.set_mode(&self.id, path.as_ref(), mode).await
    }

    /// Sets when a path last changed; see [`Files::set_modified`].
    pub async fn set_modified(&self, path: impl AsRef<Path> + Send, modified_at: FileTime) -> Result<()> {
        self.files.set_modified(&self.id, path.as_ref(), modified_at).await
    }

    /// Lists a directory; see [`Files::list`].
    pub async fn list(&self, path: impl AsRef<Path> + Send) -> Result<Vec<FileInfo>> {
        self.files.list(&self.id, path.as_ref(), ListOptions::default()).await
    }

    /// Describes a path; see [`Files::stat`].
    pub async fn stat(&self, path: impl AsRef<Path> + Send) -> Result<FileInfo> {
        self.files.stat(&self.id, path.as_ref()).await
    }

    /// Creates a directory and its parents; see [`Files::mkdir`].
    pub async fn mkdir(&self, path: impl AsRef<Path> + Send) -> Result<()> {
        self.files.mkdir(&self.id, path.as_ref(), true).await
    }

    /// Removes a file or an empty directory; see [`Files::remove`].
    pub async fn remove(&self, path: impl AsRef<Path> + Send) -> Result<()> {
        self.files.remove(&self.id, path.as_ref(), false).await
    }

    /// Removes a whole tree; see [`Files::remove`].
    pub async fn remove_all(&self, path: impl AsRef<Path> + Send) -> Result<()> {
        self.files.remove(&self.id, path.as_ref(), true).await
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn info() -> FileInfo {
        FileInfo {
            name: String::new(),
            path: "/d".to_owned(),
            kind: FileKind::Symlink,
            size: 0,
            mode: 0o777,
            owner: "0".to_owned(),
            group: "0".to_owned(),
            modified_at: FileTime { seconds: -1, nanos: 5 },
            symlink_target: None,
            name_bytes: None,
            symlink_target_bytes: None,
        }
    }

    #[test]
    fn names_keep_their_bytes_in_json_too() {
        let latin = OsStr::from_bytes(b"caf\xe9");
        for (name, bytes) in [(latin, true), (OsStr::new("two\nlines"), false)] {
            let made = info().with_os_name(name).with_os_symlink_target(name);
            assert_eq!(made.name_bytes.is_some(), bytes);
            let read: FileInfo = serde_json::from_str(&serde_json::to_string(&made).unwrap()).unwrap();
            assert_eq!((read.os_name(), read.os_symlink_target()), (name.into(), Some(name.into())));
            assert_eq!(read, made);
        }
        assert_eq!(info().os_symlink_target(), None);
    }
}
