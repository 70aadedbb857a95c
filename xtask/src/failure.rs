//! What a task says when it cannot succeed.

use std::fmt;

/// A failed task: one text for the person at the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// The result of a task or of a step in it.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Makes a failure from its text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("unreadable JSON: {error}"))
    }
}

/// Adds to an error what was attempted.
pub(crate) trait Attempted<T> {
    /// Turns the error into a [`Failure`] that starts with `what`.
    fn attempted(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Attempted<T> for std::result::Result<T, E> {
    fn attempted(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}
