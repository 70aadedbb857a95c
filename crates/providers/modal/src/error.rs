//! The one table from the client's errors to the contract's.

use modal::ErrorKind as Theirs;
use openlattice::{Error, ErrorKind, Retry, Subject};
use openlattice_modal_client as modal;

/// The operation of the contract during which something failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt(pub(crate) &'static str);

impl Attempt {
    /// Turns a client error into the contract's; the subject is the one that the kind itself tells.
    pub(crate) fn failed(self) -> impl Fn(modal::Error) -> Error + Copy {
        move |error| self.error(error, None)
    }

    /// Turns a client error into the contract's; what is missing or in a wrong state is the given subject.
    pub(crate) fn about(self, subject: Subject) -> impl Fn(modal::Error) -> Error + Copy {
        move |error| self.error(error, Some(subject))
    }

    fn error(self, error: modal::Error, about: Option<Subject>) -> Error {
        let (kind, own) = translate(error.kind());
        let path = error.path().map(str::to_owned);
        let subject =
            if path.is_some() { Some(Subject::Path) } else { own.or(about.filter(|_| can_be_about(kind))) };
        let mut ours = Error::new(kind, self.0, error.to_string()).with_retry(retry(&error));
        if let Some(subject) = subject {
            ours = ours.with_subject(subject);
        }
        if let Some(path) = path {
            ours = ours.with_context("path", path);
        }
        ours.with_source(error)
    }
}

/// The table: the contract's kind, and the subject where the client's kind tells it.
fn translate(kind: Theirs) -> (ErrorKind, Option<Subject>) {
    match kind {
        Theirs::InvalidConfig => (ErrorKind::InvalidArgument, Some(Subject::Provider)),
        Theirs::InvalidArgument => (ErrorKind::InvalidArgument, None),
        Theirs::NotFound => (ErrorKind::NotFound, None),
        Theirs::AlreadyExists => (ErrorKind::AlreadyExists, None),
        Theirs::FailedPrecondition => (ErrorKind::FailedPrecondition, None),
        Theirs::Unsupported => (ErrorKind::Unsupported, None),
        Theirs::Unauthenticated => (ErrorKind::Unauthenticated, Some(Subject::Provider)),
        Theirs::PermissionDenied => (ErrorKind::PermissionDenied, None),
        Theirs::ResourceExhausted => (ErrorKind::ResourceExhausted, None),
        Theirs::Timeout => (ErrorKind::Timeout, None),
        Theirs::Unavailable => (ErrorKind::Unavailable, Some(Subject::Provider)),
        Theirs::Cancelled => (ErrorKind::Cancelled, None),
        Theirs::Internal | Theirs::UnexpectedReply | Theirs::Local => (ErrorKind::Internal, None),
        Theirs::ProgramNotFound => (ErrorKind::NotFound, Some(Subject::Program)),
        Theirs::ProgramNotExecutable => (ErrorKind::PermissionDenied, Some(Subject::Program)),
        Theirs::BuildFailed => (ErrorKind::FailedPrecondition, Some(Subject::Image)),
        Theirs::IsDirectory | Theirs::NotADirectory | Theirs::DirectoryNotEmpty => {
            (ErrorKind::FailedPrecondition, Some(Subject::Path))
        }
        Theirs::FileTooLarge => (ErrorKind::ResourceExhausted, Some(Subject::Path)),
    }
}

/// Says whether an error of this kind is about the thing that was named, and not about the connection or the account.
fn can_be_about(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidArgument
            | ErrorKind::FailedPrecondition
            | ErrorKind::Unsupported
            | ErrorKind::PermissionDenied
    )
}

fn retry(error: &modal::Error) -> Retry {
    match error.retry() {
        modal::Retry::Safe => Retry::Safe { after: error.retry_after() },
        modal::Retry::Unknown | modal::Retry::Never => Retry::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Theirs; 22] = [
        Theirs::InvalidConfig,
        Theirs::InvalidArgument,
        Theirs::NotFound,
        Theirs::AlreadyExists,
        Theirs::FailedPrecondition,
        Theirs::Unsupported,
        Theirs::Unauthenticated,
        Theirs::PermissionDenied,
        Theirs::ResourceExhausted,
        Theirs::Timeout,
        Theirs::Unavailable,
        Theirs::Cancelled,
        Theirs::Internal,
        Theirs::UnexpectedReply,
        Theirs::ProgramNotFound,
        Theirs::ProgramNotExecutable,
        Theirs::BuildFailed,
        Theirs::IsDirectory,
        Theirs::NotADirectory,
        Theirs::DirectoryNotEmpty,
        Theirs::FileTooLarge,
        Theirs::Local,
    ];

    #[test]
    fn kinds_that_both_sides_have_keep_their_name() {
        for kind in ALL {
            let (ours, _) = translate(kind);
            let same = format!("{kind:?}") == format!("{ours:?}");
            let finer = matches!(
                kind,
                Theirs::InvalidConfig
                    | Theirs::UnexpectedReply
                    | Theirs::ProgramNotFound
                    | Theirs::ProgramNotExecutable
                    | Theirs::BuildFailed
                    | Theirs::IsDirectory
                    | Theirs::NotADirectory
                    | Theirs::DirectoryNotEmpty
                    | Theirs::FileTooLarge
                    | Theirs::Local
            );
            assert!(same != finer, "{kind:?} became {ours:?}");
        }
    }
}
