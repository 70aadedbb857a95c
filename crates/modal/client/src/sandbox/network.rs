//! Changing what a running sandbox reaches.

use openlattice_modal_proto::task_command_router as wire;

use super::spec::NetworkAccess;
use super::{Sandbox, definition};
use crate::error::Result;
use crate::router::RouterStub;
use crate::status::Operation;

const SET_NETWORK_ACCESS: Operation = Operation::repeatable("TaskSetNetworkAccess");

impl Sandbox {
    /// Changes what the sandbox reaches, from now on.
    ///
    /// Modal's own clients send [`NetworkAccess::Open`] (Python) and [`NetworkAccess::AllowList`]; what a server makes of
    /// [`NetworkAccess::Blocked`] is its own matter. The ranges and names of a list are checked by the server.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) when the server cannot;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the sandbox has ended or never was.
    pub async fn set_network_access(&self, access: &NetworkAccess) -> Result<()> {
        let router = self.router().await?;
        let request = wire::TaskSetNetworkAccessRequest {
            task_id: router.task_id().to_owned(),
            network_access: Some(definition::network(access)),
        };
        let send = |mut stub: RouterStub, request| async move { stub.task_set_network_access(request).await };
        router.unary(SET_NETWORK_ACCESS, request, send).await?;
        Ok(())
    }
}
