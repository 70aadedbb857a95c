//! A spec in the client's form.

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice::{
    Capabilities, Error, NetworkPolicy, NetworkSpec, PortKind, ProvisionSpec, Readiness, Resources, Result,
    VolumeMount,
};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::capability::LONGEST_LIFE;
use crate::error::Attempt;
use crate::image;
use crate::secret;
use crate::{tag, volumes};

const MIB: u64 = 1 << 20;
/// What Modal reserves when nothing is asked; a limit needs a reservation beside it.
const USUAL_MILLI_CPU: u32 = 125;
const USUAL_MEMORY_MIB: u32 = 128;

/// Refuses what the shared check of the contract cannot know: rules of this provider.
pub(crate) fn check(spec: &ProvisionSpec, default_image: &str) -> Result<()> {
    if spec.key.is_some() && spec.name.is_some() {
        return Err(Error::unsupported("provision", "name")
            .with_hint("a key becomes the sandbox's name here; give one of the two"));
    }
    tag::check("provision", &spec.tags)?;
    let image = spec.runtime.image.as_deref().unwrap_or(default_image);
    if spec.runtime.registry.is_some() && image::is_id(image) {
        let message =
            format_args!("is set, and {image:?} is the id of an image, which no registry is asked for");
        return Err(Error::invalid("provision", "runtime.registry", message));
    }
    check_memory(&spec.resources)
}

/// Refuses a limit that Modal's unit cannot say without exceeding it.
fn check_memory(asked: &Resources) -> Result<()> {
    match asked.memory_limit_bytes {
        Some(bytes @ ..MIB) => {
            let message = format_args!("is {bytes}, and the least that can be asked for is {MIB}");
            Err(Error::invalid("provision", "resources.memoryLimitBytes", message))
        }
        _ => Ok(()),
    }
}

/// Writes a spec whose image is known. Stored secrets and volumes are looked up on the way.
pub(crate) async fn sandbox_spec(
    account: &Account,
    offer: &Capabilities,
    spec: &ProvisionSpec,
    image: modal::ImageId,
    attempt: Attempt,
) -> Result<modal::SandboxSpec> {
    let mut wanted = modal::SandboxSpec::new(image);
    wanted.command.clone_from(&spec.runtime.main);
    wanted.secrets = secret::gather(account, &spec.env, &spec.secrets, attempt).await?;
    wanted.workdir = spec.runtime.workdir.clone();
    wanted.timeout = Duration::from_secs(spec.duration.max_seconds.unwrap_or(LONGEST_LIFE));
    wanted.idle_timeout = spec.duration.idle();
    wanted.resources = resources(&spec.resources);
    wanted.network = network(&spec.network, offer);
    wanted.ports = spec
        .network
        .ports
        .iter()
        .map(|port| modal::Port { number: port.port, kind: kind(port.kind) })
        .collect();
    wanted.volumes = find_volumes(account, &spec.volumes, attempt).await?;
    wanted.regions = spec.placement.regions.clone();
    wanted.cloud = spec.placement.cloud.clone();
    wanted.readiness = spec.readiness.as_ref().map(readiness);
    wanted.name = spec.name.clone();
    wanted.tags = spec.tags.clone();
    Ok(wanted)
}

/// Adds the labels by which the provider finds the sandbox again.
pub(crate) fn label(wanted: &mut modal::SandboxSpec, labels: BTreeMap<String, String>) {
    wanted.tags.extend(labels);
}

fn resources(asked: &Resources) -> modal::Resources {
    // A limit is rounded down, so that it is never exceeded; a request is rounded up, and at most the limit.
    let limit = |bytes: u64| u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    let request = |bytes: u64| u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX);
    let memory_mib_max = asked.memory_limit_bytes.map(limit);
    let most = memory_mib_max.unwrap_or(u32::MAX);
    let memory_mib = asked.memory_request_bytes.map(|bytes| request(bytes).min(most));
    modal::Resources {
        milli_cpu: asked.cpu_request_millis.or(asked.cpu_limit_millis.map(|most| most.min(USUAL_MILLI_CPU))),
        milli_cpu_max: asked.cpu_limit_millis,
        memory_mib: memory_mib.or(memory_mib_max.map(|most| most.min(USUAL_MEMORY_MIB))),
        memory_mib_max,
        ephemeral_disk_mib: None,
    }
}

