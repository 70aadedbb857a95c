//! How a test ends.

use std::error::Error as StdError;
use std::fmt::{Debug, Write as _};

use openlattice::{Error, ErrorKind};

/// Says that a test passed, or why it could not be judged.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The behaviour holds.
    Passed,
    /// The behaviour cannot be judged here.
    Skipped(String),
}

/// Says why a behaviour does not hold.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

/// The end of a test.
pub(crate) type Outcome = Result<Verdict, Failure>;

/// Ends a test that passed.
pub(crate) fn passed() -> Outcome {
    Ok(Verdict::Passed)
}

/// Ends a test that cannot be judged.
pub(crate) fn skipped(reason: impl Into<String>) -> Outcome {
    Ok(Verdict::Skipped(reason.into()))
}

/// Ends a test that failed.
pub(crate) fn failed<T>(reason: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(reason.into()))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut text = format!("{} ({})", error, error.kind());
        let mut source = error.source();
        while let Some(cause) = source {
            // Writing to a string cannot fail.
            let _unused = write!(text, ": {cause}");
            source = cause.source();
        }
        if let Some(output) = error.output() {
            let _unused =
                write!(text, "\nstdout: {}\nstderr: {}", output.stdout_text(), output.stderr_text());
        }
        Self(text)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Fails unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return $crate::verdict::failed(format!($($message)+));
        }
    };
}

/// Fails unless both values are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {
        match (&$left, &$right) {
            (left, right) => if left != right {
                return $crate::verdict::failed(format!("{}: got {left:?}, expected {right:?}", format!($($message)+)));
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// Returns the error of a call that must fail with one of the kinds.
pub(crate) fn must_fail<T: Debug>(
    result: Result<T, Error>,
    kinds: &[ErrorKind],
    what: &str,
) -> Result<Error, Failure> {
    match result {
        Ok(value) => failed(format!("{what} succeeded with {value:?}, expected an error of kind {kinds:?}")),
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => failed(format!("{what}: kind {:?}, expected one of {kinds:?}: {error}", error.kind())),
    }
}

/// Fails unless the call was refused as unsupported, with the field's name.
pub(crate) fn must_refuse<T: Debug>(result: Result<T, Error>, field: &str) -> Outcome {
    let error = must_fail(result, &[ErrorKind::Unsupported], field)?;
    ensure_eq!(error.field(), Some(field), "the refused field");
    passed()
}
