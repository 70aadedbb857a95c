//! What this provider offers.

use openlattice::{
    Capabilities, ExecCapabilities, ExtensionCapabilities, FileCapabilities, IdentityCapabilities,
    LifetimeCapabilities, LimitCapabilities, NetworkCapabilities, PolicyChanges, RuntimeCapabilities,
    SnapshotCapabilities,
};

/// The largest sum of argument bytes: half of what the kernel gives to arguments and environment at its default
/// stack limit (execve(2), "Limits on size of arguments and environment"), the rest being the environment's.
const ARGV_BYTES: u64 = 1 << 20;

/// Declares what the engine can do on this machine. A store opens only where all of it works.
pub(crate) fn capabilities(output_quota: u64) -> Capabilities {
    Capabilities {
        snapshot: true,
        architectures: vec![std::env::consts::ARCH.to_owned()],
        runtime: RuntimeCapabilities {
            command: true,
            main: true,
            workdir: true,
            env: true,
            secret_values: true,
            registry_credentials: true,
            volumes: true,
            readiness: true,
            ..RuntimeCapabilities::default()
        },
        limits: LimitCapabilities {
            cpu_limit: true,
            memory_limit: true,
            pids: true,
            output_bytes: Some(output_quota),
            ..LimitCapabilities::default()
        },
        lifetime: LifetimeCapabilities { max: true, longest_seconds: None, idle: true },
        networking: NetworkCapabilities {
            blocked: true,
            default_policy: "blocked".to_owned(),
            plain_ports: true,
            host_ports: true,
            change_policy: PolicyChanges { blocked: true, ..PolicyChanges::default() },
            ..NetworkCapabilities::default()
        },
        identity: IdentityCapabilities { keys: true, names: true, tags: true, owners: true, list: true },
        exec: exec(),
        snapshots: SnapshotCapabilities::default(),
        files: FileCapabilities { watch: true, modes: true, symlinks: true, times: true, byte_names: true },
        extensions: ExtensionCapabilities {
            files: true,
            network: true,
            tags: true,
            volumes: true,
            ..ExtensionCapabilities::default()
        },
        ..Capabilities::default()
    }
}

fn exec() -> ExecCapabilities {
    ExecCapabilities {
        cwd: true,
        env: true,
        secret_values: true,
        stdin: true,
        pty: true,
        pty_resize: true,
        timeout: true,
        signals: true,
        kill_on_drop: true,
        attach: true,
        caller_ids: true,
        tells_out_of_memory: true,
        tells_sandbox_end: true,
        tells_missing_program: true,
        max_argv_bytes: Some(ARGV_BYTES),
        ..ExecCapabilities::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A claim that shrinks, or grows before it is tested, shows here.
    #[test]
    fn the_claims_are_these() {
        let json = serde_json::to_value(capabilities(7)).unwrap();
        let claimed: Vec<String> = claims("", &json);
        let expected = [
            "exec.attach",
            "exec.callerIds",
            "exec.cwd",
            "exec.env",
            "exec.killOnDrop",
            "exec.pty",
            "exec.ptyResize",
            "exec.secretValues",
            "exec.signals",
            "exec.stdin",
            "exec.tellsMissingProgram",
            "exec.tellsOutOfMemory",
            "exec.tellsSandboxEnd",
            "exec.timeout",
            "extensions.files",
            "extensions.network",
            "extensions.tags",
            "extensions.volumes",
            "files.byteNames",
            "files.modes",
            "files.symlinks",
            "files.times",
            "files.watch",
            "identity.keys",
            "identity.list",
            "identity.names",
            "identity.owners",
            "identity.tags",
            "lifetime.idle",
            "lifetime.max",
            "limits.cpuLimit",
            "limits.memoryLimit",
            "limits.pids",
            "networking.blocked",
            "networking.changePolicy.blocked",
            "networking.hostPorts",
            "networking.plainPorts",
            "runtime.command",
            "runtime.env",
            "runtime.main",
            "runtime.readiness",
            "runtime.registryCredentials",
            "runtime.secretValues",
            "runtime.volumes",
            "runtime.workdir",
            "snapshot",
        ];
        assert_eq!(claimed, expected);
    }

    fn claims(path: &str, json: &serde_json::Value) -> Vec<String> {
        let Some(object) = json.as_object() else { return Vec::new() };
        let mut found = Vec::new();
        for (name, value) in object {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.extend(claims(&path, value));
            if value == true {
                found.push(path);
            }
        }
        found.sort();
        found
    }
}
