//! A sandbox's network: what is asked for, and the extension that finds its ports.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, SandboxId, Secret};

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

impl NetworkPolicy {
    /// Checks what is malformed whoever serves it; `operation` names the call in the error.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the field and the malformed range or name.
    pub fn validate(&self, operation: &'static str) -> Result<()> {
        let Self::AllowList { cidrs, domains } = self else { return Ok(()) };
        if let Some(cidr) = cidrs.iter().find(|cidr| !is_cidr(cidr)) {
            let text = format_args!("has {cidr:?}, which is no address range");
            return Err(Error::invalid(operation, "network.policy.allowList.cidrs", text)
                .with_hint("write a range like 10.0.0.0/8, one address like 192.0.2.7/32"));
        }
        if let Some(domain) = domains.iter().find(|domain| !is_domain(domain)) {
            let text = format_args!("has {domain:?}, which is no name of a host");
            return Err(Error::invalid(operation, "network.policy.allowList.domains", text)
                .with_hint("write a name like example.com or *.example.com, without scheme, port or path"));
        }
        Ok(())
    }
}

/// An address and the length of its prefix (RFC 4632, RFC 4291).
fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.bytes().all(|byte| byte.is_ascii_digit())
        && length.parse::<u8>().is_ok_and(|length| length <= longest)
}

/// A host name (RFC 1123, with `_` as name servers take it), with `*` for all, or for its first label.
fn is_domain(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    text == "*" || (text.len() <= 253 && name.split('.').all(label))
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
    /// The port of the provider's machine at which a plain port is reached, 1 to 65535; without it the provider chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<u16>,
}

impl PortSpec {
    /// Publishes a port where the provider chooses.
    pub fn new(port: u16, kind: PortKind) -> Self {
        Self { port, kind, host_port: None }
    }
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

/// Finds the addresses of a sandbox's ports, and changes what it reaches.
#[async_trait]
pub trait Network: fmt::Debug + Send + Sync + 'static {
    /// Returns the address at which a published port is reached from outside.
    ///
    /// # Behaviour
    /// - A port that was not published is `FailedPrecondition`.
    /// - An unknown or ended sandbox is `NotFound`.
    ///
    /// It only reads, and can be dropped at any time.
    async fn url(&self, id: &SandboxId, port: u16) -> Result<PortUrl>;

    /// Lists the addresses of all published ports, by their numbers inside.
    ///
    /// # Behaviour
    /// - A sandbox without published ports has an empty list.
    /// - An unknown or ended sandbox is `NotFound`.
    ///
    /// It only reads, and can be dropped at any time.
    async fn ports(&self, id: &SandboxId) -> Result<Vec<PortUrl>>;

    /// Changes what a running sandbox may reach, from now on; a policy that it has already is success.
    ///
    /// # Requires
    /// What `capabilities.networking.change_policy` says of the new policy.
    ///
    /// # Behaviour
    /// - A policy that is malformed is `InvalidArgument` and one that cannot be changed to is `Unsupported`, before anything is sent
    ///   ([`Capabilities::check_set_policy`](crate::Capabilities::check_set_policy)).
    /// - An unknown or ended sandbox is `NotFound`.
    ///
    /// A dropped call may have changed it; repeating is safe.
    async fn set_policy(&self, id: &SandboxId, policy: NetworkPolicy) -> Result<()>;
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

    /// Lists the addresses of all published ports; see [`Network::ports`].
    ///
    /// # Errors
    /// Those of [`Network::ports`].
    pub async fn ports(&self) -> Result<Vec<PortUrl>> {
        self.network.ports(&self.id).await
    }

    /// Changes what the sandbox may reach; see [`Network::set_policy`].
    ///
    /// # Errors
    /// Those of [`Network::set_policy`].
    pub async fn set_policy(&self, policy: NetworkPolicy) -> Result<()> {
        self.network.set_policy(&self.id, policy).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refused(cidrs: &[&str], domains: &[&str]) -> Option<Error> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let policy = NetworkPolicy::AllowList { cidrs: texts(cidrs), domains: texts(domains) };
        policy.validate("set policy").err()
    }

    #[test]
    fn g6_malformed_ranges_and_names_are_named() {
        assert!(refused(&["10.0.0.0/8", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32"], &[]).is_none());
        for cidr in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::/129",
            "/8",
            "a/8",
            "10.0.0.0/",
        ] {
            let error = refused(&["10.0.0.0/8", cidr], &[]).expect(cidr);
            assert_eq!(error.field(), Some("network.policy.allowList.cidrs"));
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(cidr), "{error}");
        }
        assert!(
            refused(&[], &["example.com", "*.example.org", "*", "a_b.c", "xn--bcher-kva.example"]).is_none()
        );
        let long = format!("{}.com", "a".repeat(64));
        for domain in [
            "",
            "*.",
            "https://x.org",
            "x.org:443",
            "x.org/p",
            "a..b",
            "-a.org",
            "a-.org",
            "a.*.org",
            "b c",
            &long,
        ] {
            let error = refused(&[], &["example.com", domain]).expect(domain);
            assert_eq!(error.field(), Some("network.policy.allowList.domains"));
            assert!(error.to_string().contains(&format!("{domain:?}")), "{error}");
        }
    }
}
