//! The extension that finds the addresses of ports.

use std::fmt;
use std::sync::Arc;

use openlattice::{Error, ErrorKind, Network, PortUrl, Result, SandboxId, Subject, async_trait};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::is_gone;
use crate::error::Attempt;

const URL: Attempt = Attempt("port url");

/// Finds ports through Modal's tunnels.
pub(crate) struct ModalNetwork {
    account: Arc<Account>,
}

impl ModalNetwork {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// Gives the tunnels; a server without tunnels cannot have published a port.
    async fn tunnels(&self, id: &SandboxId) -> Result<Vec<modal::Tunnel>> {
        let sandbox = self.account.sandbox(id);
        let gone = |error: modal::Error| {
            let error = URL.about(Subject::Sandbox)(error);
            if error.kind() == ErrorKind::InvalidArgument { missing(id) } else { error }
        };
        match sandbox.poll().await {
            Ok(modal::SandboxStatus::Running) => {}
            Ok(modal::SandboxStatus::Ended(_)) => return Err(missing(id)),
            Err(error) if is_gone(&error) => return Err(missing(id)),
            Err(error) => return Err(gone(error)),
        }
        match sandbox.tunnels().await {
            Err(error) if error.kind() == modal::ErrorKind::Unsupported => Ok(Vec::new()),
            tunnels => tunnels.map_err(gone),
        }
    }
}

#[async_trait]
impl Network for ModalNetwork {
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl> {
        let tunnels = self.tunnels(id).await?;
        let found = tunnels.into_iter().find(|tunnel| tunnel.container_port == u32::from(port));
        let unpublished = || {
            Error::new(ErrorKind::FailedPrecondition, URL.0, format!("port {port} was not published"))
                .with_hint("name it in network.ports when the sandbox is made")
        };
        let tunnel = found.ok_or_else(unpublished)?;
        let url = match &tunnel.plain {
            Some((host, port)) => format!("tcp://{host}:{port}"),
            None => tunnel.url(),
        };
        Ok(PortUrl { port, url })
    }
}

fn missing(id: &SandboxId) -> Error {
    Error::new(ErrorKind::NotFound, URL.0, format!("no running sandbox {id}")).with_subject(Subject::Sandbox)
}

impl fmt::Debug for ModalNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalNetwork").finish_non_exhaustive()
    }
}
