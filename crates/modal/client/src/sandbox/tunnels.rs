//! The addresses under which a sandbox's ports are reached.

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::generic_result::GenericStatus;

use super::{Sandbox, by_generation};
use crate::error::{Error, ErrorKind, Result, Retry};

/// How long the server is asked to wait for the tunnels, in seconds.
const HOLD: f32 = 50.0;

/// The way to one port of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    /// The port inside the sandbox.
    pub container_port: u32,
    /// The host and port that speak TLS.
    pub encrypted: (String, u32),
    /// The host and port that speak plain TCP, where the port was asked for so.
    pub plain: Option<(String, u32)>,
}

impl Tunnel {
    /// Gives the address as a URL: `https://host[:port]`.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.encrypted {
            (host, 443) => format!("https://{host}"),
            (host, port) => format!("https://{host}:{port}"),
        }
    }
}

impl Sandbox {
    /// Gives the ways to all ports that the sandbox was made with.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when the sandbox did not start in time.
    pub async fn tunnels(&self) -> Result<Vec<Tunnel>> {
        let request = wire::SandboxGetTunnelsRequest { sandbox_id: self.id().to_owned(), timeout: HOLD };
        let reply = by_generation!(self,
            "SandboxGetTunnels" sandbox_get_tunnels, "SandboxGetTunnelsV2" sandbox_get_tunnels_v2, request)?;
        if reply.result.is_some_and(|result| result.status() == GenericStatus::Timeout) {
            let text = "the sandbox's ports were not open in time";
            return Err(Error::new(ErrorKind::Timeout, text)
                .with_retry(Retry::Safe)
                .during("SandboxGetTunnels"));
        }
        Ok(reply.tunnels.into_iter().map(tunnel).collect())
    }
}

fn tunnel(data: wire::TunnelData) -> Tunnel {
    let plain = data.unencrypted_host.filter(|host| !host.is_empty()).zip(data.unencrypted_port);
    Tunnel { container_port: data.container_port, encrypted: (data.host, data.port), plain }
}
