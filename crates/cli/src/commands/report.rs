//! What `run` and `exec` report of how it ended: exit code, a word on standard error, `--result`.

use std::path::Path;
use std::time::Duration;

use openlattice::{Dropped, ErrorKind, ExecEnd, ExitStatus, SandboxId};
use serde::Serialize;

use crate::exit;
use crate::failure::{Failure, Result};
use crate::live::{Ending, Finished};
use crate::output;

/// What `--result FILE` holds, as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<SandboxId>,
    exit_code: u8,
    /// `exited`, `signalled`, `timedOut`, `outOfMemory`, `sandboxEnded`, `interrupted`, `brokenPipe` or `failed`.
    reason: Reason,
    /// The signal that ended the command or, when interrupted, us.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    /// The offset from which standard output was dropped, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_dropped_from: Option<u64>,
    /// The same of standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_dropped_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Reason {
    Exited,
    Signalled,
    TimedOut,
    OutOfMemory,
    SandboxEnded,
    Interrupted,
    BrokenPipe,
    Failed,
}

#[derive(Debug, Serialize)]
struct Problem {
    kind: ErrorKind,
    message: String,
}

impl Report {
    /// Judges how a command, or our following it, ended.
    pub(crate) fn of(sandbox: Option<SandboxId>, outcome: &Result<Ending>) -> Self {
        let (exit_code, reason, signal) = match outcome {
            Ok(Ending::Status(Finished { status, .. })) => {
                let signal = match status.exit {
                    ExitStatus::Signal(signal) => Some(signal.number()),
                    ExitStatus::Code(_) => None,
                };
                let reason = reason(status.reason);
                let own = exit::of_command(status.exit.code());
                (if reason == Reason::TimedOut { exit::TIMEOUT } else { own }, reason, signal)
            }
            Ok(Ending::Interrupted(signal)) => {
                let number = exit::of_command(signal.number());
                (exit::SIGNAL + number, Reason::Interrupted, Some(signal.number()))
            }
            Ok(Ending::BrokenPipe) => (exit::BROKEN_PIPE, Reason::BrokenPipe, None),
            Err(failure) => (failure.runner_code(), Reason::Failed, None),
        };
        let error = outcome.as_ref().err();
        let error = error.map(|failure| Problem { kind: failure.kind(), message: failure.to_string() });
        let (stdout_dropped_from, stderr_dropped_from) = (None, None);
        let report =
            Self { sandbox, exit_code, reason, signal, stdout_dropped_from, stderr_dropped_from, error };
        match outcome {
            Ok(Ending::Status(finished)) => report.with_dropped(finished),
            _ => report,
        }
    }

    /// A command whose output was not passed on whole has not done what was asked for, whatever its own exit code.
    fn with_dropped(self, Finished { stdout, stderr, .. }: &Finished) -> Self {
        let say = |name: &str, dropped: &Option<Dropped>| dropped.map(|dropped| format!("{name}: {dropped}"));
        let said: Vec<String> =
            [say("standard output", stdout), say("standard error", stderr)].into_iter().flatten().collect();
        if said.is_empty() {
            return self;
        }
        Self {
            exit_code: exit::OWN_FAILURE,
            stdout_dropped_from: stdout.map(|dropped| dropped.from),
            stderr_dropped_from: stderr.map(|dropped| dropped.from),
            error: Some(Problem { kind: ErrorKind::ResourceExhausted, message: said.join("; ") }),
            ..self
        }
    }

    /// Writes the file, says on standard error what an exit code alone would hide, and gives the exit code.
    pub(crate) fn finish(self, file: Option<&Path>, timeout: Option<Duration>) -> u8 {
        if let Some(problem) = &self.error {
            output::complain(&problem.message);
        }
        match self.reason {
            Reason::TimedOut => {
                output::complain(&format!("timed out after {:?}", timeout.unwrap_or_default()));
            }
            Reason::OutOfMemory => output::complain("the memory limit killed the command"),
            Reason::SandboxEnded => output::complain("the sandbox ended while the command ran"),
            _ => {}
        }
        match file.map(|path| self.write(path)) {
            Some(Err(failure)) => {
                output::complain(&failure.to_string());
                exit::OWN_FAILURE
            }
            _ => self.exit_code,
        }
    }

    fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("our own types always serialise");
        std::fs::write(path, text + "\n")
            .map_err(|error| Failure::from_io(&format!("write {}", path.display()), error))
    }
}

fn reason(end: ExecEnd) -> Reason {
    match end {
        ExecEnd::Exited => Reason::Exited,
        ExecEnd::Signalled => Reason::Signalled,
        ExecEnd::TimedOut => Reason::TimedOut,
        ExecEnd::OutOfMemory => Reason::OutOfMemory,
        ExecEnd::SandboxEnded => Reason::SandboxEnded,
    }
}

#[cfg(test)]
mod tests {
    use openlattice::{DropReason, ExecStatus, Signal};

    use super::*;

    fn code(outcome: Result<Ending>) -> u8 {
        Report::of(None, &outcome).exit_code
    }

    fn ended(status: ExecStatus) -> Ending {
        Ending::Status(Finished { status, stdout: None, stderr: None })
    }

    #[test]
    fn codes_tell_the_ends_apart() {
        assert_eq!(code(Ok(ended(ExecStatus::exited(7)))), 7);
        assert_eq!(code(Ok(ended(ExecStatus::killed(ExecEnd::TimedOut)))), 124);
        assert_eq!(code(Ok(ended(ExecStatus::signalled(Signal::TERM)))), 143);
        assert_eq!(code(Ok(Ending::Interrupted(Signal::INT))), 130);
        assert_eq!(code(Ok(Ending::BrokenPipe)), 141);
        assert_eq!(code(Err(Failure::invalid("x"))), 125);
    }

    #[test]
    fn lost_output_is_a_failure_that_names_stream_bytes_and_reason() {
        let lost = |reason| Some(Dropped { from: 100, bytes: 23, reason });
        for (reason, why) in [
            (DropReason::Quota, "the output quota was reached"),
            (DropReason::DiskFull, "the disk was full"),
            (DropReason::FileLimit, "the limit of a file's size was reached"),
        ] {
            let finished = Finished { status: ExecStatus::exited(0), stdout: None, stderr: lost(reason) };
            let report = Report::of(None, &Ok(Ending::Status(finished)));
            assert_eq!(report.exit_code, 125);
            let json = serde_json::to_value(report).unwrap();
            assert_eq!((&json["stderrDroppedFrom"], &json["stdoutDroppedFrom"]), (&100.into(), &().into()));
            let message = json["error"]["message"].as_str().unwrap();
            assert!(
                message.starts_with("standard error: 23 bytes from byte 100 on") && message.contains(why)
            );
        }
    }

    #[test]
    fn the_file_names_the_reason() {
        let report = Report::of(Some("sb-1".into()), &Ok(ended(ExecStatus::killed(ExecEnd::TimedOut))));
        let json = serde_json::to_value(report).unwrap();
        assert_eq!(json["reason"], "timedOut");
        assert_eq!(json["signal"], 9);
        assert_eq!(json["sandbox"], "sb-1");
    }
}
