//! Finding a sandbox by its name.

use openlattice_modal_proto::client as wire;

use super::Sandbox;
use crate::client::{Client, ControlPlane};
use crate::error::{ErrorKind, Result};
use crate::status::Operation;

const FROM_NAME_V1: Operation = Operation::repeatable("SandboxGetFromName");
const FROM_NAME_V2: Operation = Operation::repeatable("SandboxGetFromNameV2");

impl Client {
    /// Finds an app's sandbox by its name, among the running ones or also among the ended ones.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none.
    pub async fn sandbox_by_name(&self, app: &str, name: &str, include_ended: bool) -> Result<Sandbox> {
        let request = wire::SandboxGetFromNameRequest {
            sandbox_name: name.to_owned(),
            environment_name: self.config().environment().to_owned(),
            app_name: app.to_owned(),
            include_terminated: include_ended,
        };
        let newer =
            |mut stub: ControlPlane, request| async move { stub.sandbox_get_from_name_v2(request).await };
        let reply = match self.unary(FROM_NAME_V2, request.clone(), newer).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let older = |mut stub: ControlPlane, request| async move {
                    stub.sandbox_get_from_name(request).await
                };
                self.unary(FROM_NAME_V1, request, older).await?
            }
            reply => reply?,
        };
        Ok(self.sandbox(&reply.sandbox_id))
    }
}
