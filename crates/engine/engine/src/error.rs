//! One error for the engine: what kind, what was attempted, and the cause.

use std::{error, fmt, io};

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for callers to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such sandbox, exec, image, file.
    NotFound,
    /// The name or id is taken.
    AlreadyExists,
    /// A value of the request is wrong.
    InvalidArgument,
    /// Right request, wrong state: the sandbox has ended, the input is closed.
    FailedPrecondition,
    /// This host or this version cannot do it; nothing was done.
    Unsupported,
    /// The host refuses (not root, no delegation), or a registry does not allow it.
    PermissionDenied,
    /// A registry wants credentials, or other ones.
    Unauthenticated,
    /// A registry cannot be reached, or cannot serve at present.
    Unavailable,
    /// A bound is reached (processes, disk, execs).
    ResourceExhausted,
    /// The program of an exec does not exist in the sandbox.
    ProgramNotFound,
    /// The program of an exec cannot be executed (mode, format).
    ProgramNotExecutable,
    /// A path names a directory where a file is needed.
    IsDirectory,
    /// A path has a component that is no directory.
    NotDirectory,
    /// A directory is not empty.
    DirectoryNotEmpty,
    /// Output before some offset was taken off the disk behind its readers; the message names the first offset that is still there.
    OutOfRange,
    /// Anything else.
    Internal,
}

/// The engine's error. `Display` prints its own layer; the cause is its source.
#[expect(
    clippy::error_impl_error,
    reason = "the one error of the crate, always written with its path or beside its `Result`"
)]
pub struct Error(Box<Repr>);

struct Repr {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is a lower-case fragment that names what was attempted and on what.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr { kind, message: message.into(), source: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// An I/O failure: the errno decides the kind, `message` says what was attempted.
    pub fn io(message: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::PermissionDenied
            }
            io::ErrorKind::IsADirectory => ErrorKind::IsDirectory,
            io::ErrorKind::NotADirectory => ErrorKind::NotDirectory,
            io::ErrorKind::DirectoryNotEmpty => ErrorKind::DirectoryNotEmpty,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, message).with_source(source)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
