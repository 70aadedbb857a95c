//! The error that every file operation of this crate reports.

use std::io;
use std::path::{Path, PathBuf};

/// A system call on a path failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path:?}")]
pub struct FileError {
    /// What was attempted, as a verb phrase.
    pub action: &'static str,
    /// On what; relative paths are relative to the layer or archive at hand.
    pub path: PathBuf,
    /// The operating system's answer.
    pub source: io::Error,
}

/// Makes the closure that turns an errno into a [`FileError`].
pub(crate) fn failed<E: Into<io::Error>>(
    action: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(E) -> FileError {
    move |source| FileError { action, path: path.as_ref().to_owned(), source: source.into() }
}
