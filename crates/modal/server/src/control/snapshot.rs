//! The old file system snapshot call of the control plane.

use super::Reply;
use crate::{ids, result, router::snapshot, shared::Shared};
use openlattice_engine::SnapshotSpec;
use openlattice_modal_proto::client::{SandboxSnapshotFsRequest, SandboxSnapshotFsResponse};
use tonic::Response;

pub(super) async fn legacy(
    shared: &Shared,
    request: SandboxSnapshotFsRequest,
) -> Reply<SandboxSnapshotFsResponse> {
    let sandbox = ids::sandbox(&request.sandbox_id)?;
    let image_id = snapshot::take(shared, &sandbox, SnapshotSpec::default()).await?;
    Ok(Response::new(SandboxSnapshotFsResponse {
        image_id,
        result: Some(result::success()),
        ..Default::default()
    }))
}
