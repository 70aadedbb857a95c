//! Options that `run` and `create` share.

use std::time::Duration;

use clap::{Args, ValueEnum};
use openlattice::{Gpu, NetworkPolicy, PortSpec, ProvisionSpec, VolumeMount};

use crate::failure::Result;
use crate::value;
use crate::variables::Variables;

/// What a new sandbox is made of.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// Image: `host` (this machine's /usr), a name such as python:3.12-slim (pulled when the store has none), or the id
    /// that `snapshot` printed
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    #[command(flatten)]
    variables: Variables,
    /// A name for it, unique among living sandboxes; every command takes it in place of the ID
    #[arg(long, value_parser = value::name)]
    name: Option<String>,
    /// Working directory (absolute); created if missing
    #[arg(short = 'w', long, value_name = "DIR")]
    workdir: Option<String>,
    /// GPUs, such as T4 or A100:2; types after a comma are taken when the first is not to be had
    #[arg(long, value_name = "TYPE[:N][,TYPE...]", value_parser = value::gpu)]
    gpu: Option<Gpu>,
    /// Memory and swap limit, for example 512m or 2g
    #[arg(long, value_name = "BYTES", value_parser = value::bytes)]
    memory: Option<u64>,
    /// Processor limit, for example 1 or 0.5
    #[arg(long, value_name = "N", value_parser = value::milli_cpus)]
    cpus: Option<u32>,
    /// Limit on processes and threads
    #[arg(long, value_name = "N")]
    pids: Option<u32>,
    /// Mount a volume at an absolute path; volume and path are created if missing. May be given several times
    #[arg(short = 'v', long = "volume", value_name = "NAME:/PATH[:ro]", value_parser = value::volume)]
    volumes: Vec<VolumeMount>,
    /// What the sandbox reaches [default: the provider's, see `capabilities`]
    #[arg(long, value_enum)]
    network: Option<NetworkArgument>,
    /// Publish a TCP port of the sandbox on this machine's 127.0.0.1, at port HOST or a free one; `lattice port` tells where
    #[arg(short = 'p', long = "publish", value_name = "[127.0.0.1:][HOST:]SANDBOX[/tcp]", value_parser = value::port)]
    publish: Vec<PortSpec>,
    /// Tag that `ps --tag` finds it by; may be given several times
    #[arg(long = "tag", value_name = "K=V", value_parser = value::tag)]
    tags: Vec<(String, String)>,
}

/// What `--network` takes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum NetworkArgument {
    /// Nothing but its own loopback
    None,
    /// Everything outside, where the provider offers it
    Open,
}

impl NodeArguments {
    /// The spec without life time, owner and command, which the commands decide.
    pub(crate) fn spec(&self) -> Result<ProvisionSpec> {
        let mut spec = ProvisionSpec::default();
        spec.name.clone_from(&self.name);
        spec.runtime.image.clone_from(&self.image);
        spec.runtime.workdir.clone_from(&self.workdir);
        spec.env = self.variables.env()?;
        spec.secrets = self.variables.secrets();
        spec.tags = value::distinct(&self.tags)?;
        spec.gpu.clone_from(&self.gpu);
        spec.resources.memory_limit_bytes = self.memory;
        spec.resources.cpu_limit_millis = self.cpus;
        spec.resources.pids_limit = self.pids;
        spec.volumes.clone_from(&self.volumes);
        spec.network.policy = self.network.map(|network| match network {
            NetworkArgument::None => NetworkPolicy::Blocked,
            NetworkArgument::Open => NetworkPolicy::Open,
        });
        spec.network.ports.clone_from(&self.publish);
        Ok(spec)
    }
}

/// Whole seconds, rounded up, since a life of zero seconds is none.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_up() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
    }
}
