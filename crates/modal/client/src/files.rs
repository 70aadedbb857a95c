//! Files of a sandbox (protocol section 6).
//!
//! There is no call for files: each operation is a command that the server answers at a fixed path, with one JSON argument.
//! File content travels through its standard input and output.

mod copy;
mod entry;
mod failure;
mod read;
mod tool;
mod watch;

use std::error::Error as StdError;

use bytes::Bytes;
use tokio_stream::Stream;

use crate::error::{Error, Result};
use crate::sandbox::Sandbox;
use tool::Tool;

pub use entry::{FileEntry, FileType};
pub use read::FileReader;
pub use watch::{FileEvent, FileEventKind, FileWatch, WatchSpec};

impl Sandbox {
    /// Reads a whole file.
    ///
    /// # Errors
    /// About the path, with [`Error::path`] set: [`NotFound`](crate::ErrorKind::NotFound), [`IsDirectory`](crate::ErrorKind::IsDirectory),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied), [`FileTooLarge`](crate::ErrorKind::FileTooLarge). Without it:
    /// [`NotFound`](crate::ErrorKind::NotFound) when the sandbox has ended.
    pub async fn read_file(&self, path: &str) -> Result<Bytes> {
        self.run_tool(&Tool::ReadFile { path: absolute(path)? }, None).await
    }

    /// Writes a whole file, making the directories above it; an existing one is replaced in one step.
    ///
    /// When the future is dropped, the file is the old one or the new one, never a part.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file), and [`NotADirectory`](crate::ErrorKind::NotADirectory).
    pub async fn write_file(&self, path: &str, content: impl Into<Bytes>) -> Result<()> {
        let content = content.into();
        self.run_tool(&Tool::WriteFile { path: absolute(path)? }, Some(&content)).await?;
        Ok(())
    }

    /// Writes a file from content given by pieces, whatever its size; else as [`write_file`](Self::write_file). The file has its name
    /// when the content is complete, and not before.
    ///
    /// # Errors
    /// As [`write_file`](Self::write_file); [`Local`](crate::ErrorKind::Local) with the cause when the content ends with an error.
    pub async fn write_file_stream<S, E>(&self, path: &str, content: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let tool = Tool::WriteFile { path: absolute(path)? };
        let exec = self.start_tool(&tool).await?;
        tool::feed_from(&tool, &exec, content).await
    }

    /// Lists a directory by name.
    ///
    /// # Errors
    /// About the path: [`NotFound`](crate::ErrorKind::NotFound), [`NotADirectory`](crate::ErrorKind::NotADirectory),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub async fn list_files(&self, path: &str) -> Result<Vec<FileEntry>> {
        let text = self.run_tool(&Tool::ListFiles { path: absolute(path)? }, None).await?;
        let mut entries: Vec<FileEntry> = parse(&text)?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Describes a file, a directory or a link itself.
    ///
    /// # Errors
    /// About the path: [`NotFound`](crate::ErrorKind::NotFound), [`NotADirectory`](crate::ErrorKind::NotADirectory),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub async fn stat(&self, path: &str) -> Result<FileEntry> {
        parse(&self.run_tool(&Tool::Stat { path: absolute(path)? }, None).await?)
    }

    /// Makes a directory. With `parents`, those above it too, and one that exists is fine; without, the path must be free.
    ///
    /// # Errors
    /// About the path: [`AlreadyExists`](crate::ErrorKind::AlreadyExists), [`NotFound`](crate::ErrorKind::NotFound) for a missing parent,
    /// [`NotADirectory`](crate::ErrorKind::NotADirectory), [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub async fn make_directory(&self, path: &str, parents: bool) -> Result<()> {
        self.run_tool(&Tool::MakeDirectory { path: absolute(path)?, parents }, None).await?;
        Ok(())
    }

    /// Removes a file or an empty directory; with `recursive` a directory with all that it holds.
    ///
    /// # Errors
    /// About the path: [`NotFound`](crate::ErrorKind::NotFound), [`DirectoryNotEmpty`](crate::ErrorKind::DirectoryNotEmpty),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub async fn remove_file(&self, path: &str, recursive: bool) -> Result<()> {
        self.run_tool(&Tool::Remove { path: absolute(path)?, recursive }, None).await?;
        Ok(())
    }
}

fn absolute(path: &str) -> Result<&str> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(path);
    }
    Err(Error::invalid(format!("{path:?} is not an absolute path")).with_path(path))
}

fn parse<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        Error::unexpected("the file tool's answer is not the expected JSON").with_source(error)
    })
}
