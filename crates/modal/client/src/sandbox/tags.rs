//! Labels and the name of a sandbox that exists.

use std::collections::BTreeMap;

use openlattice_modal_proto::client as wire;

use super::{Sandbox, by_generation, definition};
use crate::client::ControlPlane;
use crate::error::Result;
use crate::status::Operation;

const SET_NAME: Operation = Operation::repeatable("SandboxSetName");

impl Sandbox {
    /// Gives the sandbox's labels.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the server does not know it.
    pub async fn tags(&self) -> Result<BTreeMap<String, String>> {
        let request = wire::SandboxTagsGetRequest { sandbox_id: self.id().to_owned() };
        let reply = by_generation!(self,
            "SandboxTagsGet" sandbox_tags_get, "SandboxTagsGetV2" sandbox_tags_get_v2, request)?;
        Ok(reply.tags.into_iter().map(|tag| (tag.tag_name, tag.tag_value)).collect())
    }

    /// Replaces all of the sandbox's labels.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for labels that the server refuses.
    pub async fn set_tags(&self, tags: &BTreeMap<String, String>) -> Result<()> {
        let request = wire::SandboxTagsSetRequest {
            environment_name: self.client().config().environment().to_owned(),
            sandbox_id: self.id().to_owned(),
            tags: definition::tags(tags),
        };
        by_generation!(self,
            "SandboxTagsSet" sandbox_tags_set, "SandboxTagsSetV2" sandbox_tags_set_v2, request)
    }

    /// Names a running sandbox of generation 2 that has no name yet.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) when the name is taken;
    /// [`ErrorKind::FailedPrecondition`](crate::ErrorKind::FailedPrecondition) when it has a name or has ended.
    pub async fn set_name(&self, name: &str) -> Result<()> {
        let request = wire::SandboxSetNameRequest { sandbox_id: self.id().to_owned(), name: name.to_owned() };
        let send = |mut stub: ControlPlane, request| async move { stub.sandbox_set_name(request).await };
        self.client().unary(self.call(SET_NAME), request, send).await?;
        Ok(())
    }
}
