//! Access to the command router: an address and a token for one sandbox.

use super::{Reply, sandbox::living};
use crate::{ids, shared::Shared};
use openlattice_modal_proto::client::{
    SandboxGetCommandRouterAccessRequest, SandboxGetCommandRouterAccessResponse,
    TaskGetCommandRouterAccessRequest, TaskGetCommandRouterAccessResponse,
    sandbox_get_command_router_access_request::Target,
};
use tonic::{Request, Response, Status};

pub(super) async fn of_task(
    shared: &Shared,
    request: Request<TaskGetCommandRouterAccessRequest>,
) -> Reply<TaskGetCommandRouterAccessResponse> {
    let headers = request.metadata().as_ref().clone();
    let sandbox = ids::sandbox_of(&request.into_inner().task_id)?;
    let info = living(shared, &sandbox).await?;
    let access = shared.router_access(&info.id, &headers)?;
    Ok(Response::new(TaskGetCommandRouterAccessResponse { jwt: access.jwt, url: access.url }))
}

pub(super) async fn of_sandbox(
    shared: &Shared,
    request: Request<SandboxGetCommandRouterAccessRequest>,
) -> Reply<SandboxGetCommandRouterAccessResponse> {
    let headers = request.metadata().as_ref().clone();
    let sandbox = match request.into_inner().target {
        Some(Target::SandboxId(id)) => ids::sandbox(&id)?,
        Some(Target::TaskId(id)) => ids::sandbox_of(&id)?,
        None => return Err(Status::invalid_argument("neither sandbox_id nor task_id is given")),
    };
    let info = living(shared, &sandbox).await?;
    let access = shared.router_access(&info.id, &headers)?;
    let reply =
        SandboxGetCommandRouterAccessResponse { jwt: access.jwt, url: access.url, ..Default::default() };
    Ok(Response::new(reply))
}
