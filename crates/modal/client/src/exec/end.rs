//! Waiting for a command and reading how it ended.

use std::time::Duration;

use openlattice_modal_proto::task_command_router as wire;
use tokio::time::{Instant, sleep};
use tonic::metadata::MetadataMap;

use super::Exec;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::retry;
use crate::router::{RouterCall, RouterStub};
use crate::status::Operation;

const EXEC_WAIT: Operation = Operation::repeatable("TaskExecWait");
const EXEC_POLL: Operation = Operation::repeatable("TaskExecPoll");
/// The deadline of one wait; a longer run is waited for again and again.
const WAIT_DEADLINE: Duration = Duration::from_secs(60);
/// The pause after a wait that failed.
const WAIT_PAUSE: Duration = Duration::from_secs(1);
/// Waits that may fail in a row. Modal's clients repeat them for ever; here a router that cannot be reached for a
/// minute is an error, since a caller that waits for ever learns nothing.
const WAIT_FAILURES: u32 = 60;
/// The trailer in which our own server says why a command was killed.
const KILL_REASON: &str = "x-openlattice-end";

/// How the process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExecStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Why a command was killed, where the server tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KillReason {
    /// Its timeout.
    Timeout,
    /// The sandbox's memory limit.
    OutOfMemory,
    /// The end of its sandbox.
    SandboxEnded,
}

/// A command's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExecEnd {
    /// How the process ended.
    pub status: ExecStatus,
    /// Why it was killed, where the server tells. Modal's own service does not.
    pub killed_by: Option<KillReason>,
    /// Whether the end came at or after the timeout that this handle started the command with.
    pub past_deadline: bool,
}

impl Exec {
    /// Waits for the command's end. The same answer comes every time, also after the end.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the command is unknown or its sandbox gone; [`ErrorKind::Unavailable`] when the command
    /// router cannot be reached for a minute.
    pub async fn wait(&self) -> Result<ExecEnd> {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let error = match self.wait_once().await {
                Ok(end) => return Ok(end),
                Err(error) => error,
            };
            match (error.kind(), error.retry()) {
                (ErrorKind::Timeout, _) => {
                    failures = 0;
                    sleep(retry::rest_after_hold(WAIT_DEADLINE, started.elapsed())).await;
                }
                (_, Retry::Safe) if failures < WAIT_FAILURES => {
                    failures += 1;
                    sleep(WAIT_PAUSE).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn wait_once(&self) -> Result<ExecEnd> {
        let call = RouterCall::from(EXEC_WAIT).within(WAIT_DEADLINE).once();
        let request = wire::TaskExecWaitRequest { task_id: self.task_id(), exec_id: self.id.clone() };
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_wait(request).await };
        let (metadata, message, _) = self.router.unary(call, request, send).await?.into_parts();
        let status = match message.exit_status {
            Some(wire::task_exec_wait_response::ExitStatus::Code(code)) => ExecStatus::Code(code),
            Some(wire::task_exec_wait_response::ExitStatus::Signal(signal)) => ExecStatus::Signal(signal),
            None => return Err(Error::unexpected("the server gave no exit status").during(EXEC_WAIT.name)),
        };
        Ok(self.end(status, &metadata))
    }

    /// Asks once whether the command has ended.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the command is unknown or its sandbox gone.
    pub async fn poll(&self) -> Result<Option<ExecEnd>> {
        let request = wire::TaskExecPollRequest { task_id: self.task_id(), exec_id: self.id.clone() };
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_poll(request).await };
        let (metadata, message, _) = self.router.unary(EXEC_POLL, request, send).await?.into_parts();
        let status = message.exit_status.map(|status| match status {
            wire::task_exec_poll_response::ExitStatus::Code(code) => ExecStatus::Code(code),
            wire::task_exec_poll_response::ExitStatus::Signal(signal) => ExecStatus::Signal(signal),
        });
        Ok(status.map(|status| self.end(status, &metadata)))
    }

    pub(super) fn task_id(&self) -> String {
        self.router.task_id().to_owned()
    }

    fn end(&self, status: ExecStatus, metadata: &MetadataMap) -> ExecEnd {
        let past_deadline = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        ExecEnd { status, killed_by: kill_reason(metadata), past_deadline }
    }
}

fn kill_reason(metadata: &MetadataMap) -> Option<KillReason> {
    match metadata.get(KILL_REASON)?.to_str().ok()? {
        "timeout" => Some(KillReason::Timeout),
        "oom" => Some(KillReason::OutOfMemory),
        "sandbox-ended" => Some(KillReason::SandboxEnded),
        _ => None,
    }
}
