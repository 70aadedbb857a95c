//! The ways to a sandbox's published ports.

use super::{Note, Reply};
use crate::{
    deadline::{Deadline, seconds},
    ids, reach, result,
    shared::Shared,
    status,
};
use openlattice_engine::{SandboxId, SandboxInfo, SandboxState};
use openlattice_modal_proto::client::{
    GenericResult, SandboxGetTunnelsRequest, SandboxGetTunnelsResponse, generic_result::GenericStatus,
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// How often a sandbox that is being made is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Answers once the sandbox runs, or that it took too long. `FAILED_PRECONDITION` when one with ports has ended.
pub(super) async fn get(
    shared: &Arc<Shared>,
    request: Request<SandboxGetTunnelsRequest>,
) -> Reply<SandboxGetTunnelsResponse> {
    let deadline = Deadline::of(&request);
    let request = request.into_inner();
    let limit = Deadline::shorten(deadline, seconds(request.timeout));
    let id = ids::sandbox(&request.sandbox_id)?;
    let Some(info) = shared.hold(made(shared, &id, limit)).await?? else {
        return Ok(Response::new(SandboxGetTunnelsResponse { result: Some(late()), ..Default::default() }));
    };
    if !info.is_living() && !Note::of(&info).reach.ports.is_empty() {
        return Err(Status::failed_precondition(format!("sandbox {id} has ended")));
    }
    let tunnels = reach::attach(shared, &info).await?.tunnels.clone();
    Ok(Response::new(SandboxGetTunnelsResponse { result: Some(result::success()), tunnels }))
}

/// The sandbox once it is made; `None` when that takes longer than `limit`.
async fn made(shared: &Shared, id: &SandboxId, limit: Duration) -> Result<Option<SandboxInfo>, Status> {
    let start = Instant::now();
    loop {
        let info = shared.engine.sandbox(id).await.map_err(status::from_engine)?;
        if info.state != SandboxState::Creating {
            return Ok(Some(info));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn late() -> GenericResult {
    let exception = "the sandbox was not running in time".to_owned();
    GenericResult { status: GenericStatus::Timeout.into(), exception, ..Default::default() }
}
