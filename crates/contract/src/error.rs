//! The error of every call.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ExecResult;

/// The result of a call of the contract.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Says what went wrong, as callers need to tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was named does not exist.
    NotFound,
    /// What was to be made exists already, as something else.
    AlreadyExists,
    /// The request is malformed, whoever serves it.
    InvalidArgument,
    /// The system is not in a state that allows the request.
    FailedPrecondition,
    /// The provider does not offer what was asked.
    Unsupported,
    /// Credentials are missing or wrong.
    Unauthenticated,
    /// Credentials are good, and do not allow it.
    PermissionDenied,
    /// A quota or the machine is exhausted.
    ResourceExhausted,
    /// The call itself took too long; a *command* that ran out of time is a result, not this.
    Timeout,
    /// The provider could not be reached, or said that it cannot serve at present.
    Unavailable,
    /// The call was given up on the other side.
    Cancelled,
    /// Something broke that should not have.
    Internal,
}

impl ErrorKind {
    /// Returns the kind in words, such as `not found`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::InvalidArgument => "invalid argument",
            Self::FailedPrecondition => "failed precondition",
            Self::Unsupported => "unsupported",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission denied",
            Self::ResourceExhausted => "resource exhausted",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Says whether repeating the call is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Repeating could do harm, or would fail the same way.
    #[default]
    Never,
    /// Repeating is safe and may succeed, not before the given delay.
    Safe {
        /// How long the other side asked to wait, if it did.
        after: Option<Duration>,
    },
    /// Repeating was safe and has been tried as often as allowed; outer layers do not try again.
    Exhausted,
}

/// Says what an error is about, where the kind alone leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Subject {
    /// A sandbox.
    Sandbox,
    /// A command that was started earlier.
    Exec,
    /// The program of a command: `NotFound` and `PermissionDenied` are a shell's 127 and 126.
    Program,
    /// A working directory.
    WorkingDirectory,
    /// A file or directory in a sandbox.
    Path,
    /// An image.
    Image,
    /// A snapshot.
    Snapshot,
    /// A stored volume.
    Volume,
    /// A sandbox's name or key.
    Name,
    /// The initial command of a sandbox; see [`Error::output`].
    InitialCommand,
    /// The tailnet that a sandbox was to join.
    Tailnet,
    /// The provider itself: its address, its credentials, its quota.
    Provider,
}

/// Tells what failed, on what, and whether a retry is safe.
///
/// One pointer in size. `Display` prints its own layer only (`operation: message`); [`std::error::Error::source`]
/// leads to the next. Callers match on [`kind`](Self::kind), [`subject`](Self::subject) and
/// [`retry`](Self::retry), never on text. No text in it may hold a secret.
#[expect(clippy::error_impl_error, reason = "the crate has one error, and users write openlattice::Error")]
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    subject: Option<Subject>,
    operation: &'static str,
    message: String,
    context: Vec<(&'static str, String)>,
    hint: Option<String>,
    output: Option<ExecResult>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The context key that holds the name of a refused field.
const FIELD: &str = "field";

impl Error {
    /// Builds an error that is not safe to retry; `message` is a lower-case fragment without a full stop.
    pub fn new(kind: ErrorKind, operation: &'static str, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            subject: None,
            operation,
            message: message.into(),
            context: Vec::new(),
            hint: None,
            output: None,
            source: None,
        }))
    }

    /// Builds the refusal of a field or power that a provider does not offer (`network.ports`, `restart`).
    pub fn unsupported(operation: &'static str, field: impl Into<String>) -> Self {
        let field = field.into();
        Self::new(ErrorKind::Unsupported, operation, format!("{field} is not offered by this provider"))
            .with_context(FIELD, field)
    }

    /// Builds the refusal of a malformed field.
    pub fn invalid(operation: &'static str, field: impl Into<String>, message: impl fmt::Display) -> Self {
        let field = field.into();
        Self::new(ErrorKind::InvalidArgument, operation, format!("{field} {message}"))
            .with_context(FIELD, field)
    }

    /// Sets whether a retry is safe.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Says what the error is about.
    #[must_use]
    pub fn with_subject(mut self, subject: Subject) -> Self {
        self.0.subject = Some(subject);
        self
    }

    /// Adds a fact such as the sandbox, the path or the system call.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Says what the caller can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Attaches the result of the initial command that failed.
    #[must_use]
    pub fn with_output(mut self, output: ExecResult) -> Self {
        self.0.output = Some(output);
        self
    }

    /// Keeps the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether a retry is safe.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Returns what the error is about, if it was said.
    pub fn subject(&self) -> Option<Subject> {
        self.0.subject
    }

    /// Returns the operation that failed, such as `provision`.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the message without the operation.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the facts in the order in which they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// Returns the name of the field that was refused, such as `network.ports`.
    pub fn field(&self) -> Option<&str> {
        self.context().find(|(key, _)| *key == FIELD).map(|(_, value)| value)
    }

    /// Returns the remedy, if one is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Returns the result of the initial command whose failure this is.
    pub fn output(&self) -> Option<&ExecResult> {
        self.0.output.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Error");
        shown.field("kind", &self.0.kind).field("retry", &self.0.retry);
        if let Some(subject) = &self.0.subject {
            shown.field("subject", subject);
        }
        shown.field("operation", &self.0.operation).field("message", &self.0.message);
        if !self.0.context.is_empty() {
            shown.field("context", &self.0.context);
        }
        if let Some(hint) = &self.0.hint {
            shown.field("hint", hint);
        }
        if let Some(output) = &self.0.output {
            shown.field("output", output);
        }
        if let Some(source) = &self.0.source {
            shown.field("source", source);
        }
        shown.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_and_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_prints_its_own_layer() {
        let inner = std::io::Error::other("connection reset");
        let error = Error::new(ErrorKind::Unavailable, "exec", "the server went away")
            .with_retry(Retry::Safe { after: None })
            .with_source(inner);
        assert_eq!(error.to_string(), "exec: the server went away");
        assert_eq!(StdError::source(&error).unwrap().to_string(), "connection reset");
    }

    #[test]
    fn a_refusal_names_its_field() {
        let error = Error::unsupported("provision", "network.ports");
        assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some("network.ports")));
    }
}
