//! The one check of a request against what a provider offers.

use crate::{
    Attachment, Capabilities, Error, ExecOptions, ExecSpec, Gpu, Lifetime, NetworkPolicy, NetworkSpec,
    OnDrop, Placement, PolicyChanges, PortKind, PortSpec, ProvisionSpec, Resources, Result, Runtime,
    SecretSource, SnapshotKind, SnapshotSpec, Stdin,
};

/// Names a call that a provider may not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `restart`.
    Restart,
    /// `pause`.
    Pause,
    /// `resume`.
    Resume,
    /// `logs`.
    Logs,
    /// `list`.
    List,
    /// `gc`.
    Gc,
    /// `attach`.
    Attach,
    /// `kill` of a command.
    Kill,
    /// `write_stdin` of a command.
    WriteStdin,
    /// `resize` of a command's terminal.
    Resize,
}

/// Refuses a field that is in use and not offered.
fn offered(operation: &'static str, field: &'static str, in_use: bool, offer: bool) -> Result<()> {
    if in_use && !offer { Err(Error::unsupported(operation, field)) } else { Ok(()) }
}

/// Refuses an amount above the largest on offer.
fn within<T: PartialOrd + std::fmt::Display + Copy>(
    operation: &'static str,
    field: &'static str,
    amount: Option<T>,
    largest: Option<T>,
) -> Result<()> {
    match (amount, largest) {
        (Some(amount), Some(largest)) if amount > largest => Err(Error::unsupported(operation, field)
            .with_context("asked", amount)
            .with_hint(format!("ask for at most {largest}"))),
        _ => Ok(()),
    }
}

const PROVISION: &str = "provision";
const EXEC: &str = "exec";

impl Capabilities {
    /// Refuses a spec that is malformed or asks for what is not offered; providers call it first in `provision`.
    ///
    /// Every field is looked at: the specs are taken apart without a rest pattern, so that a new field cannot be forgotten here.
    ///
    /// # Errors
    /// `InvalidArgument` or `Unsupported`, with the name of the field ([`Error::field`]).
    pub fn check_provision(&self, spec: &ProvisionSpec) -> Result<()> {
        spec.validate()?;
        let ProvisionSpec {
            runtime,
            gpu,
            resources,
            duration,
            network,
            placement,
            env,
            secrets,
            volumes,
            readiness,
            name,
            tags,
            key,
            attachment,
        } = spec;
        self.check_runtime(runtime)?;
        self.check_gpu(gpu.as_ref())?;
        self.check_resources(resources)?;
        self.check_lifetime(duration)?;
        self.check_network(network)?;
        self.check_placement(placement)?;
        offered(PROVISION, "env", !env.is_empty(), self.runtime.env)?;
        let (values, named) = (self.runtime.secret_values, self.runtime.named_secrets);
        check_sources(PROVISION, "secrets", secrets, values, named)?;
        offered(PROVISION, "volumes", !volumes.is_empty(), self.runtime.volumes)?;
        offered(PROVISION, "readiness", readiness.is_some(), self.runtime.readiness)?;
        offered(PROVISION, "name", name.is_some(), self.identity.names)?;
        offered(PROVISION, "tags", !tags.is_empty(), self.identity.tags)?;
        offered(PROVISION, "key", key.is_some(), self.identity.keys)?;
        offered(PROVISION, "attachment", *attachment == Attachment::Bound, self.identity.owners)
    }

    /// Refuses a restore that is malformed or asks for what is not offered; providers call it first in `restore`.
    ///
    /// # Errors
    /// Those of [`check_provision`](Self::check_provision); `InvalidArgument` for `runtime.image`, which the snapshot gives, and for
    /// `runtime.registry`, which it does not need.
    pub fn check_restore(&self, spec: &ProvisionSpec) -> Result<()> {
        offered("restore", "snapshot", true, self.snapshot)?;
        if spec.runtime.image.is_some() {
            return Err(Error::invalid(
                "restore",
                "runtime.image",
                "is set, and the snapshot gives the image",
            ));
        }
        if spec.runtime.registry.is_some() {
            let message = "is set, and a snapshot needs no registry";
            return Err(Error::invalid("restore", "runtime.registry", message));
        }
        self.check_provision(spec)
    }

