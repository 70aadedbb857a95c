//! A sandbox's end as Modal's clients read it (modal-protocol, section 4.3).

use openlattice_engine::{EndReason, SandboxInfo, SandboxState};
use openlattice_modal_proto::client::{GenericResult, generic_result::GenericStatus};

/// The result of a sandbox; absent while it runs, because clients take its presence for the end.
pub(crate) fn of(info: &SandboxInfo) -> Option<GenericResult> {
    match &info.state {
        SandboxState::Ended(end) => Some(from_reason(end.reason)),
        _ => None,
    }
}

fn from_reason(reason: EndReason) -> GenericResult {
    let (status, exitcode, exception) = match reason {
        EndReason::Exited(0) => (GenericStatus::Success, 0, ""),
        EndReason::Exited(code) => (GenericStatus::Failure, code, ""),
        EndReason::Signaled(signal) => (GenericStatus::Failure, signal.saturating_add(128), ""),
        EndReason::OutOfMemory => (GenericStatus::KernelOomKill, 137, "killed by the memory limit"),
        EndReason::TimedOut => (GenericStatus::Timeout, 124, "the life time is over"),
        EndReason::Idle => (GenericStatus::IdleTimeout, 124, "the idle time is over"),
        EndReason::Terminated => (GenericStatus::Terminated, 137, ""),
        EndReason::Lost => (GenericStatus::InternalFailure, 137, "the sandbox was killed from outside"),
        EndReason::Failed => (GenericStatus::InitFailure, 125, "the sandbox was never ready"),
        // The enum may grow; an end that is not known here is still an end.
        _ => (GenericStatus::InternalFailure, 137, "the sandbox ended for a reason unknown to this server"),
    };
    GenericResult { status: status.into(), exitcode, exception: exception.to_owned(), ..Default::default() }
}

/// A success without a code, for image builds.
pub(crate) fn success() -> GenericResult {
    GenericResult { status: GenericStatus::Success.into(), ..Default::default() }
}

/// A failure with a text for the user, for image builds.
pub(crate) fn failure(text: impl Into<String>) -> GenericResult {
    GenericResult {
        status: GenericStatus::Failure.into(),
        exception: text.into(),
        exitcode: 1,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the three clients make of a result.
    fn return_code(reason: EndReason) -> i32 {
        let result = from_reason(reason);
        match GenericStatus::try_from(result.status).unwrap() {
            GenericStatus::Timeout => 124,
            GenericStatus::Terminated => 137,
            GenericStatus::Unspecified => panic!("reads as running"),
            _ => result.exitcode,
        }
    }

    #[test]
    fn clients_see_these_codes() {
        let table = [
            (EndReason::Exited(0), 0),
            (EndReason::Exited(7), 7),
            (EndReason::Signaled(15), 143),
            (EndReason::OutOfMemory, 137),
            (EndReason::TimedOut, 124),
            (EndReason::Idle, 124),
            (EndReason::Terminated, 137),
            (EndReason::Lost, 137),
            (EndReason::Failed, 125),
        ];
        for (reason, code) in table {
            assert_eq!(return_code(reason), code, "{reason:?}");
        }
    }
}
