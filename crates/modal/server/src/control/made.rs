//! The two create calls: what each generation sends and gets back.

use super::{
    Reply,
    create::{CreateCall, create},
    repeat,
    sandbox::metadata,
};
use crate::{
    ids::{self, Generation},
    shared::Shared,
    trailers::Trailers,
};
use openlattice_modal_proto::client::{
    SandboxCreateRequest, SandboxCreateResponse, SandboxCreateV2Request, SandboxCreateV2Response,
};
use std::{collections::HashMap, sync::Arc};
use tonic::{Request, Status};

pub(super) async fn first(
    shared: &Arc<Shared>,
    request: Request<SandboxCreateRequest>,
) -> Reply<SandboxCreateResponse> {
    let key = repeat::key(request.metadata().as_ref());
    let request = request.into_inner();
    let call = CreateCall {
        generation: Generation::First,
        key,
        app_id: request.app_id,
        definition: request.definition.ok_or_else(no_definition)?,
        ephemeral: HashMap::new(),
        sources: Vec::new(),
        tags: request.tags,
    };
    let (info, warnings) = create(shared, call).await?;
    let metadata = Some(metadata(&info));
    Ok(warned(&warnings).on(SandboxCreateResponse { sandbox_id: info.id.to_string(), metadata }))
}

pub(super) async fn second(
    shared: &Arc<Shared>,
    request: Request<SandboxCreateV2Request>,
) -> Reply<SandboxCreateV2Response> {
    let headers = request.metadata().as_ref().clone();
    let request = request.into_inner();
    if !request.cloud_bucket_mount_credentials.is_empty() {
        return Err(crate::status::unsupported("cloud_bucket_mount_credentials", "leave bucket mounts out"));
    }
    let call = CreateCall {
        generation: Generation::Second,
        key: repeat::key(&headers),
        app_id: request.app_id,
        definition: request.definition.ok_or_else(no_definition)?,
        ephemeral: request.ephemeral_secrets.unwrap_or_default().contents,
        sources: request.secret_sources,
        tags: request.tags,
    };
    let (info, warnings) = create(shared, call).await?;
    let reply = SandboxCreateV2Response {
        sandbox_id: info.id.to_string(),
        task_id: ids::task_of(&info.id),
        metadata: Some(metadata(&info)),
        tunnels: shared.reach.tunnels(&info.id).await,
        command_router_access: Some(shared.router_access(&info.id, &headers)?),
        ..Default::default()
    };
    Ok(warned(&warnings).on(reply))
}

fn warned(warnings: &[String]) -> Trailers {
    let trailers = Trailers::default();
    for text in warnings {
        trailers.warn(text);
    }
    trailers
}

fn no_definition() -> Status {
    Status::invalid_argument("definition is missing")
}
