//! Waiting until a sandbox's readiness probe has passed.

use std::time::Duration;

use openlattice_modal_proto::task_command_router as wire;

use super::Sandbox;
use crate::error::Result;
use crate::router::{RouterCall, RouterStub};
use crate::status::Operation;

const WAIT_UNTIL_READY: Operation = Operation::repeatable("SandboxWaitUntilReady");

impl Sandbox {
    /// Waits until the probe that the sandbox was made with has passed.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when that takes longer than `limit`;
    /// [`ErrorKind::FailedPrecondition`](crate::ErrorKind::FailedPrecondition) usually for a sandbox without a probe.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<()> {
        let router = self.router().await?;
        let request = wire::SandboxWaitUntilReadyTcrRequest {
            task_id: router.task_id().to_owned(),
            timeout: limit.as_secs_f32(),
        };
        let call = RouterCall::from(WAIT_UNTIL_READY).in_all(limit);
        let send =
            |mut stub: RouterStub, request| async move { stub.sandbox_wait_until_ready(request).await };
        router.unary(call, request, send).await?;
        Ok(())
    }
}
