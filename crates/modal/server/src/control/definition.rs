//! The inventory: every field of Modal's `Sandbox` definition and what this server does with it.
//!
//! | field | what happens |
//! |---|---|
//! | `entrypoint_args`, `workdir`, `name`, `timeout_secs`, `idle_timeout_secs`, `image_id` | given exactly; an empty name is none, no timeout is 300 s |
//! | `secret_ids`, `environment_variables` | given; `secret_sources` of the request wins over `secret_ids` |
//! | `resources.memory_mb_max`, `resources.milli_cpu_max` | given, as hard limits |
//! | `resources.memory_mb`, `resources.milli_cpu` | a reservation; nothing is reserved on one machine: a warning when no maximum comes with it |
//! | `network_access`, `block_network` | blocked: given exactly. Open or absent: loopback only, with a warning. An allow-list is refused |
//! | `runtime_debug`, `verbose`, `preload_path_prefixes`, `resources.skip_num_threads_env_vars`, `scheduler_placement.nonpreemptible`, `direct_sandbox_commands_enabled` | accepted; nothing to do, since the server adds no logs and no variables, loads on demand, and never preempts |
//! | `open_ports` | published on loopback of this machine: through TLS with the server's certificate while the server runs, unencrypted ones besides as plain TCP while the sandbox lives. At most 32 |
//! | `readiness_probe` | tried until it passes once: every `interval_ms` (10 ms to 1 h), and when it fails for long at least every hundredth of the time waited |
//! | `volume_mounts` | given exactly; `allow_background_commits` is taken, since every write is seen at once |
//! | `pty_info` | a terminal for the main command; its kind becomes variables of the sandbox, which the request's own win over |
//! | everything else | refused by name when set |

use super::{env::Env, volume};
use crate::{reach::Asked, status::unsupported, terminal::Terminal};
use openlattice_engine::{Limits, TerminalSize, VolumeMount};
use openlattice_modal_proto::client::{
    self as proto, NetworkAccess, Resources, Sandbox, SchedulerPlacement, network_access::NetworkAccessType,
    sandbox::OpenPortsOneof,
};
use std::{collections::HashMap, time::Duration};
use tonic::Status;

/// Life of a sandbox whose definition names none, as clients set it.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);
const MIB: u64 = 1 << 20;

/// What a definition asks for, as far as this server gives it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) command: Vec<String>,
    pub(crate) image_id: String,
    pub(crate) workdir: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) lifetime: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) volumes: Vec<VolumeMount>,
    pub(crate) reach: Asked,
    pub(crate) secret_ids: Vec<String>,
    pub(crate) env: HashMap<String, String>,
    pub(crate) terminal: Option<TerminalSize>,
    /// Texts for the user: what is given otherwise than asked for.
    pub(crate) warnings: Vec<String>,
}

/// Reads a definition: `UNIMPLEMENTED` names the first field that is set and not offered.
pub(crate) fn read(definition: Sandbox) -> Result<Plan, Status> {
    refuse_unoffered(&definition)?;
    let ports = match definition.open_ports_oneof {
        Some(OpenPortsOneof::OpenPorts(ports)) => ports.ports,
        None => Vec::new(),
    };
    let volumes = definition.volume_mounts.into_iter().map(read_volume).collect::<Result<_, _>>()?;
    let reach = Asked::read(ports, definition.readiness_probe)?;
    let mut warnings = Vec::new();
    read_network(definition.network_access, definition.block_network, &mut warnings)?;
    let limits = read_resources(definition.resources.unwrap_or_default(), &mut warnings)?;
    let terminal = Terminal::read(definition.pty_info)?;
    let mut env = terminal.as_ref().map(|terminal| terminal.env.clone()).unwrap_or_default();
    env.extend(definition.environment_variables.unwrap_or_default().contents);
    let seconds = |seconds: u32| Some(Duration::from_secs(seconds.into())).filter(|life| !life.is_zero());
    Ok(Plan {
        command: definition.entrypoint_args,
        image_id: definition.image_id,
        workdir: definition.workdir.filter(|workdir| !workdir.is_empty()),
        name: definition.name.filter(|name| !name.is_empty()),
        lifetime: seconds(definition.timeout_secs).unwrap_or(DEFAULT_LIFE),
        idle_timeout: definition.idle_timeout_secs.and_then(seconds),
        limits,
        volumes,
        reach,
        secret_ids: definition.secret_ids,
        env,
        terminal: terminal.map(|terminal| terminal.size),
        warnings,
    })
}

