//! What every call needs: the engine, the server's own state, keys, and the news that the server stops.

use crate::{
    auth::{Audience, Guard},
    build::Builds,
    ids,
    reach::Reach,
    record::Recorder,
    router::{files::FileExecs, stdin::StdinStreams},
    state::State,
    status,
};
use http::HeaderMap;
use openlattice_engine::{Engine, SandboxId};
use openlattice_modal_proto::client::CommandRouterAccess;
use std::{future::Future, net::SocketAddr};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Shared by all calls of a server.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) state: State,
    pub(crate) guard: Guard,
    pub(crate) file_execs: FileExecs,
    pub(crate) stdin_streams: StdinStreams,
    pub(crate) reach: Reach,
    pub(crate) builds: Builds,
    pub(crate) stopping: CancellationToken,
    pub(crate) address: SocketAddr,
    pub(crate) advertise: Option<String>,
    pub(crate) recorder: Option<Recorder>,
}

impl Shared {
    /// Runs `future`, which may take long, unless the server stops first.
    pub(crate) async fn hold<T>(&self, future: impl Future<Output = T>) -> Result<T, Status> {
        tokio::select! {
            value = future => Ok(value),
            () = self.stopping.cancelled() => Err(status::stopping()),
        }
    }

    /// Address and token with which a client reaches the command router of `sandbox`.
    pub(crate) fn router_access(
        &self,
        sandbox: &SandboxId,
        headers: &HeaderMap,
    ) -> Result<CommandRouterAccess, Status> {
        let jwt = self.guard.issue(Audience::Router, sandbox.as_str())?;
        Ok(CommandRouterAccess { jwt, url: self.router_url(headers) })
    }

    /// Always `https://`: clients refuse anything else, and the port speaks both (modal-protocol, section 5.5).
    fn router_url(&self, headers: &HeaderMap) -> String {
        let port = self.address.port();
        if let Some(host) = &self.advertise {
            return format!("https://{host}:{port}");
        }
        if !self.address.ip().is_unspecified() {
            return format!("https://{}", self.address);
        }
        let reached = headers.get("x-modal-host").and_then(|value| value.to_str().ok());
        format!("https://{}:{port}", reached.filter(|name| is_host(name)).unwrap_or("127.0.0.1"))
    }

    /// The sandbox of a command router call: its task id must belong to the sandbox that the token is for.
    pub(crate) fn task<T>(request: &tonic::Request<T>, task: &str) -> Result<SandboxId, Status> {
        let sandbox = ids::sandbox_of(task)?;
        let allowed = request.extensions().get::<RouterSubject>().is_some_and(|of| of.0 == sandbox.as_str());
        if allowed {
            Ok(sandbox)
        } else {
            Err(Status::permission_denied(format!("the token is not for task {task}")))
        }
    }
}

/// The sandbox id that a command router token was issued for; carried in a request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct RouterSubject(pub(crate) String);

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}
