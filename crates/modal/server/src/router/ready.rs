//! Waiting until a sandbox's readiness probe has passed.

use crate::{
    control::{Note, Reply},
    deadline::{Deadline, seconds},
    reach,
    shared::Shared,
    status,
};
use openlattice_modal_proto::task_command_router::{
    SandboxWaitUntilReadyTcrRequest, SandboxWaitUntilReadyTcrResponse,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// `FAILED_PRECONDITION` without a probe and when the sandbox ends before it passes, `DEADLINE_EXCEEDED` when it takes too long.
pub(super) async fn wait(
    shared: &Arc<Shared>,
    request: Request<SandboxWaitUntilReadyTcrRequest>,
) -> Reply<SandboxWaitUntilReadyTcrResponse> {
    let id = Shared::task(&request, &request.get_ref().task_id)?;
    let limit = Deadline::shorten(Deadline::of(&request), seconds(request.get_ref().timeout));
    let info = shared.engine.sandbox(&id).await.map_err(status::from_engine)?;
    if Note::of(&info).reach.probe.is_none() {
        let text = "the sandbox has no readiness probe; a sandbox is ready once it is created";
        return Err(Status::failed_precondition(text));
    }
    let ended = || Status::failed_precondition(format!("sandbox {id} has ended before it was ready"));
    let before = shared.state.ready_at(id.as_str()).await?;
    let ready_at = match (before, info.is_living()) {
        (Some(at), _) => at,
        (None, false) => return Err(ended()),
        (None, true) => {
            let reached = reach::attach(shared, &info).await?;
            let waited = tokio::time::timeout(limit, reached.ready());
            let ready = shared.hold(waited).await?;
            ready.map_err(|_| late(limit))?.ok_or_else(ended)?
        }
    };
    Ok(Response::new(SandboxWaitUntilReadyTcrResponse { ready_at }))
}

fn late(limit: std::time::Duration) -> Status {
    Status::deadline_exceeded(format!("the readiness probe did not pass within {limit:?}"))
}
