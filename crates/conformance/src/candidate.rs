//! What is judged.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use openlattice::{ComputeProvider, GpuType, RegistryCredentials, Secret};

use crate::difference::Differences;

/// Says what the suite needs to know beyond the contract.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name that the provider must have.
    pub name: &'static str,
    /// An image with the programs that the crate documentation lists.
    pub image: String,
    /// An image reference that does not exist.
    pub missing_image: String,
    /// A public image of a registry; without one, pulling is not judged.
    pub registry_image: Option<String>,
    /// An image that its registry gives for these credentials only, with `/bin/sh`; without one, credentials are not judged.
    pub private_image: Option<(String, RegistryCredentials)>,
    /// An image whose own command (`ENTRYPOINT` and `CMD`) leaves the file `/tmp/own-command` and ends at once; without one, what
    /// becomes of such a command is not judged.
    pub image_with_command: Option<String>,
    /// A GPU type that can be had here; without one, a granted GPU is not judged.
    pub gpu: Option<GpuType>,
    /// A key with which a sandbox can join a tailnet here; without one, joining is not judged.
    pub tailscale_auth_key: Option<Secret>,
    /// How long one test may take before it counts as hanging.
    pub deadline: Duration,
    /// What the provider is known to do otherwise; nothing as a rule.
    pub differences: Differences,
}

impl Settings {
    /// Describes a provider with a name and an image, and nothing else that could be judged.
    pub fn new(name: &'static str, image: impl Into<String>) -> Self {
        Self {
            name,
            image: image.into(),
            missing_image: "openlattice.invalid/no-such-image:0".to_owned(),
            registry_image: None,
            private_image: None,
            image_with_command: None,
            gpu: None,
            tailscale_auth_key: None,
            deadline: Duration::from_secs(60),
            differences: Differences::default(),
        }
    }
}

/// Holds a provider with what the suite needs to judge it.
pub struct Candidate {
    pub(crate) provider: Arc<dyn ComputeProvider>,
    pub(crate) settings: Settings,
    pub(crate) peer: Option<Arc<dyn ComputeProvider>>,
    pub(crate) unreachable: Option<Arc<dyn ComputeProvider>>,
    _kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl Candidate {
    /// Holds a provider.
    pub fn new(provider: Arc<dyn ComputeProvider>, settings: Settings) -> Self {
        Self { provider, settings, peer: None, unreachable: None, _kept: Vec::new() }
    }

    /// Adds a second instance over the same store or account, made independently as another process would; it judges
    /// what must hold across processes.
    #[must_use]
    pub fn with_peer(mut self, peer: Arc<dyn ComputeProvider>) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Adds an instance whose other side cannot be reached; it judges what happens then.
    #[must_use]
    pub fn with_unreachable(mut self, provider: Arc<dyn ComputeProvider>) -> Self {
        self.unreachable = Some(provider);
        self
    }

    /// Keeps a value, such as a server or a temporary folder, until the suite has ended.
    #[must_use]
    pub fn keeping(mut self, value: impl Any + Send + Sync) -> Self {
        self._kept.push(Box::new(value));
        self
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("provider", &self.provider).finish_non_exhaustive()
    }
}
