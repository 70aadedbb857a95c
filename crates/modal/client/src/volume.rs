//! Volumes that the server stores.

use openlattice_modal_proto::client as wire;

use crate::app::IfMissing;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, Result};
use crate::status::Operation;

const VOLUME_GET_OR_CREATE: Operation = Operation::repeatable("VolumeGetOrCreate");

impl Client {
    /// Looks a stored volume up by its name in the configured environment and gives its id, `vo-...`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a missing volume with [`IfMissing::Fail`].
    pub async fn volume(&self, name: &str, if_missing: IfMissing) -> Result<String> {
        let request = wire::VolumeGetOrCreateRequest {
            deployment_name: name.to_owned(),
            environment_name: self.config().environment().to_owned(),
            object_creation_type: if_missing.on_wire(),
            ..Default::default()
        };
        let send = |mut stub: ControlPlane, request| async move { stub.volume_get_or_create(request).await };
        let reply = self.unary(VOLUME_GET_OR_CREATE, request, send).await?;
        if reply.volume_id.is_empty() {
            return Err(Error::unexpected("the server gave no volume id").during(VOLUME_GET_OR_CREATE.name));
        }
        Ok(reply.volume_id)
    }
}
