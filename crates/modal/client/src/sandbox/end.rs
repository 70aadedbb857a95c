//! Whether a sandbox runs, how it ended, and ending it.

use std::time::Duration;

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::generic_result::GenericStatus;
use tokio::time::{Instant, sleep};

use super::{Sandbox, by_generation};
use crate::error::Result;
use crate::retry;

/// How long the server is asked to hold one wait.
const WAIT_HOLD: f32 = 10.0;
/// The deadline of one such wait.
const WAIT_DEADLINE: Duration = Duration::from_secs(15);

/// Whether a sandbox runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxStatus {
    /// It is queued or runs.
    Running,
    /// It has ended.
    Ended(SandboxEnd),
}

/// How a sandbox ended. The result of a sandbox never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxEnd {
    /// Why it ended.
    pub reason: EndReason,
    /// The exit code as Modal's clients show it: 124 for the life time, 137 for a termination, else the main process's own.
    pub exit_code: i32,
    /// The server's words about it; often empty.
    pub message: String,
}

/// Why a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The main process exited by itself.
    Exited,
    /// Somebody ended it.
    Terminated,
    /// Its life time was over.
    Timeout,
    /// It had nothing to do for too long.
    IdleTimeout,
    /// It used more memory than it may.
    OutOfMemory,
    /// It could not be started.
    InitFailure,
    /// The server failed.
    InternalFailure,
    /// The server gave a reason that this client does not know.
    Unknown,
}

impl Sandbox {
    /// Asks once whether the sandbox runs.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know it.
    pub async fn poll(&self) -> Result<SandboxStatus> {
        Ok(self.wait_once(0.0).await?.map_or(SandboxStatus::Running, SandboxStatus::Ended))
    }

    /// Waits until the sandbox has ended.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know it.
    pub async fn wait(&self) -> Result<SandboxEnd> {
        loop {
            let started = Instant::now();
            if let Some(end) = self.wait_once(WAIT_HOLD).await? {
                return Ok(end);
            }
            sleep(retry::rest_after_hold(Duration::from_secs_f32(WAIT_HOLD), started.elapsed())).await;
        }
    }

    /// Ends the sandbox; one that has ended stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know it. After [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) and
    /// its like it may still run: repeating is safe.
    pub async fn terminate(&self) -> Result<()> {
        let request = wire::SandboxTerminateRequest { sandbox_id: self.id().to_owned() };
        by_generation!(self,
            "SandboxTerminate" sandbox_terminate, "SandboxTerminateV2" sandbox_terminate_v2, request)?;
        Ok(())
    }

    async fn wait_once(&self, hold: f32) -> Result<Option<SandboxEnd>> {
        let request = wire::SandboxWaitRequest { sandbox_id: self.id().to_owned(), timeout: hold };
        let reply = by_generation!(self,
            "SandboxWait" sandbox_wait, "SandboxWaitV2" sandbox_wait_v2, request, WAIT_DEADLINE)?;
        Ok(reply.result.as_ref().and_then(SandboxEnd::from_wire))
    }
}

impl SandboxEnd {
    /// Reads a result; an absent or empty one means that the sandbox runs (protocol section 4.3).
    pub(super) fn from_wire(result: &wire::GenericResult) -> Option<Self> {
        let (reason, exit_code) = match GenericStatus::try_from(result.status) {
            Ok(GenericStatus::Unspecified) => return None,
            Ok(GenericStatus::Success | GenericStatus::Failure) => (EndReason::Exited, result.exitcode),
            Ok(GenericStatus::Terminated) => (EndReason::Terminated, 137),
            Ok(GenericStatus::Timeout) => (EndReason::Timeout, 124),
            Ok(GenericStatus::IdleTimeout) => (EndReason::IdleTimeout, result.exitcode),
            Ok(
                GenericStatus::KernelOomKill
                | GenericStatus::MemoryManagerEviction
                | GenericStatus::MemoryThrashingEviction,
            ) => (EndReason::OutOfMemory, result.exitcode),
            Ok(GenericStatus::InitFailure) => (EndReason::InitFailure, result.exitcode),
            Ok(GenericStatus::InternalFailure) => (EndReason::InternalFailure, result.exitcode),
            Err(_) => (EndReason::Unknown, result.exitcode),
        };
        Some(Self { reason, exit_code, message: result.exception.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(status: i32, exitcode: i32) -> Option<SandboxEnd> {
        SandboxEnd::from_wire(&wire::GenericResult { status, exitcode, ..Default::default() })
    }

    #[test]
    fn an_empty_result_means_running() {
        assert_eq!(end(GenericStatus::Unspecified.into(), 0), None);
    }

    #[test]
    fn exit_codes_are_those_of_modals_clients() {
        let code = |status: GenericStatus, exitcode| end(status.into(), exitcode).unwrap().exit_code;
        assert_eq!(code(GenericStatus::Timeout, 0), 124);
        assert_eq!(code(GenericStatus::Terminated, 0), 137);
        assert_eq!(code(GenericStatus::Failure, 7), 7);
        assert_eq!(code(GenericStatus::Success, 0), 0);
        assert_eq!(end(99, 3).unwrap().reason, EndReason::Unknown);
        assert_eq!(end(GenericStatus::KernelOomKill.into(), 137).unwrap().reason, EndReason::OutOfMemory);
    }
}
