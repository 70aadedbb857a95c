//! gRPC statuses: which are tried again, how long the server asks to wait, and the error they become.

use std::error::Error as StdError;
use std::time::Duration;

use openlattice_modal_proto::client::{RpcRetryPolicy, RpcStatus};
use prost::Message as _;
use tonic::{Code, Status};

use crate::error::{Error, ErrorKind, Retry};

/// The shortest pause when the server asks for one (protocol section 2.2).
const MINIMUM_PAUSE: Duration = Duration::from_millis(100);
/// The trailer in which our own server names a kind that is finer than the code.
const FINER_KIND: &str = "x-openlattice-kind";
/// The longest single pause that is believed.
const MAXIMUM_PAUSE: Duration = Duration::from_secs(3600);

/// What one call of the protocol does, which decides whether repeating it after a failure is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing, or doing it twice is the same as once.
    Repeatable,
    /// Each call makes something new; only the idempotency key of one call protects it.
    Creates,
}

/// A call of the protocol: its name, for errors, and its effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
}

impl Operation {
    /// A call that can be repeated.
    pub(crate) const fn repeatable(name: &'static str) -> Self {
        Self { name, effect: Effect::Repeatable }
    }

    /// A call that makes something new each time.
    pub(crate) const fn creates(name: &'static str) -> Self {
        Self { name, effect: Effect::Creates }
    }
}

/// Says whether the protocol tries a code again by itself (protocol sections 2.1 and 2.3).
pub(crate) fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled | Code::Internal | Code::Unknown
    )
}

/// Says whether the connection broke: no server sent this status, it has the reason of this side as its source.
pub(crate) fn is_lost(status: &Status) -> bool {
    let of_transport = matches!(status.code(), Code::Cancelled | Code::Unknown | Code::Internal);
    of_transport && status.source().is_some()
}

/// Reads the pause that the server asks for out of a status's details.
pub(crate) fn requested_pause(status: &Status) -> Option<Duration> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let policy = details.iter().find(|any| any.type_url.ends_with("/modal.client.RPCRetryPolicy"))?;
    let seconds = RpcRetryPolicy::decode(policy.value.as_slice()).ok()?.retry_after_secs;
    let pause = Duration::try_from_secs_f32(seconds).unwrap_or(MINIMUM_PAUSE);
    Some(pause.clamp(MINIMUM_PAUSE, MAXIMUM_PAUSE))
}

/// Turns the status of a call that is given up into an error.
pub(crate) fn error(operation: Operation, status: &Status) -> Error {
    let kind = if is_lost(status) {
        ErrorKind::Unavailable
    } else {
        finer_kind(status).unwrap_or_else(|| kind(status.code()))
    };
    let pause = requested_pause(status);
    let retry = retry(operation.effect, status.code(), pause.is_some());
    Error::new(kind, text(status)).during(operation.name).with_retry(retry).with_retry_after(pause)
}

fn finer_kind(status: &Status) -> Option<ErrorKind> {
    match status.metadata().get(FINER_KIND)?.to_str().ok()? {
        "program-not-found" => Some(ErrorKind::ProgramNotFound),
        "program-not-executable" => Some(ErrorKind::ProgramNotExecutable),
        "is-directory" => Some(ErrorKind::IsDirectory),
        "not-directory" => Some(ErrorKind::NotADirectory),
        "directory-not-empty" => Some(ErrorKind::DirectoryNotEmpty),
        // Output that is not there any more.
        "out-of-range" => Some(ErrorKind::FailedPrecondition),
        _ => None,
    }
}

fn kind(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::InvalidArgument,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::AlreadyExists,
        Code::FailedPrecondition | Code::Aborted => ErrorKind::FailedPrecondition,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::Unauthenticated => ErrorKind::Unauthenticated,
        Code::PermissionDenied => ErrorKind::PermissionDenied,
        Code::ResourceExhausted => ErrorKind::ResourceExhausted,
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::Unavailable => ErrorKind::Unavailable,
        Code::Cancelled => ErrorKind::Cancelled,
        Code::Ok | Code::Internal | Code::Unknown | Code::DataLoss => ErrorKind::Internal,
    }
}

fn retry(effect: Effect, code: Code, asked_to_wait: bool) -> Retry {
    if asked_to_wait {
        return Retry::Safe;
    }
    match (is_transient(code), effect) {
        (true, Effect::Repeatable) => Retry::Safe,
        (true, Effect::Creates) => Retry::Unknown,
        (false, _) => Retry::Never,
    }
}

/// The status's own text and, for a broken connection, the reasons below it.
fn text(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(cause) = source {
        let reason = cause.to_string();
        if !text.contains(&reason) {
            text = if text.is_empty() { reason } else { format!("{text}: {reason}") };
        }
        source = cause.source();
    }
    if text.is_empty() { format!("the server answered {:?} without a text", status.code()) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(seconds: f32, prefix: &str) -> Status {
        let policy = RpcRetryPolicy { retry_after_secs: seconds };
        let any = prost_any(&format!("{prefix}/modal.client.RPCRetryPolicy"), policy.encode_to_vec());
        let details = RpcStatus { code: 8, message: String::new(), details: vec![any] };
        Status::with_details(Code::ResourceExhausted, "slow down", details.encode_to_vec().into())
    }

    fn prost_any(type_url: &str, value: Vec<u8>) -> openlattice_modal_proto::Any {
        openlattice_modal_proto::Any { type_url: type_url.to_owned(), value }
    }

    #[test]
    fn the_requested_pause_is_at_least_a_tenth_of_a_second() {
        assert_eq!(requested_pause(&throttled(2.0, "type.modal.com")), Some(Duration::from_secs(2)));
        assert_eq!(requested_pause(&throttled(0.0, "x")), Some(MINIMUM_PAUSE));
        assert_eq!(requested_pause(&throttled(f32::NAN, "x")), Some(MINIMUM_PAUSE));
        assert_eq!(requested_pause(&throttled(-1.0, "x")), Some(MINIMUM_PAUSE));
        assert_eq!(requested_pause(&Status::resource_exhausted("quota")), None);
        assert_eq!(requested_pause(&Status::with_details(Code::Internal, "", vec![0xff, 1].into())), None);
    }

    #[test]
    fn g3_a_broken_connection_is_unavailable_whatever_the_transport_calls_it() {
        let wait = Operation::repeatable("SandboxWaitV2");
        let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
        assert_eq!(error(wait, &broken).kind(), ErrorKind::Unavailable);
        assert_eq!(error(wait, &Status::unknown("the server's word")).kind(), ErrorKind::Internal);
        assert_eq!(error(wait, &Status::cancelled("the server's word")).kind(), ErrorKind::Cancelled);
    }

    #[test]
    fn a_broken_create_is_not_called_safe() {
        let create = Operation::creates("SandboxCreateV2");
        let read = Operation::repeatable("SandboxWaitV2");
        assert_eq!(error(create, &Status::unavailable("gone")).retry(), Retry::Unknown);
        assert_eq!(error(read, &Status::unavailable("gone")).retry(), Retry::Safe);
        assert_eq!(error(read, &Status::not_found("no")).retry(), Retry::Never);
        assert_eq!(error(create, &throttled(1.0, "x")).retry(), Retry::Safe);
    }

    #[test]
    fn the_text_names_the_call_and_its_cause() {
        let text = error(Operation::repeatable("SandboxWaitV2"), &Status::unavailable("tcp connect error"))
            .to_string();
        assert_eq!(text, "SandboxWaitV2: tcp connect error");
    }
}
