//! Snapshots of the file system.

use super::main_container;
use crate::{
    control::{Note, Reply, image},
    shared::Shared,
    status,
};
use openlattice_engine::{SandboxId, SnapshotSpec};
use openlattice_modal_proto::task_command_router as proto;
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

pub(super) async fn file_system(
    shared: &Arc<Shared>,
    request: Request<proto::TaskSnapshotFilesystemRequest>,
) -> Reply<proto::TaskSnapshotFilesystemResponse> {
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    main_container(&request.container_id)?;
    if request.customer_supplied_encryption_key.is_some_and(|key| !key.is_empty()) {
        return Err(status::unsupported(
            "customer_supplied_encryption_key",
            "leave it out; encrypt the store's disk",
        ));
    }
    let mut spec = SnapshotSpec::default();
    spec.key = (!request.snapshot_id.is_empty()).then_some(request.snapshot_id);
    spec.ttl = ttl(request.ttl_seconds)?;
    let image_id = take(shared, &sandbox, spec).await?;
    Ok(Response::new(proto::TaskSnapshotFilesystemResponse { image_id }))
}

/// Snapshots a sandbox and returns the image's id. What the sandbox's image set on top of its files stays set: its command in the
/// engine's image, where that can have it, so that an image that sets nothing else is the engine's own, which every front knows.
pub(crate) async fn take(
    shared: &Shared,
    sandbox: &SandboxId,
    mut spec: SnapshotSpec,
) -> Result<String, Status> {
    let info = shared.engine.sandbox(sandbox).await.map_err(status::from_engine)?;
    let config = match shared.state.built_image(&Note::of(&info).modal_image).await? {
        Some(built) => {
            serde_json::from_str(&built.config).map_err(|error| Status::data_loss(error.to_string()))?
        }
        None => image::ImageConfig::default(),
    };
    spec.command = config.sole_command().map(<[String]>::to_vec);
    let taken = shared.engine.snapshot(sandbox, spec).await.map_err(status::from_engine)?;
    image::keep(shared, &taken, config).await
}

/// -1 is for ever.
fn ttl(seconds: Option<i64>) -> Result<Option<Duration>, Status> {
    match seconds {
        None | Some(-1) => Ok(None),
        Some(seconds) if seconds > 0 => Ok(Some(Duration::from_secs(seconds.unsigned_abs()))),
        Some(odd) => {
            Err(Status::invalid_argument(format!("ttl_seconds {odd} must be positive, or -1 for ever")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_live() {
        assert_eq!(ttl(None).unwrap(), None);
        assert_eq!(ttl(Some(-1)).unwrap(), None);
        assert_eq!(ttl(Some(60)).unwrap(), Some(Duration::from_secs(60)));
        assert!(ttl(Some(0)).is_err() && ttl(Some(-2)).is_err());
    }
}
