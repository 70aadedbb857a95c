//! The engine's errors as the contract's.

use openlattice::{Error, ErrorKind, Subject};
use openlattice_engine as engine;

/// The operation that an error is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt(pub(crate) &'static str);

impl Attempt {
    /// Translates an error that is about nothing in particular.
    pub(crate) fn failed(self) -> impl FnOnce(engine::Error) -> Error {
        move |error| translate(self.0, error, None)
    }

    /// Translates an error in which what is missing or taken is `subject`.
    pub(crate) fn on(self, subject: Subject) -> impl FnOnce(engine::Error) -> Error {
        move |error| translate(self.0, error, Some(subject))
    }

    /// Says that a sandbox is unknown or has ended.
    pub(crate) fn no_sandbox(self, id: &openlattice::SandboxId) -> Error {
        Error::new(ErrorKind::NotFound, self.0, format!("no sandbox {id} is running"))
            .with_subject(Subject::Sandbox)
            .with_context("sandbox", id)
    }
}

fn translate(operation: &'static str, error: engine::Error, subject: Option<Subject>) -> Error {
    let (kind, own) = kind(error.kind());
    let translated = Error::new(kind, operation, error.to_string());
    let translated = match own.or(subject.filter(|_| about_subject(kind))) {
        Some(subject) => translated.with_subject(subject),
        None => translated,
    };
    match std::error::Error::source(&error) {
        // The text of the error itself is the message above; its causes are kept below it.
        Some(source) => translated.with_source(source.to_string()),
        None => translated,
    }
}

/// The kind, and what the engine's kind says of the subject.
fn kind(kind: engine::ErrorKind) -> (ErrorKind, Option<Subject>) {
    use engine::ErrorKind as From;
    match kind {
        From::NotFound => (ErrorKind::NotFound, None),
        From::AlreadyExists => (ErrorKind::AlreadyExists, None),
        From::InvalidArgument => (ErrorKind::InvalidArgument, None),
        From::FailedPrecondition | From::OutOfRange => (ErrorKind::FailedPrecondition, None),
        From::Unsupported => (ErrorKind::Unsupported, None),
        From::PermissionDenied => (ErrorKind::PermissionDenied, None),
        From::Unauthenticated => (ErrorKind::Unauthenticated, None),
        From::Unavailable => (ErrorKind::Unavailable, None),
        From::ResourceExhausted => (ErrorKind::ResourceExhausted, None),
        From::ProgramNotFound => (ErrorKind::NotFound, Some(Subject::Program)),
        From::ProgramNotExecutable => (ErrorKind::PermissionDenied, Some(Subject::Program)),
        From::IsDirectory | From::NotDirectory | From::DirectoryNotEmpty => {
            (ErrorKind::FailedPrecondition, Some(Subject::Path))
        }
        _ => (ErrorKind::Internal, None),
    }
}

/// Whether the kind is one that concerns what was named, and not the machine.
fn about_subject(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidArgument
            | ErrorKind::FailedPrecondition
            | ErrorKind::PermissionDenied
            | ErrorKind::Unauthenticated
            | ErrorKind::Unavailable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_told_from_other_things_that_are_missing() {
        let missing = engine::Error::new(engine::ErrorKind::ProgramNotFound, "no program x");
        let error = Attempt("exec").on(Subject::Sandbox)(missing);
        assert_eq!((error.kind(), error.subject()), (ErrorKind::NotFound, Some(Subject::Program)));
        let missing = engine::Error::new(engine::ErrorKind::NotFound, "no sandbox");
        let error = Attempt("exec").on(Subject::Sandbox)(missing);
        assert_eq!((error.kind(), error.subject()), (ErrorKind::NotFound, Some(Subject::Sandbox)));
        let broken = engine::Error::new(engine::ErrorKind::Internal, "store").with_source("disk");
        let error = Attempt("exec").on(Subject::Sandbox)(broken);
        assert_eq!((error.kind(), error.subject()), (ErrorKind::Internal, None));
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "disk");
    }
}
