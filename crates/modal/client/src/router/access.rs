//! Where a command router is and the token it wants.
//!
//! A token is one sandbox's; a connection to the same address serves many sandboxes.

use std::time::{Duration, SystemTime};

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::sandbox_get_command_router_access_request::Target;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};

use super::connections::Lease;
use crate::client::{Call, Client, ControlPlane};
use crate::error::{Error, ErrorKind, Result};
use crate::headers::sensitive;
use crate::jwt;
use crate::sandbox::Generation;
use crate::secret::Secret;
use crate::server_url::ServerUrl;
use crate::status::Operation;

const ACCESS_V1: Operation = Operation::repeatable("TaskGetCommandRouterAccess");
const ACCESS_V2: Operation = Operation::repeatable("SandboxGetCommandRouterAccess");
/// A token is renewed this long before it ends.
const AHEAD: Duration = Duration::from_secs(30);

/// Whom to ask for access.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) client: Client,
    pub(crate) generation: Generation,
    pub(crate) sandbox_id: String,
    pub(crate) task_id: String,
    pub(crate) token: Option<MetadataValue<Ascii>>,
}

/// The address and token in use. One call renews them; the others wait for that call.
pub(super) struct AccessCache {
    source: Source,
    state: Mutex<Option<Access>>,
}

struct Access {
    server: ServerUrl,
    url: String,
    bearer: MetadataValue<Ascii>,
    renew_at: Option<Instant>,
}

impl AccessCache {
    pub(super) fn new(source: Source) -> Self {
        Self { source, state: Mutex::new(None) }
    }

    pub(super) fn with(source: Source, url: &str, jwt: String) -> Result<Self> {
        let access = source.open(url, jwt)?;
        Ok(Self { source, state: Mutex::new(Some(access)) })
    }

    /// Gives a connection and a token, asking for access where there is none or the token is about to end.
    pub(super) async fn get(&self) -> Result<(Lease, MetadataValue<Ascii>)> {
        let mut state = self.state.lock().await;
        let due = state.as_ref().is_none_or(|access| access.renew_at.is_some_and(|at| Instant::now() >= at));
        if due {
            self.source.renew(&mut state).await?;
        }
        let access = state.as_ref().expect("access was there or has just been asked for");
        Ok((self.source.client.router_connection(&access.server)?, access.bearer.clone()))
    }

    pub(super) fn throttle_cap(&self) -> Option<Duration> {
        self.source.client.config().max_throttle_wait
    }

    /// Replaces the token if it is still the refused one.
    pub(super) async fn renew(&self, refused: &MetadataValue<Ascii>) -> Result<()> {
        let mut state = self.state.lock().await;
        if state.as_ref().is_some_and(|access| access.bearer != *refused) {
            return Ok(());
        }
        self.source.renew(&mut state).await
    }
}

impl Source {
    /// Asks for access. The address should stay the same.
    async fn renew(&self, state: &mut Option<Access>) -> Result<()> {
        let (url, jwt) = self.ask().await?;
        let (bearer, renew_at) = bearer(jwt)?;
        match state {
            Some(access) if access.url == url => {
                access.bearer = bearer;
                access.renew_at = renew_at;
            }
            _ => *state = Some(Access { server: self.server(&url)?, url, bearer, renew_at }),
        }
        Ok(())
    }

    fn open(&self, url: &str, jwt: String) -> Result<Access> {
        let (bearer, renew_at) = bearer(jwt)?;
        Ok(Access { server: self.server(url)?, url: url.to_owned(), bearer, renew_at })
    }

    fn server(&self, url: &str) -> Result<ServerUrl> {
        self.client.config().server.router(url)
    }

    async fn ask(&self) -> Result<(String, String)> {
        match self.generation {
            Generation::V1 => self.ask_by_task().await,
            Generation::V2 => self.ask_by_sandbox().await,
        }
        .map_err(ended)
    }

    async fn ask_by_task(&self) -> Result<(String, String)> {
        let request = wire::TaskGetCommandRouterAccessRequest { task_id: self.task_id.clone() };
        let send = |mut stub: ControlPlane, request| async move {
            stub.task_get_command_router_access(request).await
        };
        let reply = self.client.unary(ACCESS_V1, request, send).await?;
        Ok((reply.url, reply.jwt))
    }

    async fn ask_by_sandbox(&self) -> Result<(String, String)> {
        let request = wire::SandboxGetCommandRouterAccessRequest {
            target: Some(Target::SandboxId(self.sandbox_id.clone())),
        };
        let call = Call::from(ACCESS_V2).with_sandbox_token(self.token.clone());
        let send = |mut stub: ControlPlane, request| async move {
            stub.sandbox_get_command_router_access(request).await
        };
        let reply = self.client.unary(call, request, send).await?;
        Ok((reply.url, reply.jwt))
    }
}

/// The server says of an ended sandbox that a precondition failed; for a command it is simply not there any more.
fn ended(error: Error) -> Error {
    if error.kind() == ErrorKind::FailedPrecondition { error.with_kind(ErrorKind::NotFound) } else { error }
}

fn bearer(jwt: String) -> Result<(MetadataValue<Ascii>, Option<Instant>)> {
    // Without a date the token is used until it is refused.
    let left = jwt::remaining(&jwt, SystemTime::now());
    let renew_at = left.and_then(|left| Instant::now().checked_add(left.saturating_sub(AHEAD).max(left / 2)));
    let value = sensitive(&Secret::new(format!("Bearer {jwt}")), "the command router's token")?;
    Ok((value, renew_at))
}
