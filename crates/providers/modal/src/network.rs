//! The extension that finds the addresses of ports, and changes what a sandbox reaches.

use std::fmt;
use std::sync::Arc;

use openlattice::{
    Capabilities, Error, ErrorKind, Network, NetworkPolicy, PortUrl, Result, SandboxId, Subject, async_trait,
};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::is_gone;
use crate::error::Attempt;
use crate::plan;

const URL: Attempt = Attempt("port url");
const PORTS: Attempt = Attempt("list ports");
const SET_POLICY: Attempt = Attempt("set policy");

/// Finds ports through Modal's tunnels.
pub(crate) struct ModalNetwork {
    account: Arc<Account>,
    offer: Arc<Capabilities>,
}

impl ModalNetwork {
    pub(crate) fn new(account: Arc<Account>, offer: Arc<Capabilities>) -> Self {
        Self { account, offer }
    }

    /// Gives the tunnels; a server without tunnels cannot have published a port.
    async fn tunnels(&self, id: &SandboxId, attempt: Attempt) -> Result<Vec<PortUrl>> {
        let sandbox = self.account.sandbox(id);
        require_running(&sandbox, id, attempt).await?;
        let tunnels = match sandbox.tunnels().await {
            Err(error) if error.kind() == modal::ErrorKind::Unsupported => Vec::new(),
            tunnels => tunnels.map_err(|error| refused(error, id, attempt))?,
        };
        let mut urls: Vec<_> = tunnels.iter().filter_map(url).collect();
        urls.sort_by_key(|url| url.port);
        Ok(urls)
    }
}

/// The address of a tunnel; one to what cannot be a port leads nowhere.
fn url(tunnel: &modal::Tunnel) -> Option<PortUrl> {
    let port = u16::try_from(tunnel.container_port).ok()?;
    let url = match &tunnel.plain {
        Some((host, port)) => format!("tcp://{host}:{port}"),
        None => tunnel.url(),
    };
    Some(PortUrl { port, url })
}

/// Refuses a sandbox that is unknown or has ended.
async fn require_running(sandbox: &modal::Sandbox, id: &SandboxId, attempt: Attempt) -> Result<()> {
    match sandbox.poll().await {
        Ok(modal::SandboxStatus::Running) => Ok(()),
        Ok(modal::SandboxStatus::Ended(_)) => Err(missing(id, attempt)),
        Err(error) if is_gone(id.as_str(), &error) => Err(missing(id, attempt)),
        Err(error) => Err(refused(error, id, attempt)),
    }
}

/// An id that the server takes for malformed is unknown.
fn refused(error: modal::Error, id: &SandboxId, attempt: Attempt) -> Error {
    let error = attempt.about(Subject::Sandbox)(error);
    if error.kind() == ErrorKind::InvalidArgument { missing(id, attempt) } else { error }
}

#[async_trait]
impl Network for ModalNetwork {
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl> {
        let found = self.tunnels(id, URL).await?.into_iter().find(|found| found.port == port);
        let unpublished = || {
            Error::new(ErrorKind::FailedPrecondition, URL.0, format!("port {port} was not published"))
                .with_hint("name it in network.ports when the sandbox is made")
        };
        found.ok_or_else(unpublished)
    }

    async fn ports(&self, id: &SandboxId) -> Result<Vec<PortUrl>> {
        self.tunnels(id, PORTS).await
    }

    async fn set_policy(&self, id: &SandboxId, policy: NetworkPolicy) -> Result<()> {
        self.offer.check_set_policy(&policy)?;
        let sandbox = self.account.sandbox(id);
        require_running(&sandbox, id, SET_POLICY).await?;
        let set = sandbox.set_network_access(&plan::access(&policy)).await;
        set.map_err(SET_POLICY.about(Subject::Sandbox))
    }
}

fn missing(id: &SandboxId, attempt: Attempt) -> Error {
    Error::new(ErrorKind::NotFound, attempt.0, format!("no running sandbox {id}"))
        .with_subject(Subject::Sandbox)
}

impl fmt::Debug for ModalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalNetwork").finish_non_exhaustive()
    }
}
