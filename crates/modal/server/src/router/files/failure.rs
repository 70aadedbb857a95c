//! Failures of the file helper in the words that clients map to their exceptions.

use openlattice_engine::{Error, ErrorKind};
use serde::Serialize;
use std::error::Error as _;

/// One JSON object on stderr, and nothing else there.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    error_kind: &'static str,
    /// Shown before the path; never empty.
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip)]
    killed: bool,
}

impl Failure {
    pub(super) fn new(error_kind: &'static str, message: &'static str) -> Self {
        Self { error_kind, message, detail: None, killed: false }
    }

    /// A malformed request.
    pub(super) fn argument(detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::new("InvalidArgument", "invalid argument") }
    }

    /// A failure of the server's own files.
    pub(super) fn internal(error: &std::io::Error) -> Self {
        Self { detail: Some(error.to_string()), ..Self::new("Unknown", "internal failure") }
    }

    pub(super) fn file_too_large() -> Self {
        Self::new("FileTooLarge", "file too large")
    }

    /// The sandbox ended during an operation that goes on until then.
    pub(super) fn sandbox_ended() -> Self {
        Self { killed: true, ..Self::new("SandboxEnded", "the sandbox has ended") }
    }

    /// Whether it is the end of the sandbox, which kills what runs in it.
    pub(super) fn is_kill(&self) -> bool {
        self.killed
    }

    /// An engine failure; `making` is true for a new directory, whose clash has a name of its own.
    pub(super) fn engine(error: &Error, making: bool) -> Self {
        let (kind, message) = match error.kind() {
            ErrorKind::NotFound => ("NotFound", "no such file or directory"),
            ErrorKind::AlreadyExists if making => ("PathAlreadyExists", "path already exists"),
            ErrorKind::AlreadyExists => ("AlreadyExists", "path already exists"),
            ErrorKind::IsDirectory => ("IsDirectory", "is a directory"),
            ErrorKind::NotDirectory => ("NotDirectory", "not a directory"),
            ErrorKind::DirectoryNotEmpty => ("DirectoryNotEmpty", "directory not empty"),
            ErrorKind::PermissionDenied => ("PermissionDenied", "permission denied"),
            ErrorKind::Unsupported => ("NotSupported", "operation not supported on this file"),
            ErrorKind::InvalidArgument => ("InvalidArgument", "invalid argument"),
            ErrorKind::ResourceExhausted => ("ResourceExhausted", "no space left"),
            ErrorKind::FailedPrecondition => ("SandboxEnded", "the sandbox has ended"),
            _ => ("Unknown", "operation failed"),
        };
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        Self { detail: Some(format!("{error}{cause}")), ..Self::new(kind, message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(kind: ErrorKind, making: bool) -> &'static str {
        Failure::engine(&Error::new(kind, "x"), making).error_kind
    }

    #[test]
    fn kinds_are_those_that_clients_know() {
        assert_eq!(kind(ErrorKind::NotFound, false), "NotFound");
        assert_eq!(kind(ErrorKind::AlreadyExists, true), "PathAlreadyExists");
        assert_eq!(kind(ErrorKind::AlreadyExists, false), "AlreadyExists");
        assert_eq!(kind(ErrorKind::Unsupported, false), "NotSupported");
    }

    #[test]
    fn the_json_has_what_clients_need() {
        let text = serde_json::to_string(&Failure::file_too_large()).unwrap();
        assert_eq!(text, r#"{"error_kind":"FileTooLarge","message":"file too large"}"#);
    }
}
