//! Making a sandbox.

use openlattice_modal_proto::client as wire;

use super::definition::{definition, secret_sources, tags};
use super::{Generation, Sandbox, SandboxSpec};
use crate::app::App;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, Result};
use crate::headers::sensitive;
use crate::router::Router;
use crate::secret::Secret;
use crate::status::Operation;
use crate::stored_secret::SecretSource;
use crate::warning;

const CREATE_V1: Operation = Operation::creates("SandboxCreate");
const CREATE_V2: Operation = Operation::creates("SandboxCreateV2");

impl Client {
    /// Makes a sandbox and returns once it has a machine.
    ///
    /// A GPU, or a configuration that says so, makes it of generation 1; its variables are then stored on the server for its life.
    /// When the future is dropped the sandbox may exist: give it a name or a tag to find it by.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) before anything is sent for a relative working directory, an
    /// endless command or no life time; [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) when the name is taken;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown image; [`ErrorKind::ResourceExhausted`](crate::ErrorKind::ResourceExhausted)
    /// when no machine was found in 21 minutes; [`ErrorKind::FailedPrecondition`](crate::ErrorKind::FailedPrecondition) when it ended before
    /// it had one. After an error that is not the server's refusal the sandbox may exist.
    pub async fn create_sandbox(&self, app: &App, spec: &SandboxSpec) -> Result<Sandbox> {
        spec.check()?;
        if spec.gpu.is_some() || !self.config().sandbox_v2 {
            return self.create_v1(app, spec).await;
        }
        self.create_v2(app, spec).await
    }

    async fn create_v2(&self, app: &App, spec: &SandboxSpec) -> Result<Sandbox> {
        let request = wire::SandboxCreateV2Request {
            app_id: app.id().to_owned(),
            definition: Some(definition(spec, stored(&spec.secrets))),
            tags: tags(&spec.tags),
            secret_sources: secret_sources(&spec.secrets, &spec.env),
            ..Default::default()
        };
        let send = |mut stub: ControlPlane, request| async move { stub.sandbox_create_v2(request).await };
        let (metadata, reply, _) = self.unary_reply(CREATE_V2, request, send).await?.into_parts();
        check_id(&reply.sandbox_id, CREATE_V2)?;
        let token = Secret::new(reply.sandbox_token);
        let token = if token.is_empty() { None } else { Some(sensitive(&token, "the sandbox token")?) };
        let sandbox = Sandbox::new(self.clone(), &reply.sandbox_id, token, warning::read(&metadata));
        sandbox.keep_task(&reply.task_id);
        if let Some(access) = reply.command_router_access.filter(|_| !reply.task_id.is_empty()) {
            let router = Router::with_access(&sandbox, &reply.task_id, access.url, access.jwt)?;
            sandbox.keep_router(router);
        }
        Ok(sandbox)
    }

    async fn create_v1(&self, app: &App, spec: &SandboxSpec) -> Result<Sandbox> {
        let secrets = self.all_stored(spec).await?;
        let request = wire::SandboxCreateRequest {
            app_id: app.id().to_owned(),
            definition: Some(definition(spec, secrets)),
            environment_name: self.config().environment().to_owned(),
            tags: tags(&spec.tags),
        };
        let send = |mut stub: ControlPlane, request| async move { stub.sandbox_create(request).await };
        let (metadata, reply, _) = self.unary_reply(CREATE_V1, request, send).await?.into_parts();
        check_id(&reply.sandbox_id, CREATE_V1)?;
        let sandbox = Sandbox::new(self.clone(), &reply.sandbox_id, None, warning::read(&metadata));
        if sandbox.generation() == Generation::V1 {
            sandbox.wait_until_scheduled().await?;
        }
        Ok(sandbox)
    }

    /// Stores what is not stored yet: generation 1 takes ids only.
    async fn all_stored(&self, spec: &SandboxSpec) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let env = SecretSource::Values(spec.env.clone());
        for source in spec.secrets.iter().chain([&env]) {
            match source {
                SecretSource::Stored(id) => ids.push(id.as_str().to_owned()),
                SecretSource::Values(values) if values.is_empty() => {}
                SecretSource::Values(values) => {
                    ids.push(self.ephemeral_secret(values).await?.as_str().to_owned());
                }
            }
        }
        Ok(ids)
    }
}

/// The ids of those that the server stores.
fn stored(sources: &[SecretSource]) -> Vec<String> {
    let id = |source: &SecretSource| match source {
        SecretSource::Stored(id) => Some(id.as_str().to_owned()),
        SecretSource::Values(_) => None,
    };
    sources.iter().filter_map(id).collect()
}

fn check_id(id: &str, operation: Operation) -> Result<()> {
    if id.is_empty() {
        return Err(Error::unexpected("the server gave no sandbox id").during(operation.name));
    }
    Ok(())
}