    /// Refuses a command that is malformed or asks for what is not offered; providers call it first in `exec`.
    ///
    /// # Errors
    /// `InvalidArgument` or `Unsupported`, with the name of the field ([`Error::field`]).
    pub fn check_exec(&self, spec: &ExecSpec) -> Result<()> {
        spec.validate()?;
        let ExecSpec { argv, options } = spec;
        let ExecOptions { cwd, env, timeout_ms, secrets, stdin, pty, exec_id, on_drop } = options;
        let offer = &self.exec;
        let bytes = argv.iter().map(|argument| argument.len() as u64).sum();
        within(EXEC, "argv", Some(bytes), offer.max_argv_bytes)?;
        offered(EXEC, "options.cwd", cwd.is_some(), offer.cwd)?;
        offered(EXEC, "options.env", !env.is_empty(), offer.env)?;
        offered(EXEC, "options.timeoutMs", timeout_ms.is_some(), offer.timeout)?;
        check_sources(EXEC, "options.secrets", secrets, offer.secret_values, offer.named_secrets)?;
        offered(EXEC, "options.stdin", *stdin != Stdin::Closed, offer.stdin)?;
        offered(EXEC, "options.pty", pty.is_some(), offer.pty)?;
        offered(EXEC, "options.execId", exec_id.is_some(), offer.caller_ids)?;
        offered(EXEC, "options.onDrop", *on_drop == OnDrop::Kill, offer.kill_on_drop)
    }

    /// Refuses a snapshot that is not offered; providers call it first in `snapshot`.
    ///
    /// # Errors
    /// `Unsupported`.
    pub fn check_snapshot(&self, spec: &SnapshotSpec) -> Result<()> {
        let SnapshotSpec { kind } = spec;
        offered("snapshot", "snapshot", true, self.snapshot)?;
        offered("snapshot", "type", *kind == SnapshotKind::Memory, self.snapshots.memory)
    }

    /// Refuses a call that is not offered; providers call it first in each of the calls named.
    ///
    /// # Errors
    /// `Unsupported`, with the capability as its field.
    pub fn check_operation(&self, operation: Operation) -> Result<()> {
        let (name, field, offer) = match operation {
            Operation::Restart => ("restart", "restart", self.restart),
            Operation::Pause => ("pause", "pause", self.pause),
            Operation::Resume => ("resume", "pause", self.pause),
            Operation::Logs => ("logs", "logs", self.logs),
            Operation::List => ("list", "identity.list", self.identity.list),
            Operation::Gc => ("gc", "identity.owners", self.identity.owners),
            Operation::Attach => ("attach", "exec.attach", self.exec.attach),
            Operation::Kill => ("kill", "exec.signals", self.exec.signals),
            Operation::WriteStdin => ("write stdin", "exec.stdin", self.exec.stdin),
            Operation::Resize => ("resize", "exec.ptyResize", self.exec.pty_resize),
        };
        offered(name, field, true, offer)
    }

    fn check_runtime(&self, runtime: &Runtime) -> Result<()> {
        let Runtime { image: _, command, main, workdir, registry } = runtime;
        let offer = &self.runtime;
        offered(PROVISION, "runtime.command", !command.is_empty(), offer.command)?;
        offered(PROVISION, "runtime.main", !main.is_empty(), offer.main)?;
        offered(PROVISION, "runtime.workdir", workdir.is_some(), offer.workdir)?;
        offered(PROVISION, "runtime.registry", registry.is_some(), offer.registry_credentials)
    }

    fn check_gpu(&self, gpu: Option<&Gpu>) -> Result<()> {
        let Some(Gpu { gpu_type: _, count, fallback }) = gpu else { return Ok(()) };
        offered(PROVISION, "gpu", true, self.gpu)?;
        within(PROVISION, "gpu.count", *count, self.constraints.max_gpu_count)?;
        offered(PROVISION, "gpu.fallback", !fallback.is_empty(), self.constraints.gpu_fallback)
    }

