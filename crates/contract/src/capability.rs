//! What a provider offers.

use serde::{Deserialize, Serialize};

use crate::GpuType;

/// Declares what a built provider offers; `Default` is nothing at all.
///
/// Booleans say can or cannot, options say how much. What is not declared is refused as `Unsupported` before anything is
/// sent; see [`check_provision`](Self::check_provision). The values describe the instance: the local provider asks its host
/// once, when it is built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Capabilities {
    /// An ended sandbox can be started again.
    pub restart: bool,
    /// A sandbox can be held and released.
    pub pause: bool,
    /// A sandbox's file system can be kept and started from.
    pub snapshot: bool,
    /// Sandboxes can have GPUs.
    pub gpu: bool,
    /// The output of a sandbox's main process stays readable through the contract after it ended.
    pub logs: bool,
    /// A sandbox can join a tailnet.
    pub tailscale: bool,
    /// The processor architectures on offer, such as `x86_64`.
    pub architectures: Vec<String>,
    /// A sandbox's own disk outlives it. Attaching a named volume is not this.
    pub persistent_storage: bool,
    /// What bounds the choice.
    pub constraints: Constraints,
    /// What a sandbox can be made with.
    pub runtime: RuntimeCapabilities,
    /// Bounds that are enforced.
    pub limits: LimitCapabilities,
    /// Ends that are enforced.
    pub lifetime: LifetimeCapabilities,
    /// Networks on offer.
    pub networking: NetworkCapabilities,
    /// Choice of place.
    pub placement: PlacementCapabilities,
    /// Ways to find a sandbox again.
    pub identity: IdentityCapabilities,
    /// What commands can have.
    pub exec: ExecCapabilities,
    /// What snapshots can do, where `snapshot` is declared.
    pub snapshots: SnapshotCapabilities,
    /// What files can have, where the extension [`Files`](crate::Files) is there.
    pub files: FileCapabilities,
    /// The extensions on offer, for display; the extensions themselves decide.
    pub extensions: ExtensionCapabilities,
}

/// Bounds what can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Constraints {
    /// The known GPU types. Another well-formed one is passed on with a warning, since providers add types.
    pub gpu_types: Vec<GpuType>,
    /// The largest number of GPUs of one sandbox.
    pub max_gpu_count: Option<u32>,
    /// Whether types to fall back to can be given.
    pub gpu_fallback: bool,
}

/// Declares what a sandbox can be made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RuntimeCapabilities {
    /// An initial command.
    pub command: bool,
    /// A main process, with whose end the sandbox ends.
    pub main: bool,
    /// A working directory.
    pub workdir: bool,
    /// Variables.
    pub env: bool,
    /// Secret variables given as values.
    pub secret_values: bool,
    /// Secret variables stored under a name.
    pub named_secrets: bool,
    /// Images from registries that ask for credentials.
    pub registry_credentials: bool,
    /// Stored volumes, whole or a folder of one.
    pub volumes: bool,
    /// Waiting for a port or a command before a sandbox counts as ready.
    pub readiness: bool,
}

/// Declares which bounds are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LimitCapabilities {
    /// Processor time set aside.
    pub cpu_request: bool,
    /// Processor time bounded.
    pub cpu_limit: bool,
    /// Memory set aside.
    pub memory_request: bool,
    /// Memory bounded.
    pub memory_limit: bool,
    /// Processes and threads bounded.
    pub pids: bool,
    /// Disk bounded.
    pub disk: bool,
    /// Bytes of each output stream that are kept per command; absent for no bound.
    pub output_bytes: Option<u64>,
}

/// Declares which ends are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LifetimeCapabilities {
    /// A longest life.
    pub max: bool,
    /// The longest life that can be asked for, in seconds; absent for no bound.
    pub longest_seconds: Option<u64>,
    /// An end after idle time.
    pub idle: bool,
}

/// Declares which networks are on offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NetworkCapabilities {
    /// Everything outside can be reached.
    pub open: bool,
    /// Nothing outside can be reached.
    pub blocked: bool,
    /// Listed address ranges can be reached.
    pub cidr_allow_list: bool,
    /// Listed names can be reached.
    pub domain_allow_list: bool,
    /// What a sandbox gets that asks for nothing, such as `blocked`.
    pub default_policy: String,
    /// Ports published through TLS.
    pub encrypted_ports: bool,
    /// Ports published as plain TCP.
    pub plain_ports: bool,
    /// Ports published through TLS with HTTP/2.
    pub http2_ports: bool,
    /// The port of the provider's machine at which a plain port is reached can be chosen.
    pub host_ports: bool,
    /// What the policy of a running sandbox can be changed to.
    pub change_policy: PolicyChanges,
}

