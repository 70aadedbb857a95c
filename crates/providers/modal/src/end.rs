//! Ends: of sandboxes and of commands.

use std::time::Duration;

use openlattice::{
    EndReason, Error, ErrorKind, ExecEnd, ExecStatus, ExitStatus, Result, Retry, SandboxEnd, Signal, Subject,
};
use openlattice_modal_client as modal;
use tokio::time::timeout;

use crate::error::Attempt;

/// How long a terminated sandbox may take until it says so.
const SETTLE: Duration = Duration::from_secs(30);

/// Ends a sandbox and returns once it says that it has ended; an unknown or ended one is success.
pub(crate) async fn terminate(sandbox: &modal::Sandbox, attempt: Attempt) -> Result<()> {
    match sandbox.terminate().await {
        Ok(()) => {}
        Err(error) if is_gone(sandbox.id(), &error) => return Ok(()),
        // The state does not allow it: it has ended already, which the wait confirms.
        Err(error) if error.kind() == modal::ErrorKind::FailedPrecondition => {}
        Err(error) => return Err(safe(attempt.about(Subject::Sandbox)(error))),
    }
    match timeout(SETTLE, sandbox.wait()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if is_gone(sandbox.id(), &error) => Ok(()),
        Ok(Err(error)) => Err(safe(attempt.about(Subject::Sandbox)(error))),
        Err(_) => {
            let text = format!("the sandbox still runs {} s after it was told to end", SETTLE.as_secs());
            Err(safe(Error::new(ErrorKind::Timeout, attempt.0, text).with_subject(Subject::Sandbox)))
        }
    }
}

/// Ending a sandbox twice is the same as once, whatever went wrong the first time.
fn safe(error: Error) -> Error {
    match error.retry() {
        Retry::Never => error.with_retry(Retry::Safe { after: None }),
        _ => error,
    }
}

/// Says whether the server does not know the sandbox, or the id cannot be one of its ids.
pub(crate) fn is_gone(id: &str, error: &modal::Error) -> bool {
    match error.kind() {
        modal::ErrorKind::NotFound => true,
        // Of an id that is well formed it says nothing: something else about the call was wrong.
        modal::ErrorKind::InvalidArgument => !is_well_formed(id),
        _ => false,
    }
}

/// Says whether an id has the shape of Modal's, `sb-` and 22 or more letters and digits (protocol section 0.3).
fn is_well_formed(id: &str) -> bool {
    let rest = id.strip_prefix("sb-").unwrap_or_default();
    rest.len() >= 22 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Gives a sandbox's end.
pub(crate) fn sandbox_end(end: &modal::SandboxEnd) -> SandboxEnd {
    let reason = match end.reason {
        modal::EndReason::Exited => EndReason::Exited,
        modal::EndReason::Terminated => EndReason::Destroyed,
        modal::EndReason::Timeout => EndReason::TimedOut,
        modal::EndReason::IdleTimeout => EndReason::IdleTimedOut,
        modal::EndReason::OutOfMemory => EndReason::OutOfMemory,
        modal::EndReason::InitFailure | modal::EndReason::InternalFailure => EndReason::Lost,
        modal::EndReason::Unknown => EndReason::Unknown,
    };
    // For the other reasons the code is a convention of Modal's clients, not what a process returned.
    let exit = (reason == EndReason::Exited).then_some(ExitStatus::Code(end.exit_code));
    SandboxEnd { reason, exit }
}

/// Gives a command's end.
///
/// Where the server does not say why a command was killed, a kill at or after the command's own deadline is its timeout.
pub(crate) fn exec_status(end: &modal::ExecEnd) -> ExecStatus {
    let exit = match end.status {
        modal::ExecStatus::Code(code) => ExitStatus::Code(code),
        modal::ExecStatus::Signal(number) => {
            Signal::new(number).map_or(ExitStatus::Code(128 + number), ExitStatus::Signal)
        }
    };
    let reason = match end.killed_by {
        Some(modal::KillReason::Timeout) => ExecEnd::TimedOut,
        Some(modal::KillReason::OutOfMemory) => ExecEnd::OutOfMemory,
        Some(modal::KillReason::SandboxEnded) => ExecEnd::SandboxEnded,
        None if end.past_deadline && exit.code() == 137 => ExecEnd::TimedOut,
        None => match exit {
            ExitStatus::Signal(_) => ExecEnd::Signalled,
            ExitStatus::Code(_) => ExecEnd::Exited,
        },
    };
    ExecStatus { exit, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(
        status: modal::ExecStatus,
        killed_by: Option<modal::KillReason>,
        past_deadline: bool,
    ) -> ExecStatus {
        exec_status(&modal::ExecEnd { status, killed_by, past_deadline })
    }

    #[test]
    fn m18_only_an_id_of_another_shape_cannot_be_a_sandbox() {
        assert!(is_well_formed("sb-0123456789abcdefghijAB"));
        assert!(is_well_formed("sb-01KAZC6B6WYTT2B93BNYNKXJ7P"));
        for id in ["", "x", "sb-", "sb-nobody", "im-0123456789abcdefghijAB", "sb-0123456789abcdefghij/B"] {
            assert!(!is_well_formed(id), "{id}");
        }
    }

    #[test]
    fn g7_a_timeout_is_told_from_a_signal() {
        let killed = modal::ExecStatus::Signal(9);
        assert_eq!(end(killed, None, true).reason, ExecEnd::TimedOut);
        assert_eq!(end(killed, None, false).reason, ExecEnd::Signalled);
        assert_eq!(end(killed, Some(modal::KillReason::Timeout), false).reason, ExecEnd::TimedOut);
        assert_eq!(end(killed, Some(modal::KillReason::OutOfMemory), true).reason, ExecEnd::OutOfMemory);
        assert_eq!(end(modal::ExecStatus::Code(0), None, true).reason, ExecEnd::Exited);
        assert_eq!(end(modal::ExecStatus::Code(137), None, true).reason, ExecEnd::TimedOut);
        assert_eq!(end(modal::ExecStatus::Signal(15), None, true).reason, ExecEnd::Signalled);
    }

    #[test]
    fn g7_the_end_of_a_sandbox_keeps_its_reason() {
        let end =
            |reason, exit_code| sandbox_end(&modal::SandboxEnd { reason, exit_code, message: String::new() });
        assert_eq!(end(modal::EndReason::Exited, 3).exit, Some(ExitStatus::Code(3)));
        let timed_out = end(modal::EndReason::Timeout, 124);
        assert_eq!((timed_out.reason, timed_out.exit), (EndReason::TimedOut, None));
        assert_eq!(end(modal::EndReason::Terminated, 137).reason, EndReason::Destroyed);
    }
}
