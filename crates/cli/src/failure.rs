//! What stops a command of ours.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use openlattice::{Error, ErrorKind, Subject};

use crate::exit;

/// An error with all that a person should read of it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    program: bool,
    text: String,
}

/// Shorthand.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure that has no cause below it.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, program: false, text: text.into() }
    }

    /// Something wrong in what the user gave.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, text)
    }

    /// A failure of this machine while doing `action`.
    pub(crate) fn from_io(action: &str, error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::new(kind, format!("cannot {action}: {error}"))
    }

    /// Any other error with its causes.
    pub(crate) fn from_chain(kind: ErrorKind, error: &dyn StdError) -> Self {
        Self::new(kind, chain(error))
    }

    /// The error's kind.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code of every command but `run` and `exec`.
    pub(crate) fn code(&self) -> u8 {
        exit::of_kind(self.kind)
    }

    /// The exit code of `run` and `exec`.
    pub(crate) fn runner_code(&self) -> u8 {
        match (self.program, self.kind) {
            (true, ErrorKind::NotFound) => exit::NOT_FOUND,
            (true, ErrorKind::PermissionDenied) => exit::NOT_EXECUTABLE,
            _ => exit::OWN_FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut text = chain(&error);
        if let Some(output) = error.output() {
            for (name, bytes) in [("stdout", output.stdout_text()), ("stderr", output.stderr_text())] {
                if !bytes.is_empty() {
                    text.push_str(&format!("\n{name} of the command:\n{}", bytes.trim_end()));
                }
            }
        }
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\nhint: {hint}"));
        }
        Self { kind: error.kind(), program: error.subject() == Some(Subject::Program), text }
    }
}

impl From<openlattice_engine::Error> for Failure {
    fn from(error: openlattice_engine::Error) -> Self {
        Self::from_engine(&error)
    }
}

impl Failure {
    /// An error of the engine with its causes.
    pub(crate) fn from_engine(error: &openlattice_engine::Error) -> Self {
        use openlattice_engine::ErrorKind as From;
        let kind = match error.kind() {
            From::NotFound => ErrorKind::NotFound,
            From::AlreadyExists => ErrorKind::AlreadyExists,
            From::InvalidArgument => ErrorKind::InvalidArgument,
            From::FailedPrecondition => ErrorKind::FailedPrecondition,
            From::Unsupported => ErrorKind::Unsupported,
            From::PermissionDenied => ErrorKind::PermissionDenied,
            From::Unauthenticated => ErrorKind::Unauthenticated,
            From::Unavailable => ErrorKind::Unavailable,
            From::ResourceExhausted => ErrorKind::ResourceExhausted,
            _ => ErrorKind::Internal,
        };
        Self::from_chain(kind, error)
    }
}

/// An error and its causes; a cause that its effect already quotes is not repeated.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(&format!(": {words}"));
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_program_is_127() {
        let missing =
            |subject| Failure::from(Error::new(ErrorKind::NotFound, "exec", "no").with_subject(subject));
        assert_eq!(missing(Subject::Program).runner_code(), 127);
        assert_eq!(missing(Subject::Image).runner_code(), 125);
        assert_eq!(missing(Subject::Image).code(), 3);
    }

    #[test]
    fn the_text_has_causes_and_hint() {
        let error = Error::new(ErrorKind::Unavailable, "exec", "went away")
            .with_source(io::Error::other("connection reset"))
            .with_hint("try again");
        assert_eq!(Failure::from(error).to_string(), "exec: went away: connection reset\nhint: try again");
    }
}
