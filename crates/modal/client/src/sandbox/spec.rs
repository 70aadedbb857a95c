//! What a new sandbox shall be.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::image::ImageId;
use crate::secret::Secret;
use crate::stored_secret::SecretSource;

/// The life of a sandbox for which none is given, as Modal's clients send it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);
/// The longest argument vector that clients send, in characters.
const MAX_COMMAND: usize = 65_536;

/// A sandbox asked for. Only the image is needed.
#[derive(Debug, Clone)]
pub struct SandboxSpec {
    /// The image it starts from; a snapshot's id is one too.
    pub image: ImageId,
    /// The main process; empty means the image's own command. No shell is involved.
    pub command: Vec<String>,
    /// Variables for every process of the sandbox.
    pub env: BTreeMap<String, Secret>,
    /// More variables; a later source wins over an earlier one, and `env` over all of them.
    pub secrets: Vec<SecretSource>,
    /// The absolute working directory; nothing means the image's.
    pub workdir: Option<String>,
    /// The longest life. Whole seconds are sent, rounded up.
    pub timeout: Duration,
    /// The longest time without activity. Whole seconds are sent, rounded up.
    pub idle_timeout: Option<Duration>,
    /// Processor, memory and disk.
    pub resources: Resources,
    /// GPUs; a sandbox with one is of generation 1.
    pub gpu: Option<Gpu>,
    /// What the sandbox may reach.
    pub network: NetworkAccess,
    /// Ports that can be reached from outside.
    pub ports: Vec<Port>,
    /// Address ranges that may reach the ports; empty means all.
    pub inbound_cidrs: Vec<String>,
    /// Stored volumes and where they appear.
    pub volumes: Vec<VolumeMount>,
    /// Regions to choose from; empty means any.
    pub regions: Vec<String>,
    /// The cloud to run on; nothing means any.
    pub cloud: Option<String>,
    /// When the sandbox counts as ready.
    pub readiness: Option<ReadinessProbe>,
    /// A name that is unique among the app's running sandboxes.
    pub name: Option<String>,
    /// Labels to find it by.
    pub tags: BTreeMap<String, String>,
}

impl SandboxSpec {
    /// Makes a spec with an image and defaults: 300 s of life, an open network, no GPU.
    #[must_use]
    pub fn new(image: ImageId) -> Self {
        Self {
            image,
            command: Vec::new(),
            env: BTreeMap::new(),
            secrets: Vec::new(),
            workdir: None,
            timeout: DEFAULT_TIMEOUT,
            idle_timeout: None,
            resources: Resources::default(),
            gpu: None,
            network: NetworkAccess::Open,
            ports: Vec::new(),
            inbound_cidrs: Vec::new(),
            volumes: Vec::new(),
            regions: Vec::new(),
            cloud: None,
            readiness: None,
            name: None,
            tags: BTreeMap::new(),
        }
    }

    /// Checks what Modal's own clients check before they send.
    pub(super) fn check(&self) -> Result<()> {
        if self.workdir.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Error::invalid(format!("working directory {:?} is not absolute", self.workdir)));
        }
        if self.timeout.is_zero() {
            return Err(Error::invalid("a life time of 0 s; give at least one second"));
        }
        if self.command.iter().map(|word| word.chars().count()).sum::<usize>() > MAX_COMMAND {
            return Err(Error::invalid(format!("the command has more than {MAX_COMMAND} characters")));
        }
        if let Some(gpu) = &self.gpu {
            gpu.check()?;
        }
        Ok(())
    }
}

/// Processor, memory and disk. Nothing means the server's default, and no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Reserved processor time in thousandths of a core.
    pub milli_cpu: Option<u32>,
    /// The most processor time in thousandths of a core.
    pub milli_cpu_max: Option<u32>,
    /// Reserved memory in MiB.
    pub memory_mib: Option<u32>,
    /// The most memory in MiB.
    pub memory_mib_max: Option<u32>,
    /// Disk in MiB.
    pub ephemeral_disk_mib: Option<u32>,
}

/// A kind of GPU and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The type as Modal names it, for example `A100` or `H100`; sent in upper case.
    pub kind: String,
    /// How many, at least 1.
    pub count: u32,
}

impl Gpu {
    /// Reads Modal's notation: `A100`, or `A100:2` for two.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty type or a count that is not a positive number.
    pub fn parse(text: &str) -> Result<Self> {
        let (kind, count) = text.split_once(':').unwrap_or((text, "1"));
        let count = count
            .parse()
            .map_err(|_| Error::invalid(format!("GPU {text:?} has no number after the colon")))?;
        let gpu = Self { kind: kind.to_uppercase(), count };
        gpu.check()?;
        Ok(gpu)
    }

    fn check(&self) -> Result<()> {
        if self.kind.is_empty() || self.count == 0 {
            return Err(Error::invalid(format!(
                "GPU {:?} times {}; give a type and at least one",
                self.kind, self.count
            )));
        }
        Ok(())
    }
}

/// What a sandbox may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NetworkAccess {
    /// Everything.
    #[default]
    Open,
    /// Nothing.
    Blocked,
    /// The listed address ranges and domains (`*.x` for all below one).
    AllowList {
        /// Address ranges such as `10.0.0.0/8`.
        cidrs: Vec<String>,
        /// Domain names.
        domains: Vec<String>,
    },
}

/// A port that can be reached from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The port inside the sandbox.
    pub number: u16,
    /// How it is reached.
    pub kind: PortKind,
}

/// How a port is reached from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PortKind {
    /// Through TLS that the server ends.
    #[default]
    Encrypted,
    /// As plain TCP.
    Plain,
    /// Through TLS that the server ends, with HTTP/2.
    Http2,
}

/// A stored volume and where it appears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// The volume's id.
    pub volume_id: String,
    /// The absolute path in the sandbox.
    pub path: String,
    /// Whether writing is refused.
    pub read_only: bool,
    /// The folder of the volume that appears, made when missing; without it, the whole volume.
    pub sub_path: Option<String>,
}

/// When a sandbox counts as ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadinessProbe {
    /// When this port accepts a connection.
    TcpPort(u16),
    /// When this command exits with 0.
    Command(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpu_notation_is_modals() {
        assert_eq!(Gpu::parse("a100:2").unwrap(), Gpu { kind: "A100".to_owned(), count: 2 });
        assert_eq!(Gpu::parse("H100").unwrap().count, 1);
        for wrong in ["", ":2", "A100:", "A100:0", "A100:x"] {
            assert!(Gpu::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_spec_is_checked_before_it_is_sent() {
        let good = SandboxSpec::new(ImageId::new("im-1"));
        assert!(good.check().is_ok());
        assert!(SandboxSpec { workdir: Some("tmp".to_owned()), ..good.clone() }.check().is_err());
        assert!(SandboxSpec { timeout: Duration::ZERO, ..good.clone() }.check().is_err());
        assert!(SandboxSpec { command: vec!["x".repeat(MAX_COMMAND + 1)], ..good }.check().is_err());
    }
}
