//! A sandbox's network: what is asked for, and the extension that finds its ports.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Result, SandboxId, Secret};

/// Says what a sandbox may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum NetworkPolicy {
    /// Everything outside.
    Open,
    /// Nothing but its own loopback.
    Blocked,
    /// What is listed.
    #[serde(rename_all = "camelCase")]
    AllowList {
        /// Address ranges such as `10.0.0.0/8`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cidrs: Vec<String>,
        /// Names such as `example.com` or `*.example.org`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        domains: Vec<String>,
    },
}

/// Says how a published port is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PortKind {
    /// Through TLS.
    #[default]
    Encrypted,
    /// As plain TCP.
    Plain,
    /// Through TLS with HTTP/2.
    Http2,
}

/// Publishes a port of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortSpec {
    /// The port inside the sandbox, 1 to 65535.
    pub port: u16,
    /// How it is reached.
    #[serde(default)]
    pub kind: PortKind,
}

/// Asks for a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// What the sandbox may reach; without it the provider's default, named in its capabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<NetworkPolicy>,
    /// The key with which the sandbox joins a tailnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tailscale_auth_key: Option<Secret>,
    /// The ports to publish.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortSpec>,
}

/// Says where a published port is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortUrl {
    /// The port inside the sandbox.
    pub port: u16,
    /// The address, such as `https://...` or `tcp://host:1234`.
    pub url: String,
}

/// Finds the addresses of a sandbox's ports.
///
/// Every method can be dropped at any time; each only reads.
#[async_trait]
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Returns the address at which a published port is reached from outside.
    ///
    /// # Behaviour
    /// - A port that was not published is `FailedPrecondition`.
    /// - An unknown or ended sandbox is `NotFound`.
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl>;
}

/// The network of one sandbox.
#[derive(Clone, Debug)]
pub struct NodeNetwork {
    network: Arc<dyn Network>,
    id: SandboxId,
}

impl NodeNetwork {
    /// Ties the extension to a sandbox.
    pub fn new(network: Arc<dyn Network>, id: SandboxId) -> Self {
        Self { network, id }
    }

    /// Returns the address of a published port; see [`Network::url`].
    ///
    /// # Errors
    /// Those of [`Network::url`].
    pub async fn url(&self, port: u16) -> Result<PortUrl> {
        self.network.url(&self.id, port).await
    }
}