/// Refuses the first field that is set and not offered.
#[expect(deprecated, reason = "the inventory names every field, old ones too")]
fn refuse_unoffered(definition: &Sandbox) -> Result<(), Status> {
    // Every field is named, so that a new one does not compile until it is decided here.
    #[rustfmt::skip]
    let Sandbox {
        entrypoint_args: _, image_id: _, secret_ids: _, resources: _, timeout_secs: _, workdir: _, runtime_debug: _,
        block_network: _, volume_mounts: _, pty_info: _, network_access: _, verbose: _, name: _, preload_path_prefixes: _,
        idle_timeout_secs: _, direct_sandbox_commands_enabled: _, readiness_probe: _, environment_variables: _,
        open_ports_oneof: _,
        mount_ids, cloud_provider, nfs_mounts, s3_mounts, cloud_bucket_mounts, scheduler_placement, worker_id, i6pn_enabled,
        proxy_id, enable_snapshot, snapshot_version, cloud_provider_str, runsc_runtime_version, runtime,
        experimental_options, restore_instance_type, custom_domain, include_oidc_identity_token, inbound_cidr_allowlist,
        experimental_options_v2, experimental_outbound_policy, include_x509_svid, outbound_policy,
    } = definition;

    let cloud = *cloud_provider != 0 || !cloud_provider_str.is_empty();
    let memory = *enable_snapshot || snapshot_version.is_some();
    let replaced =
        experimental_outbound_policy.as_ref().is_some_and(|policy| !policy.header_replacements.is_empty());
    let mounts = "write the files into the sandbox after it is made";
    for (asked, field, remedy) in [
        (!mount_ids.is_empty(), "mount_ids (local files)", mounts),
        (!nfs_mounts.is_empty(), "nfs_mounts", "leave network file systems out"),
        (!s3_mounts.is_empty(), "s3_mounts", "leave bucket mounts out"),
        (!cloud_bucket_mounts.is_empty(), "cloud_bucket_mounts", "leave bucket mounts out"),
        (cloud, "cloud_provider", "leave the cloud out"),
        (!worker_id.is_empty(), "worker_id", "leave it out"),
        (*i6pn_enabled, "i6pn_enabled", "leave it out"),
        (set(proxy_id.as_deref()), "proxy_id", "leave the proxy out"),
        (memory, "enable_snapshot (memory snapshots)", "snapshot the file system"),
        (
            set(runsc_runtime_version.as_deref()) || set(runtime.as_deref()),
            "runtime",
            "leave it out; there is one runtime here",
        ),
        (!restore_instance_type.is_empty(), "restore_instance_type", "leave it out"),
        (!custom_domain.is_empty(), "custom_domain", "leave it out"),
        (*include_oidc_identity_token, "include_oidc_identity_token", "leave it out"),
        (*include_x509_svid, "include_x509_svid", "leave it out"),
        (!inbound_cidr_allowlist.is_empty(), "inbound_cidr_allowlist", "leave it out; ports are on loopback"),
        (replaced || outbound_policy.is_some(), "outbound_policy", "leave it out; nothing goes out"),
    ] {
        refuse(asked, field, remedy)?;
    }
    let options = experimental_options.keys().chain(experimental_options_v2.keys());
    refuse_options(options.map(String::as_str).collect())?;
    refuse_placement(scheduler_placement.as_ref())
}

fn read_volume(mount: proto::VolumeMount) -> Result<VolumeMount, Status> {
    let proto::VolumeMount { volume_id, mount_path, allow_background_commits: _, read_only, sub_path } =
        mount;
    let sub_path = sub_path.filter(|path| !path.is_empty());
    Ok(VolumeMount { volume: volume::id(&volume_id)?, path: mount_path, read_only, sub_path })
}

fn refuse(asked: bool, field: &str, remedy: &str) -> Result<(), Status> {
    if asked { Err(unsupported(field, remedy)) } else { Ok(()) }
}

fn set(value: Option<&str>) -> bool {
    value.is_some_and(|value| !value.is_empty())
}

fn refuse_options(mut names: Vec<&str>) -> Result<(), Status> {
    names.sort();
    refuse(
        !names.is_empty(),
        &format!("experimental_options {}", names.join(" ")),
        "leave experimental options out",
    )
}

#[expect(deprecated, reason = "old fields are refused too")]
fn refuse_placement(placement: Option<&SchedulerPlacement>) -> Result<(), Status> {
    let Some(placement) = placement else { return Ok(()) };
    let SchedulerPlacement { zone, lifecycle, regions, instance_types, nonpreemptible: _ } = placement;
    let asked = set(zone.as_deref())
        || set(lifecycle.as_deref())
        || !regions.is_empty()
        || !instance_types.is_empty();
    refuse(asked, "scheduler_placement (regions)", "leave the region out; everything runs on this machine")
}

