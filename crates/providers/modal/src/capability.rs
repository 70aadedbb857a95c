//! What the provider offers, by the server that it speaks to.

use openlattice::{
    Capabilities, Constraints, ExecCapabilities, ExtensionCapabilities, FileCapabilities,
    IdentityCapabilities, LifetimeCapabilities, LimitCapabilities, NetworkCapabilities,
    PlacementCapabilities, PolicyChanges, RuntimeCapabilities, SnapshotCapabilities,
};

use crate::{gpu, owner};

/// The longest life of a sandbox, in seconds.
pub(crate) const LONGEST_LIFE: u64 = 24 * 3600;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Modal's own service.
    Modal,
    /// Another server of the protocol; what this project's own gives is what can be relied on.
    Other,
}

/// Declares what a service gives through this provider.
pub(crate) fn declared(service: Service) -> Capabilities {
    let modal = service == Service::Modal;
    Capabilities {
        restart: false,
        pause: false,
        snapshot: true,
        gpu: true,
        logs: false,
        tailscale: true,
        architectures: vec!["x86_64".to_owned()],
        persistent_storage: false,
        constraints: Constraints {
            // Another server may hand them on; this project's own refuses every one.
            gpu_types: if modal { gpu::known() } else { Vec::new() },
            max_gpu_count: Some(gpu::MAX_COUNT),
            gpu_fallback: true,
        },
        runtime: RuntimeCapabilities {
            command: true,
            main: true,
            workdir: true,
            env: true,
            secret_values: true,
            named_secrets: true,
            registry_credentials: true,
            volumes: true,
            readiness: true,
        },
        limits: limits(modal),
        lifetime: LifetimeCapabilities { max: true, longest_seconds: Some(LONGEST_LIFE), idle: true },
        networking: networking(modal),
        placement: PlacementCapabilities { regions: modal, clouds: modal },
        identity: IdentityCapabilities {
            keys: true,
            names: true,
            tags: true,
            owners: owner::this_process().is_some(),
            list: true,
        },
        exec: exec(modal),
        snapshots: SnapshotCapabilities { memory: false, after_end: false },
        // Modal's file tool has no operation for modes and links.
        files: FileCapabilities {
            watch: true,
            modes: false,
            symlinks: false,
            times: false,
            byte_names: false,
        },
        extensions: ExtensionCapabilities {
            files: true,
            network: true,
            tags: true,
            volumes: true,
            metrics: false,
        },
    }
}

fn limits(modal: bool) -> LimitCapabilities {
    LimitCapabilities {
        cpu_request: modal,
        cpu_limit: true,
        memory_request: modal,
        memory_limit: true,
        pids: false,
        disk: false,
        output_bytes: None,
    }
}

fn networking(modal: bool) -> NetworkCapabilities {
    NetworkCapabilities {
        open: modal,
        blocked: true,
        cidr_allow_list: modal,
        domain_allow_list: modal,
        default_policy: if modal { "open" } else { "blocked" }.to_owned(),
        encrypted_ports: true,
        plain_ports: true,
        http2_ports: true,
        host_ports: false,
        // To what Modal's own clients ask for; this project's server keeps what it has.
        change_policy: PolicyChanges { open: modal, blocked: !modal, allow_list: modal },
    }
}

/// Modal's wire has no signal, no resize and no reason for a kill; this project's server adds the reasons.
fn exec(modal: bool) -> ExecCapabilities {
    ExecCapabilities {
        cwd: true,
        env: true,
        secret_values: true,
        named_secrets: true,
        stdin: true,
        pty: true,
        pty_resize: false,
        timeout: true,
        signals: false,
        kill_on_drop: false,
        attach: true,
        caller_ids: true,
        tells_out_of_memory: !modal,
        tells_sandbox_end: !modal,
        tells_missing_program: !modal,
        max_argv_bytes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m02_the_declared_capabilities_are_those_of_the_original() {
        for service in [Service::Modal, Service::Other] {
            let offer = declared(service);
            assert!(!offer.restart && !offer.pause && !offer.logs && !offer.persistent_storage);
            assert!(offer.snapshot && offer.gpu && offer.tailscale);
            assert!(offer.architectures.contains(&"x86_64".to_owned()));
        }
    }

    #[test]
    fn m03_only_modal_itself_is_credited_with_types_of_gpus() {
        let types = |service| declared(service).constraints.gpu_types;
        assert!(types(Service::Modal).iter().any(|gpu| gpu.as_str() == "A100"));
        assert!(types(Service::Other).is_empty());
    }

    #[test]
    fn g6_only_modal_itself_is_credited_with_an_open_network() {
        let (modal, other) = (declared(Service::Modal).networking, declared(Service::Other).networking);
        assert!(modal.open && !other.open);
        assert_eq!(other.default_policy, "blocked");
        for offer in [modal, other] {
            assert!(offer.encrypted_ports && offer.plain_ports && offer.http2_ports);
        }
    }
}
