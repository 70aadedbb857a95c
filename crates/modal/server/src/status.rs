//! The one table from the engine's error kinds to gRPC codes, and the refusals that the server makes itself.

use openlattice_engine::{Error, ErrorKind};
use std::error::Error as _;
use tonic::{Code, Status, metadata::MetadataValue};

/// Trailer that names the engine's own kind, where the code alone is coarser. Modal's clients ignore it.
pub(crate) const KIND: &str = "x-openlattice-kind";

/// Turns an engine error into the status that clients expect; causes are appended to the text.
pub(crate) fn from_engine(error: Error) -> Status {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text = format!("{text}: {source}");
        cause = source.source();
    }
    let mut status = Status::new(code(error.kind()), text);
    status.metadata_mut().insert(KIND, MetadataValue::from_static(name(error.kind())));
    status
}

/// The gRPC code of an engine kind (modal-protocol, section 9).
fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::AlreadyExists => Code::AlreadyExists,
        ErrorKind::InvalidArgument | ErrorKind::ProgramNotFound | ErrorKind::ProgramNotExecutable => {
            Code::InvalidArgument
        }
        ErrorKind::FailedPrecondition
        | ErrorKind::IsDirectory
        | ErrorKind::NotDirectory
        | ErrorKind::DirectoryNotEmpty => Code::FailedPrecondition,
        ErrorKind::Unsupported => Code::Unimplemented,
        // The caller's own credentials are good: a registry wants others.
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => Code::PermissionDenied,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::ResourceExhausted => Code::ResourceExhausted,
        ErrorKind::OutOfRange => Code::OutOfRange,
        // The enum may grow; what is not known here is an internal failure.
        _ => Code::Internal,
    }
}

fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not-found",
        ErrorKind::AlreadyExists => "already-exists",
        ErrorKind::InvalidArgument => "invalid-argument",
        ErrorKind::FailedPrecondition => "failed-precondition",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::PermissionDenied => "permission-denied",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::ResourceExhausted => "resource-exhausted",
        ErrorKind::ProgramNotFound => "program-not-found",
        ErrorKind::ProgramNotExecutable => "program-not-executable",
        ErrorKind::IsDirectory => "is-directory",
        ErrorKind::NotDirectory => "not-directory",
        ErrorKind::DirectoryNotEmpty => "directory-not-empty",
        ErrorKind::OutOfRange => "out-of-range",
        _ => "internal",
    }
}

/// Refuses what this server does not offer: `what` names the field or call, `remedy` what to do instead.
pub(crate) fn unsupported(what: &str, remedy: &str) -> Status {
    Status::unimplemented(format!("{what} is not supported by this server: {remedy}"))
}

/// Told to calls that are cut short because the server stops; clients retry it.
pub(crate) fn stopping() -> Status {
    Status::unavailable("the server is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_code() {
        let table = [
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::AlreadyExists, Code::AlreadyExists),
            (ErrorKind::InvalidArgument, Code::InvalidArgument),
            (ErrorKind::FailedPrecondition, Code::FailedPrecondition),
            (ErrorKind::Unsupported, Code::Unimplemented),
            (ErrorKind::PermissionDenied, Code::PermissionDenied),
            (ErrorKind::Unauthenticated, Code::PermissionDenied),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::ResourceExhausted, Code::ResourceExhausted),
            (ErrorKind::ProgramNotFound, Code::InvalidArgument),
            (ErrorKind::ProgramNotExecutable, Code::InvalidArgument),
            (ErrorKind::IsDirectory, Code::FailedPrecondition),
            (ErrorKind::NotDirectory, Code::FailedPrecondition),
            (ErrorKind::DirectoryNotEmpty, Code::FailedPrecondition),
            (ErrorKind::OutOfRange, Code::OutOfRange),
            (ErrorKind::Internal, Code::Internal),
        ];
        for (kind, code) in table {
            let status = from_engine(Error::new(kind, "x"));
            assert_eq!(status.code(), code, "{kind:?}");
            assert!(status.metadata().contains_key(KIND));
        }
    }

    #[test]
    fn causes_are_told() {
        let error = Error::io("read /a", std::io::Error::other("broken disk"));
        assert_eq!(from_engine(error).message(), "read /a: broken disk");
    }
}