    fn check_resources(&self, resources: &Resources) -> Result<()> {
        let Resources {
            cpu_request_millis,
            cpu_limit_millis,
            memory_request_bytes,
            memory_limit_bytes,
            pids_limit,
            disk_limit_bytes,
        } = resources;
        let offer = &self.limits;
        offered(PROVISION, "resources.cpuRequestMillis", cpu_request_millis.is_some(), offer.cpu_request)?;
        offered(PROVISION, "resources.cpuLimitMillis", cpu_limit_millis.is_some(), offer.cpu_limit)?;
        let (request, limit) = (memory_request_bytes.is_some(), memory_limit_bytes.is_some());
        offered(PROVISION, "resources.memoryRequestBytes", request, offer.memory_request)?;
        offered(PROVISION, "resources.memoryLimitBytes", limit, offer.memory_limit)?;
        offered(PROVISION, "resources.pidsLimit", pids_limit.is_some(), offer.pids)?;
        offered(PROVISION, "resources.diskLimitBytes", disk_limit_bytes.is_some(), offer.disk)
    }

    fn check_lifetime(&self, duration: &Lifetime) -> Result<()> {
        let Lifetime { max_seconds, idle_seconds } = duration;
        let offer = &self.lifetime;
        offered(PROVISION, "duration.maxSeconds", max_seconds.is_some(), offer.max)?;
        within(PROVISION, "duration.maxSeconds", *max_seconds, offer.longest_seconds)?;
        offered(PROVISION, "duration.idleSeconds", idle_seconds.is_some(), offer.idle)
    }

    fn check_network(&self, network: &NetworkSpec) -> Result<()> {
        let NetworkSpec { policy, tailscale_auth_key, ports } = network;
        let offer = &self.networking;
        if let Some(policy) = policy {
            self.check_policy(policy)?;
        }
        offered(PROVISION, "network.tailscaleAuthKey", tailscale_auth_key.is_some(), self.tailscale)?;
        ports.iter().try_for_each(|spec| {
            let PortSpec { port: _, kind, host_port } = spec;
            let kind = match kind {
                PortKind::Encrypted => offer.encrypted_ports,
                PortKind::Plain => offer.plain_ports,
                PortKind::Http2 => offer.http2_ports,
            };
            offered(PROVISION, "network.ports", true, kind)?;
            offered(PROVISION, "network.ports.hostPort", host_port.is_some(), offer.host_ports)
        })
    }

    /// Refuses a change of the network policy that is malformed or not offered; providers call it first in
    /// [`Network::set_policy`](crate::Network::set_policy).
    ///
    /// # Errors
    /// `InvalidArgument` or `Unsupported`, with the name of the field ([`Error::field`]).
    pub fn check_set_policy(&self, policy: &NetworkPolicy) -> Result<()> {
        const SET_POLICY: &str = "set policy";
        policy.validate(SET_POLICY)?;
        let PolicyChanges { open, blocked, allow_list } = &self.networking.change_policy;
        let offer = match policy {
            NetworkPolicy::Open => *open,
            NetworkPolicy::Blocked => *blocked,
            NetworkPolicy::AllowList { .. } => *allow_list,
        };
        offered(SET_POLICY, "network.policy", true, offer)?;
        self.check_lists(SET_POLICY, policy)
    }

    fn check_policy(&self, policy: &NetworkPolicy) -> Result<()> {
        let offer = &self.networking;
        match policy {
            NetworkPolicy::Open => offered(PROVISION, "network.policy", true, offer.open),
            NetworkPolicy::Blocked => offered(PROVISION, "network.policy", true, offer.blocked),
            NetworkPolicy::AllowList { .. } => {
                // An empty list allows nothing, and still needs a provider that filters.
                let any = offer.cidr_allow_list || offer.domain_allow_list;
                offered(PROVISION, "network.policy", true, any)?;
                self.check_lists(PROVISION, policy)
            }
        }
    }