fn read_network(
    access: Option<NetworkAccess>,
    blocked: bool,
    warnings: &mut Vec<String>,
) -> Result<(), Status> {
    let access = access.unwrap_or_default();
    let lists = !access.allowed_cidrs.is_empty() || !access.allowed_domains.is_empty();
    match access.network_access_type() {
        NetworkAccessType::Blocked => Ok(()),
        _ if blocked => Ok(()),
        NetworkAccessType::Allowlist => {
            Err(unsupported("network_access ALLOWLIST", "block the network, or leave the allow-list out"))
        }
        _ if lists => Err(unsupported("network_access with an allow-list", "leave the allow-list out")),
        NetworkAccessType::Open | NetworkAccessType::Unspecified => {
            warnings.push(
                "an open network was asked for; this server gives the sandbox loopback only, so nothing outside is reachable"
                    .to_owned(),
            );
            Ok(())
        }
    }
}

fn read_resources(resources: Resources, warnings: &mut Vec<String>) -> Result<Limits, Status> {
    let Resources {
        memory_mb,
        milli_cpu,
        gpu_config,
        memory_mb_max,
        ephemeral_disk_mb,
        milli_cpu_max,
        rdma,
        skip_num_threads_env_vars: _,
    } = resources;
    // Clients always send the message; only its content says that a GPU is wanted.
    let gpu = gpu_config.is_some_and(|gpu| gpu.r#type != 0 || gpu.count > 0 || !gpu.gpu_type.is_empty());
    refuse(gpu, "gpu", "leave the GPU out, or use Modal's own service")?;
    refuse(rdma, "rdma", "leave it out")?;
    refuse(ephemeral_disk_mb > 0, "ephemeral_disk_mb", "leave it out; the disk has no bound of its own")?;
    ordered("memory_mb", memory_mb, memory_mb_max)?;
    ordered("milli_cpu", milli_cpu, milli_cpu_max)?;
    warn_reservation("memory", memory_mb, memory_mb_max, warnings);
    warn_reservation("cpu", milli_cpu, milli_cpu_max, warnings);
    Ok(Limits {
        memory_bytes: (memory_mb_max > 0).then(|| u64::from(memory_mb_max) * MIB),
        milli_cpus: (milli_cpu_max > 0).then(|| u64::from(milli_cpu_max)),
        pids: None,
    })
}

fn ordered(field: &str, request: u32, limit: u32) -> Result<(), Status> {
    if limit > 0 && request > limit {
        return Err(Status::invalid_argument(format!("{field} {request} is more than its maximum {limit}")));
    }
    Ok(())
}

fn warn_reservation(what: &str, request: u32, limit: u32, warnings: &mut Vec<String>) {
    if request > 0 && limit == 0 {
        warnings.push(format!(
            "{what} was asked for without a maximum; nothing is reserved here and no limit is set"
        ));
    }
}

/// The command that runs: the definition's own, else the image's.
pub(crate) fn command(asked: Vec<String>, entrypoint: &[String], default: &[String]) -> Vec<String> {
    let rest = if asked.is_empty() { default.to_vec() } else { asked };
    if rest.is_empty() && entrypoint.is_empty() { Vec::new() } else { [entrypoint.to_vec(), rest].concat() }
}

/// Variables of the image first, so that the request's win.
pub(crate) fn joined(image: &Env, request: Env) -> Env {
    image.iter().cloned().chain(request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openlattice_modal_proto::client::{GpuConfig, PortSpecs, PtyInfo};

    /// What a client sends for a sandbox with nothing special.
    fn usual() -> Sandbox {
        Sandbox {
            image_id: "im-1".into(),
            timeout_secs: 300,
            resources: Some(Resources { gpu_config: Some(GpuConfig::default()), ..Default::default() }),
            open_ports_oneof: Some(OpenPortsOneof::OpenPorts(PortSpecs::default())),
            network_access: Some(NetworkAccess { network_access_type: 1, ..Default::default() }),
            name: Some(String::new()),
            ..Default::default()
        }
    }

    fn refused(definition: Sandbox) -> String {
        let status = read(definition).unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented, "{status:?}");
        status.message().to_owned()
    }

    #[test]
    fn the_usual_definition_is_taken_with_one_warning() {
        let plan = read(usual()).unwrap();
        assert_eq!((plan.name, plan.lifetime), (None, Duration::from_secs(300)));
        assert_eq!(plan.limits, Limits::default());
        assert!(
            plan.warnings.len() == 1 && plan.warnings[0].contains("loopback only"),
            "{:?}",
            plan.warnings
        );
    }

    #[test]
    fn a_blocked_network_is_given_exactly() {
        let access =
            NetworkAccess { network_access_type: NetworkAccessType::Blocked.into(), ..Default::default() };
        assert!(read(Sandbox { network_access: Some(access), ..usual() }).unwrap().warnings.is_empty());
        assert!(read(Sandbox { block_network: true, ..usual() }).unwrap().warnings.is_empty());
    }

    #[test]
    fn m12_a_terminal_of_the_main_command_is_given_with_its_kind() {
        let pty = PtyInfo { enabled: true, env_term: "vt100".into(), ..Default::default() };
        let plan = read(Sandbox { pty_info: Some(pty), ..usual() }).unwrap();
        assert_eq!(plan.terminal, Some(TerminalSize { rows: 24, columns: 80 }));
        assert_eq!(plan.env.get("TERM").map(String::as_str), Some("vt100"));
    }

    #[test]
    fn maxima_become_limits() {
        let resources =
            Resources { memory_mb: 64, memory_mb_max: 128, milli_cpu_max: 500, ..Default::default() };
        let plan = read(Sandbox { resources: Some(resources), ..usual() }).unwrap();
        assert_eq!(plan.limits.memory_bytes, Some(128 << 20));
        assert_eq!(plan.limits.milli_cpus, Some(500));
        let wrong = Resources { memory_mb: 256, memory_mb_max: 128, ..Default::default() };
        let error = read(Sandbox { resources: Some(wrong), ..usual() }).unwrap_err();
        assert_eq!(error.code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn volumes_are_taken_as_they_are_asked_for() {
        let mount = proto::VolumeMount {
            volume_id: "vo-1".into(),
            mount_path: "/data".into(),
            allow_background_commits: true,
            read_only: true,
            sub_path: Some("a/b".into()),
        };
        let plan = read(Sandbox { volume_mounts: vec![mount.clone()], ..usual() }).unwrap();
        let taken = &plan.volumes[0];
        assert_eq!((taken.volume.as_str(), taken.path.as_str(), taken.read_only), ("vo-1", "/data", true));
        assert_eq!(taken.sub_path.as_deref(), Some("a/b"));
        let wrong = proto::VolumeMount { volume_id: "../vo".into(), ..mount };
        let error = read(Sandbox { volume_mounts: vec![wrong], ..usual() }).unwrap_err();
        assert_eq!(error.code(), tonic::Code::NotFound);
    }

    #[test]
    fn a_reservation_alone_is_told() {
        let resources = Resources { memory_mb: 64, ..Default::default() };
        let plan = read(Sandbox { resources: Some(resources), ..usual() }).unwrap();
        assert!(
            plan.limits.memory_bytes.is_none() && plan.warnings.iter().any(|text| text.contains("memory"))
        );
    }

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        let gpu = GpuConfig { gpu_type: "H100".into(), count: 1, ..Default::default() };
        let resources = Resources { gpu_config: Some(gpu), ..Default::default() };
        let allow = NetworkAccess { network_access_type: 3, ..Default::default() };
        let region = SchedulerPlacement { regions: vec!["eu".into()], ..Default::default() };
        let table = [
            (Sandbox { resources: Some(resources), ..usual() }, "gpu"),
            (
                Sandbox { inbound_cidr_allowlist: vec!["10.0.0.0/8".into()], ..usual() },
                "inbound_cidr_allowlist",
            ),
            (Sandbox { network_access: Some(allow), ..usual() }, "ALLOWLIST"),
            (Sandbox { scheduler_placement: Some(region), ..usual() }, "regions"),
            (Sandbox { mount_ids: vec!["mo-1".into()], ..usual() }, "mount_ids"),
            (Sandbox { enable_snapshot: true, ..usual() }, "memory snapshots"),
            (Sandbox { runtime: Some("vm".into()), ..usual() }, "runtime"),
            (Sandbox { custom_domain: "x.y".into(), ..usual() }, "custom_domain"),
            (Sandbox { proxy_id: Some("pr-1".into()), ..usual() }, "proxy_id"),
            (Sandbox { cloud_provider_str: "aws".into(), ..usual() }, "cloud_provider"),
            (
                Sandbox { experimental_options_v2: [("o".into(), "1".into())].into(), ..usual() },
                "experimental_options o",
            ),
        ];
        for (definition, field) in table {
            let text = refused(definition);
            assert!(text.contains(field), "{text} does not name {field}");
        }
    }

    #[test]
    fn the_image_command_runs_when_none_is_given() {
        let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(command(text(&["a"]), &[], &text(&["d"])), ["a"]);
        assert_eq!(command(text(&["a"]), &text(&["e"]), &text(&["d"])), ["e", "a"]);
        assert_eq!(command(vec![], &text(&["e"]), &text(&["d"])), ["e", "d"]);
        assert!(command(vec![], &[], &[]).is_empty());
    }
}
