//! A spec as the protocol writes it (protocol section 4.2).

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::network_access::NetworkAccessType;
use openlattice_modal_proto::client::{probe::ProbeOneof, sandbox::OpenPortsOneof, secret_source::Source};

use super::spec::{Gpu, NetworkAccess, Port, PortKind, ReadinessProbe, Resources, SandboxSpec, VolumeMount};
use crate::secret::Secret;
use crate::stored_secret::SecretSource;

/// Gives whole seconds, rounded up and never 0.
pub(crate) fn whole_seconds(time: Duration) -> u32 {
    let rounded = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

/// Writes the definition; environment variables travel beside it.
pub(super) fn definition(spec: &SandboxSpec, secret_ids: Vec<String>) -> wire::Sandbox {
    wire::Sandbox {
        entrypoint_args: spec.command.clone(),
        image_id: spec.image.as_str().to_owned(),
        secret_ids,
        resources: Some(resources(&spec.resources, spec.gpu.as_ref())),
        cloud_provider_str: spec.cloud.clone().unwrap_or_default(),
        timeout_secs: whole_seconds(spec.timeout),
        idle_timeout_secs: spec.idle_timeout.map(whole_seconds),
        workdir: spec.workdir.clone(),
        volume_mounts: spec.volumes.iter().map(volume).collect(),
        scheduler_placement: placement(&spec.regions),
        network_access: Some(network(&spec.network)),
        name: spec.name.clone(),
        readiness_probe: spec.readiness.as_ref().map(probe),
        inbound_cidr_allowlist: spec.inbound_cidrs.clone(),
        open_ports_oneof: Some(OpenPortsOneof::OpenPorts(wire::PortSpecs {
            ports: spec.ports.iter().map(port).collect(),
        })),
        ..Default::default()
    }
}

/// Writes variables as the sources that commands and sandboxes of generation 2 take, of which a later one wins.
pub(crate) fn secret_sources(
    secrets: &[SecretSource],
    env: &BTreeMap<String, Secret>,
) -> Vec<wire::SecretSource> {
    let given = |env: &BTreeMap<String, Secret>| (!env.is_empty()).then(|| Source::Env(values(env)));
    let source = |source: &SecretSource| match source {
        SecretSource::Stored(id) => Some(Source::SecretId(id.as_str().to_owned())),
        SecretSource::Values(values) => given(values),
    };
    let sources = secrets.iter().filter_map(source).chain(given(env));
    sources.map(|source| wire::SecretSource { source: Some(source) }).collect()
}

fn values(env: &BTreeMap<String, Secret>) -> wire::StringMap {
    wire::StringMap {
        contents: env.iter().map(|(key, value)| (key.clone(), value.reveal().to_owned())).collect(),
    }
}

/// Writes labels.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Vec<wire::SandboxTag> {
    let tag = |(name, value): (&String, &String)| wire::SandboxTag {
        tag_name: name.clone(),
        tag_value: value.clone(),
    };
    tags.iter().map(tag).collect()
}

fn resources(resources: &Resources, gpu: Option<&Gpu>) -> wire::Resources {
    let gpu = gpu.map_or_else(wire::GpuConfig::default, |gpu| wire::GpuConfig {
        gpu_type: gpu.kind.to_uppercase(),
        count: gpu.count,
        ..Default::default()
    });
    wire::Resources {
        memory_mb: resources.memory_mib.unwrap_or(0),
        milli_cpu: resources.milli_cpu.unwrap_or(0),
        // Modal's clients always send the message, also without a GPU.
        gpu_config: Some(gpu),
        memory_mb_max: resources.memory_mib_max.unwrap_or(0),
        ephemeral_disk_mb: resources.ephemeral_disk_mib.unwrap_or(0),
        milli_cpu_max: resources.milli_cpu_max.unwrap_or(0),
        ..Default::default()
    }
}

pub(super) fn network(access: &NetworkAccess) -> wire::NetworkAccess {
    let (kind, cidrs, domains) = match access {
        NetworkAccess::Open => (NetworkAccessType::Open, Vec::new(), Vec::new()),
        NetworkAccess::Blocked => (NetworkAccessType::Blocked, Vec::new(), Vec::new()),
        NetworkAccess::AllowList { cidrs, domains } => {
            (NetworkAccessType::Allowlist, cidrs.clone(), domains.clone())
        }
    };
    wire::NetworkAccess { network_access_type: kind.into(), allowed_cidrs: cidrs, allowed_domains: domains }
}

fn port(port: &Port) -> wire::PortSpec {
    wire::PortSpec {
        port: u32::from(port.number),
        unencrypted: port.kind == PortKind::Plain,
        tunnel_type: (port.kind == PortKind::Http2).then_some(wire::TunnelType::H2.into()),
    }
}

fn volume(mount: &VolumeMount) -> wire::VolumeMount {
    wire::VolumeMount {
        volume_id: mount.volume_id.clone(),
        mount_path: mount.path.clone(),
        allow_background_commits: true,
        read_only: mount.read_only,
        sub_path: mount.sub_path.clone(),
    }
}

fn placement(regions: &[String]) -> Option<wire::SchedulerPlacement> {
    (!regions.is_empty())
        .then(|| wire::SchedulerPlacement { regions: regions.to_vec(), ..Default::default() })
}

fn probe(probe: &ReadinessProbe) -> wire::Probe {
    let probe = match probe {
        ReadinessProbe::TcpPort(port) => ProbeOneof::TcpPort(u32::from(*port)),
        ReadinessProbe::Command(argv) => {
            ProbeOneof::ExecCommand(wire::probe::ExecCommand { argv: argv.clone() })
        }
    };
    wire::Probe { probe_oneof: Some(probe), interval_ms: Some(100) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageId;
    use crate::stored_secret::SecretId;

    #[test]
    fn seconds_are_rounded_up_and_never_zero() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(60)), 60);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::MAX), u32::MAX);
    }

    #[test]
    fn the_definition_has_what_the_service_expects_to_be_there() {
        let wire = definition(&SandboxSpec::new(ImageId::new("im-1")), Vec::new());
        assert!(wire.resources.unwrap().gpu_config.is_some());
        assert!(wire.network_access.is_some() && wire.open_ports_oneof.is_some());
        assert_eq!(wire.timeout_secs, 300);
        assert!(wire.name.is_none() && wire.environment_variables.is_none());
    }

    #[test]
    fn variables_come_in_the_order_of_their_sources_and_env_last() {
        let values = |value| BTreeMap::from([("K".to_owned(), Secret::new(value))]);
        let secrets = [
            SecretSource::Values(values("first")),
            SecretId::new("st-1").into(),
            SecretSource::Values(BTreeMap::new()),
        ];
        let sources = secret_sources(&secrets, &values("last"));
        let read = |source: &wire::SecretSource| match source.source.clone().unwrap() {
            Source::SecretId(id) => id,
            Source::Env(env) => env.contents["K"].clone(),
        };
        assert_eq!(sources.iter().map(read).collect::<Vec<_>>(), ["first", "st-1", "last"]);
        assert!(secret_sources(&[], &BTreeMap::new()).is_empty());
    }
}
