//! What can go wrong, by kind, and whether trying again is safe.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Callers decide by kind, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting, credential or address is missing or malformed; nothing was sent.
    InvalidConfig,
    /// An argument is malformed, found here or by the server.
    InvalidArgument,
    /// The app, image, sandbox, exec, name or file does not exist, or the sandbox has ended.
    NotFound,
    /// The name or path is taken.
    AlreadyExists,
    /// The thing exists and its state does not allow the call, for example stdin that is closed.
    FailedPrecondition,
    /// The server does not offer the call.
    Unsupported,
    /// The credentials were refused.
    Unauthenticated,
    /// The credentials do not allow the call, or file permissions do not.
    PermissionDenied,
    /// A quota or the capacity is used up, or no machine was found in time.
    ResourceExhausted,
    /// The time for the call is over.
    Timeout,
    /// The server cannot be reached, or the connection broke and did not come back within the retries.
    Unavailable,
    /// The call was cancelled by the server.
    Cancelled,
    /// The server failed.
    Internal,
    /// The server's reply breaks the protocol.
    UnexpectedReply,
    /// The program of a command does not exist, where the server tells; Modal's own does not.
    ProgramNotFound,
    /// The program of a command may not be executed, where the server tells; Modal's own does not.
    ProgramNotExecutable,
    /// An image could not be built.
    BuildFailed,
    /// The path is a directory where a file is needed.
    IsDirectory,
    /// The path, or a part of it, is not a directory where one is needed.
    NotADirectory,
    /// The directory is not empty.
    DirectoryNotEmpty,
    /// The file is larger than the server hands out.
    FileTooLarge,
    /// This machine failed: a local file, or content that the caller gave by pieces.
    Local,
}

/// Whether the same call may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// It may: nothing was carried out, or doing it twice is the same as once.
    Safe,
    /// It may not be known whether the call was carried out: look before repeating it.
    Unknown,
    /// Repeating it gives the same error.
    Never,
}

/// A failed call: kind, retry safety, operation, text and cause.
#[expect(clippy::error_impl_error, reason = "it is the crate's one error, always named through the crate")]
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    retry_after: Option<Duration>,
    operation: &'static str,
    message: String,
    path: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let (operation, message) = ("", message.into());
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            retry_after: None,
            operation,
            message,
            path: None,
            source: None,
        }))
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidConfig, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UnexpectedReply, message)
    }

    pub(crate) fn local(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Local, message).with_source(source)
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    pub(crate) fn with_retry_after(mut self, delay: Option<Duration>) -> Self {
        self.0.retry_after = delay;
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn during(mut self, operation: &'static str) -> Self {
        self.0.operation = operation;
        self
    }

    pub(crate) fn with_path(mut self, path: &str) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// Says what went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Says whether the same call may be made again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Gives the pause that the server asked for, where it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Names the call of the protocol that failed; empty when nothing was sent.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Gives the path in the sandbox that the error is about; nothing when it is about something else.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Gives the text without the operation's name.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.operation.is_empty() {
            return f.write_str(&self.0.message);
        }
        write!(f, "{}: {}", self.0.operation, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("retry", &self.0.retry)
            .field("operation", &self.0.operation)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