fn network(asked: &NetworkSpec, offer: &Capabilities) -> modal::NetworkAccess {
    match &asked.policy {
        None if offer.networking.open => modal::NetworkAccess::Open,
        None => modal::NetworkAccess::Blocked,
        Some(policy) => access(policy),
    }
}

/// A policy in the client's form.
pub(crate) fn access(policy: &NetworkPolicy) -> modal::NetworkAccess {
    match policy {
        NetworkPolicy::Open => modal::NetworkAccess::Open,
        NetworkPolicy::Blocked => modal::NetworkAccess::Blocked,
        NetworkPolicy::AllowList { cidrs, domains } => {
            modal::NetworkAccess::AllowList { cidrs: cidrs.clone(), domains: domains.clone() }
        }
    }
}

fn kind(kind: PortKind) -> modal::PortKind {
    match kind {
        PortKind::Encrypted => modal::PortKind::Encrypted,
        PortKind::Plain => modal::PortKind::Plain,
        PortKind::Http2 => modal::PortKind::Http2,
    }
}

fn readiness(asked: &Readiness) -> modal::ReadinessProbe {
    match asked {
        Readiness::TcpPort(port) => modal::ReadinessProbe::TcpPort(*port),
        Readiness::Command(argv) => modal::ReadinessProbe::Command(argv.clone()),
    }
}

async fn find_volumes(
    account: &Account,
    asked: &[VolumeMount],
    attempt: Attempt,
) -> Result<Vec<modal::VolumeMount>> {
    let mut found = Vec::with_capacity(asked.len());
    for mount in asked {
        let VolumeMount { name, path, read_only, sub_path } = mount;
        let volume_id = account.client.volume(name, modal::IfMissing::Fail).await;
        found.push(modal::VolumeMount {
            volume_id: volume_id.map_err(volumes::about(attempt, name))?,
            path: path.clone(),
            read_only: *read_only,
            sub_path: sub_path.clone(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use openlattice::{ErrorKind, RegistryCredentials};

    use super::*;
    use crate::capability::{Service, declared};

    #[test]
    fn g4_a_key_with_a_name_is_refused() {
        let spec = ProvisionSpec::new("host").with_key("k").with_name("n");
        let error = check(&spec, "host").unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some("name")));
        let mut spec = ProvisionSpec::new("host");
        spec.tags.insert("openlattice_key".to_owned(), "x".to_owned());
        assert_eq!(check(&spec, "host").unwrap_err().field(), Some("tags"));
    }

    #[test]
    fn g6_registry_credentials_for_an_image_id_are_refused() {
        let mut spec = ProvisionSpec::new("im-1");
        spec.runtime.registry =
            Some(RegistryCredentials { username: "me".to_owned(), password: "hush".into() });
        let error = check(&spec, "host").unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("runtime.registry")));
        spec.runtime.image = None;
        assert!(check(&spec, "im-1").is_err() && check(&spec, "debian").is_ok());
    }

    #[test]
    fn g6_a_memory_limit_that_would_be_exceeded_is_refused() {
        let with = |bytes| {
            let mut spec = ProvisionSpec::new("host");
            spec.resources.memory_limit_bytes = Some(bytes);
            spec
        };
        let error = check(&with(MIB - 1), "host").unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::InvalidArgument, Some("resources.memoryLimitBytes"))
        );
        assert!(check(&with(MIB), "host").is_ok());
    }

    #[test]
    fn limits_are_never_exceeded_by_rounding() {
        let asked = Resources {
            memory_limit_bytes: Some(100 * MIB + 1),
            cpu_limit_millis: Some(500),
            ..Resources::default()
        };
        let sent = resources(&asked);
        assert_eq!((sent.memory_mib_max, sent.memory_mib), (Some(100), Some(100)));
        assert_eq!((sent.milli_cpu_max, sent.milli_cpu), (Some(500), Some(125)));
        assert_eq!(resources(&Resources::default()), modal::Resources::default());
        let tight = Resources { memory_request_bytes: Some(100 * MIB + 1), ..asked };
        assert_eq!(resources(&tight).memory_mib, Some(100), "a request is at most the limit");
    }

    #[test]
    fn the_default_network_is_the_declared_one() {
        let none = NetworkSpec::default();
        assert_eq!(network(&none, &declared(Service::Modal)), modal::NetworkAccess::Open);
        assert_eq!(network(&none, &declared(Service::Other)), modal::NetworkAccess::Blocked);
    }
}