    fn check_lists(&self, operation: &'static str, policy: &NetworkPolicy) -> Result<()> {
        let NetworkPolicy::AllowList { cidrs, domains } = policy else { return Ok(()) };
        let offer = &self.networking;
        let (ranges, names) = (!cidrs.is_empty(), !domains.is_empty());
        offered(operation, "network.policy.allowList.cidrs", ranges, offer.cidr_allow_list)?;
        offered(operation, "network.policy.allowList.domains", names, offer.domain_allow_list)
    }

    fn check_placement(&self, placement: &Placement) -> Result<()> {
        let Placement { regions, cloud, architecture } = placement;
        offered(PROVISION, "placement.regions", !regions.is_empty(), self.placement.regions)?;
        offered(PROVISION, "placement.cloud", cloud.is_some(), self.placement.clouds)?;
        let known = architecture.as_ref().is_none_or(|name| self.architectures.contains(name));
        offered(PROVISION, "placement.architecture", !known, false)
    }
}

/// Refuses sources of secrets that are not offered.
fn check_sources(
    operation: &'static str,
    field: &'static str,
    sources: &[SecretSource],
    values: bool,
    named: bool,
) -> Result<()> {
    sources.iter().try_for_each(|source| match source {
        SecretSource::Named(_) => offered(operation, field, true, named),
        SecretSource::Values(_) => offered(operation, field, true, values),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, ExecId};

    #[test]
    fn g6_nothing_offered_refuses_every_field_by_name() {
        let cases = [
            (r#"{"runtime": {"command": ["true"]}}"#, "runtime.command"),
            (r#"{"runtime": {"main": ["true"]}}"#, "runtime.main"),
            (r#"{"runtime": {"workdir": "/srv"}}"#, "runtime.workdir"),
            (r#"{"runtime": {"registry": {"username": "u", "password": "p"}}}"#, "runtime.registry"),
            (r#"{"gpu": {}}"#, "gpu"),
            (r#"{"resources": {"cpuRequestMillis": 1}}"#, "resources.cpuRequestMillis"),
            (r#"{"resources": {"cpuLimitMillis": 1}}"#, "resources.cpuLimitMillis"),
            (r#"{"resources": {"memoryRequestBytes": 1}}"#, "resources.memoryRequestBytes"),
            (r#"{"resources": {"memoryLimitBytes": 1}}"#, "resources.memoryLimitBytes"),
            (r#"{"resources": {"pidsLimit": 1}}"#, "resources.pidsLimit"),
            (r#"{"resources": {"diskLimitBytes": 1}}"#, "resources.diskLimitBytes"),
            (r#"{"duration": {"maxSeconds": 1}}"#, "duration.maxSeconds"),
            (r#"{"duration": {"idleSeconds": 1}}"#, "duration.idleSeconds"),
            (r#"{"network": {"policy": "open"}}"#, "network.policy"),
            (r#"{"network": {"policy": "blocked"}}"#, "network.policy"),
            (r#"{"network": {"policy": {"allowList": {}}}}"#, "network.policy"),
            (r#"{"network": {"tailscaleAuthKey": "k"}}"#, "network.tailscaleAuthKey"),
            (r#"{"network": {"ports": [{"port": 80}]}}"#, "network.ports"),
            (r#"{"placement": {"regions": ["eu"]}}"#, "placement.regions"),
            (r#"{"placement": {"cloud": "aws"}}"#, "placement.cloud"),
            (r#"{"placement": {"architecture": "aarch64"}}"#, "placement.architecture"),
            (r#"{"env": {"A": "1"}}"#, "env"),
            (r#"{"secrets": [{"named": "s"}]}"#, "secrets"),
            (r#"{"secrets": [{"values": {"A": "1"}}]}"#, "secrets"),
            (r#"{"volumes": [{"name": "v", "path": "/v"}]}"#, "volumes"),
            (r#"{"readiness": {"tcpPort": 80}}"#, "readiness"),
            (r#"{"name": "n"}"#, "name"),
            (r#"{"tags": {"a": "b"}}"#, "tags"),
            (r#"{"key": "k"}"#, "key"),
            (r#"{"attachment": "bound"}"#, "attachment"),
        ];
        for (json, field) in cases {
            let error = Capabilities::default()
                .check_provision(&ProvisionSpec::from_json(json).unwrap())
                .unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some(field)), "{json}");
        }
        Capabilities::default().check_provision(&ProvisionSpec::default()).unwrap();
    }

    #[test]
    fn g6_nothing_offered_refuses_every_exec_option_by_name() {
        let plain = || ExecSpec::new(["true"]);
        let mut secret = plain();
        secret.options.secrets = vec![SecretSource::Named("s".into())];
        let cases = [
            (plain().with_cwd("/"), "options.cwd"),
            (plain().with_env("A", "1"), "options.env"),
            (plain().with_timeout(std::time::Duration::from_secs(1)), "options.timeoutMs"),
            (secret, "options.secrets"),
            (plain().with_stdin(Stdin::Open), "options.stdin"),
            (plain().with_pty(crate::PtySize { rows: 24, cols: 80 }), "options.pty"),
            (plain().with_exec_id(ExecId::new("e")), "options.execId"),
            (plain().with_on_drop(OnDrop::Kill), "options.onDrop"),
        ];
        for (spec, field) in cases {
            let error = Capabilities::default().check_exec(&spec).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some(field)));
        }
        Capabilities::default().check_exec(&plain()).unwrap();
    }

    #[test]
    fn g6_an_amount_above_the_largest_is_refused() {
        let mut capabilities = Capabilities { gpu: true, ..Capabilities::default() };
        capabilities.constraints.max_gpu_count = Some(8);
        let spec = ProvisionSpec::from_json(r#"{"gpu": {"count": 9}}"#).unwrap();
        assert_eq!(capabilities.check_provision(&spec).unwrap_err().field(), Some("gpu.count"));
    }

    #[test]
    fn g6_a_change_of_policy_is_refused_or_offered_by_its_kind() {
        let mut offer = Capabilities::default();
        let list = |json| serde_json::from_str::<NetworkPolicy>(json).unwrap();
        let (cidrs, domains) =
            (r#"{"allowList":{"cidrs":["10.0.0.0/8"]}}"#, r#"{"allowList":{"domains":["a.org"]}}"#);
        for policy in [NetworkPolicy::Open, NetworkPolicy::Blocked, list(cidrs)] {
            let error = offer.check_set_policy(&policy).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some("network.policy")));
        }
        offer.networking.change_policy = PolicyChanges { open: true, blocked: false, allow_list: true };
        offer.networking.cidr_allow_list = true;
        offer.check_set_policy(&NetworkPolicy::Open).unwrap();
        offer.check_set_policy(&list(cidrs)).unwrap();
        let error = offer.check_set_policy(&list(domains)).unwrap_err();
        assert_eq!(error.field(), Some("network.policy.allowList.domains"));
        let error = offer.check_set_policy(&list(r#"{"allowList":{"cidrs":["x"]}}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_call_that_is_not_offered_is_refused() {
        let none = Capabilities::default();
        for operation in
            [Operation::Restart, Operation::Pause, Operation::Resume, Operation::Logs, Operation::Kill]
        {
            assert_eq!(none.check_operation(operation).unwrap_err().kind(), ErrorKind::Unsupported);
        }
        assert_eq!(none.check_snapshot(&SnapshotSpec::default()).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(none.check_restore(&ProvisionSpec::default()).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn g6_a_restore_refuses_what_belongs_to_an_image() {
        let all = Capabilities { snapshot: true, ..Capabilities::default() };
        for (json, field) in [
            (r#"{"runtime": {"image": "a"}}"#, "runtime.image"),
            (r#"{"runtime": {"registry": {"username": "u", "password": "p"}}}"#, "runtime.registry"),
        ] {
            let error = all.check_restore(&ProvisionSpec::from_json(json).unwrap()).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some(field)));
        }
    }
}