/// Declares what the network policy of a running sandbox can be changed to ([`Network::set_policy`](crate::Network::set_policy)).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PolicyChanges {
    /// [`NetworkPolicy::Open`](crate::NetworkPolicy::Open).
    pub open: bool,
    /// [`NetworkPolicy::Blocked`](crate::NetworkPolicy::Blocked).
    pub blocked: bool,
    /// [`NetworkPolicy::AllowList`](crate::NetworkPolicy::AllowList), with what
    /// [`cidr_allow_list`](NetworkCapabilities::cidr_allow_list) and
    /// [`domain_allow_list`](NetworkCapabilities::domain_allow_list) say of its lists.
    pub allow_list: bool,
}

/// Declares which places can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct PlacementCapabilities {
    /// Regions.
    pub regions: bool,
    /// Clouds.
    pub clouds: bool,
}

/// Declares how sandboxes are found again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct IdentityCapabilities {
    /// Repeating a provision with the same key gives the same sandbox.
    pub keys: bool,
    /// Names.
    pub names: bool,
    /// Labels.
    pub tags: bool,
    /// Sandboxes bound to the calling process, and `gc` of those whose owner is gone.
    pub owners: bool,
    /// `list`.
    pub list: bool,
}

/// Declares what commands can have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExecCapabilities {
    /// A working directory of their own.
    pub cwd: bool,
    /// Variables of their own.
    pub env: bool,
    /// Secret variables of their own, as values.
    pub secret_values: bool,
    /// Secret variables of their own, by stored name.
    pub named_secrets: bool,
    /// Input.
    pub stdin: bool,
    /// A terminal.
    pub pty: bool,
    /// A terminal whose size changes.
    pub pty_resize: bool,
    /// A timeout that kills.
    pub timeout: bool,
    /// Signals sent from outside.
    pub signals: bool,
    /// A kill when the caller goes away ([`OnDrop::Kill`](crate::OnDrop::Kill)). Where it is not declared, a dropped buffered
    /// exec runs on in its sandbox until its timeout.
    pub kill_on_drop: bool,
    /// Attaching to a command again by its id.
    pub attach: bool,
    /// Ids chosen by the caller.
    pub caller_ids: bool,
    /// A kill by the memory limit is told apart.
    pub tells_out_of_memory: bool,
    /// The end of the sandbox is told apart.
    pub tells_sandbox_end: bool,
    /// A missing or refused program is told by kind and subject before the command starts.
    pub tells_missing_program: bool,
    /// The largest sum of argument bytes; absent for the kernel's own bound.
    pub max_argv_bytes: Option<u64>,
}

/// Declares what snapshots can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SnapshotCapabilities {
    /// The memory of running processes can be kept too.
    pub memory: bool,
    /// A sandbox that has ended can still be kept.
    pub after_end: bool,
}

/// Declares what the extension [`Files`](crate::Files) can do besides reading, writing, listing and removing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FileCapabilities {
    /// Changes can be followed.
    pub watch: bool,
    /// Permission bits, set-id and sticky bits can be set.
    pub modes: bool,
    /// Symbolic links can be made.
    pub symlinks: bool,
    /// The times of last change can be set, and are told to the nanosecond.
    pub times: bool,
    /// Names that are not UTF-8 can be read, written and listed.
    pub byte_names: bool,
}

/// Declares which extensions are on offer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExtensionCapabilities {
    /// [`Files`](crate::Files).
    pub files: bool,
    /// [`Network`](crate::Network).
    pub network: bool,
    /// [`Tags`](crate::Tags).
    pub tags: bool,
    /// [`Volumes`](crate::Volumes).
    pub volumes: bool,
    /// [`Metrics`](crate::Metrics).
    pub metrics: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m2_m3_the_known_words_are_there() {
        let mut capabilities = Capabilities::default();
        capabilities.constraints.gpu_types = vec![GpuType::new("A100").unwrap()];
        let json = serde_json::to_value(&capabilities).unwrap();
        for word in ["restart", "pause", "snapshot", "gpu", "logs", "tailscale", "persistentStorage"] {
            assert_eq!(json[word], false, "{word}");
        }
        assert_eq!(json["constraints"]["gpuTypes"][0], "A100");
        assert!(json["architectures"].is_array());
    }
}
