//! The fields of a spec that a provider may refuse.

use openlattice::Capabilities;

/// A field, a spec in JSON that uses it, and the claim that allows it.
pub(super) type Field = (&'static str, &'static str, fn(&Capabilities) -> bool);

/// Every field that a provider may refuse. One that is refused as a part of another (a list of ranges where no list is offered)
/// is left to that one.
pub(super) const FIELDS: [Field; 35] = [
    ("runtime.command", r#"{"runtime": {"command": ["true"]}}"#, |c| c.runtime.command),
    ("runtime.main", r#"{"runtime": {"main": ["true"]}}"#, |c| c.runtime.main),
    ("runtime.workdir", r#"{"runtime": {"workdir": "/tmp"}}"#, |c| c.runtime.workdir),
    ("runtime.registry", r#"{"runtime": {"registry": {"username": "u", "password": "p"}}}"#, |c| {
        c.runtime.registry_credentials
    }),
    ("gpu", r#"{"gpu": {"type": "A100"}}"#, |c| c.gpu),
    ("gpu.fallback", r#"{"gpu": {"fallback": ["T4"]}}"#, |c| c.constraints.gpu_fallback || !c.gpu),
    ("resources.cpuRequestMillis", r#"{"resources": {"cpuRequestMillis": 100}}"#, |c| c.limits.cpu_request),
    ("resources.cpuLimitMillis", r#"{"resources": {"cpuLimitMillis": 100}}"#, |c| c.limits.cpu_limit),
    ("resources.memoryRequestBytes", r#"{"resources": {"memoryRequestBytes": 1048576}}"#, |c| {
        c.limits.memory_request
    }),
    ("resources.memoryLimitBytes", r#"{"resources": {"memoryLimitBytes": 104857600}}"#, |c| {
        c.limits.memory_limit
    }),
    ("resources.pidsLimit", r#"{"resources": {"pidsLimit": 100}}"#, |c| c.limits.pids),
    ("resources.diskLimitBytes", r#"{"resources": {"diskLimitBytes": 104857600}}"#, |c| c.limits.disk),
    ("duration.maxSeconds", r#"{"duration": {"maxSeconds": 60}}"#, |c| c.lifetime.max),
    ("duration.idleSeconds", r#"{"duration": {"idleSeconds": 60}}"#, |c| c.lifetime.idle),
    ("network.policy", r#"{"network": {"policy": "open"}}"#, |c| c.networking.open),
    ("network.policy", r#"{"network": {"policy": "blocked"}}"#, |c| c.networking.blocked),
    ("network.policy", r#"{"network": {"policy": {"allowList": {}}}}"#, filters),
    (
        "network.policy.allowList.cidrs",
        r#"{"network": {"policy": {"allowList": {"cidrs": ["10.0.0.0/8"]}}}}"#,
        |c| c.networking.cidr_allow_list || !filters(c),
    ),
    (
        "network.policy.allowList.domains",
        r#"{"network": {"policy": {"allowList": {"domains": ["a.example"]}}}}"#,
        |c| c.networking.domain_allow_list || !filters(c),
    ),
    ("network.tailscaleAuthKey", r#"{"network": {"tailscaleAuthKey": "tskey-planted"}}"#, |c| c.tailscale),
    ("network.ports", r#"{"network": {"ports": [{"port": 80}]}}"#, |c| c.networking.encrypted_ports),
    ("network.ports", r#"{"network": {"ports": [{"port": 80, "kind": "plain"}]}}"#, |c| {
        c.networking.plain_ports
    }),
    ("network.ports", r#"{"network": {"ports": [{"port": 80, "kind": "http2"}]}}"#, |c| {
        c.networking.http2_ports
    }),
    ("placement.regions", r#"{"placement": {"regions": ["eu"]}}"#, |c| c.placement.regions),
    ("placement.cloud", r#"{"placement": {"cloud": "aws"}}"#, |c| c.placement.clouds),
    ("placement.architecture", r#"{"placement": {"architecture": "pdp11"}}"#, |_| false),
    ("secrets", r#"{"secrets": [{"named": "a-stored-secret"}]}"#, |c| c.runtime.named_secrets),
    ("secrets", r#"{"secrets": [{"values": {"A": "b"}}]}"#, |c| c.runtime.secret_values),
    ("volumes", r#"{"volumes": [{"name": "v", "path": "/v"}]}"#, |c| c.runtime.volumes),
    ("readiness", r#"{"readiness": {"tcpPort": 80}}"#, |c| c.runtime.readiness),
    ("name", r#"{"name": "openlattice-conformance-refused"}"#, |c| c.identity.names),
    ("tags", r#"{"tags": {"a": "b"}}"#, |c| c.identity.tags),
    ("key", r#"{"key": "openlattice-conformance-refused"}"#, |c| c.identity.keys),
    ("attachment", r#"{"attachment": "bound"}"#, |c| c.identity.owners),
    ("env", r#"{"env": {"A": "b"}}"#, |c| c.runtime.env),
];

/// Whether a list of what may be reached is offered in any form.
fn filters(offers: &Capabilities) -> bool {
    offers.networking.cidr_allow_list || offers.networking.domain_allow_list
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use openlattice::{
        Gpu, Lifetime, NetworkPolicy, NetworkSpec, Placement, ProvisionSpec, Resources, Runtime,
    };

    use super::*;

    /// The names of what destructuring binds, below a prefix. A field that nobody names does not compile.
    macro_rules! names {
        ($value:expr, $kind:ident { $($field:ident => $name:literal),+ $(,)? }) => {{
            let $kind { $($field: _),+ } = $value;
            vec![$($name),+]
        }};
    }

    /// Every field of a spec; an empty name stands for one that is taken apart further or that no provider refuses.
    fn all() -> BTreeSet<&'static str> {
        let spec = ProvisionSpec::default();
        let mut all = names!(&spec.runtime, Runtime {
            image => "", command => "runtime.command", main => "runtime.main", workdir => "runtime.workdir", registry => "runtime.registry",
        });
        all.extend(
            names!(&Gpu::default(), Gpu { gpu_type => "gpu", count => "gpu", fallback => "gpu.fallback" }),
        );
        all.extend(names!(&spec.resources, Resources {
            cpu_request_millis => "resources.cpuRequestMillis", cpu_limit_millis => "resources.cpuLimitMillis",
            memory_request_bytes => "resources.memoryRequestBytes", memory_limit_bytes => "resources.memoryLimitBytes",
            pids_limit => "resources.pidsLimit", disk_limit_bytes => "resources.diskLimitBytes",
        }));
        all.extend(names!(&spec.duration, Lifetime {
            max_seconds => "duration.maxSeconds", idle_seconds => "duration.idleSeconds",
        }));
        all.extend(names!(&spec.network, NetworkSpec {
            policy => "network.policy", tailscale_auth_key => "network.tailscaleAuthKey", ports => "network.ports",
        }));
        all.extend(lists(&NetworkPolicy::AllowList { cidrs: Vec::new(), domains: Vec::new() }));
        all.extend(names!(&spec.placement, Placement {
            regions => "placement.regions", cloud => "placement.cloud", architecture => "placement.architecture",
        }));
        all.extend(names!(&spec, ProvisionSpec {
            runtime => "", gpu => "gpu", resources => "", duration => "", network => "", placement => "", env => "env",
            secrets => "secrets", volumes => "volumes", readiness => "readiness", name => "name", tags => "tags",
            key => "key", attachment => "attachment",
        }));
        all.into_iter().filter(|name| !name.is_empty()).collect()
    }

    fn lists(policy: &NetworkPolicy) -> Vec<&'static str> {
        match policy {
            NetworkPolicy::Open | NetworkPolicy::Blocked => vec![],
            NetworkPolicy::AllowList { cidrs: _, domains: _ } => {
                vec!["network.policy.allowList.cidrs", "network.policy.allowList.domains"]
            }
        }
    }

    #[test]
    fn g6_every_field_of_a_spec_is_tried() {
        let tried: BTreeSet<_> = FIELDS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(tried, all());
    }

    #[test]
    fn g6_a_provider_that_offers_nothing_must_refuse_each_by_its_name() {
        let nothing = Capabilities::default();
        for (name, json, claimed) in FIELDS {
            let spec = ProvisionSpec::from_json(json).unwrap();
            let part = name.starts_with("network.policy.allowList") || name == "gpu.fallback";
            assert_eq!(claimed(&nothing), part, "{name}");
            let error = nothing.check_provision(&spec).unwrap_err();
            assert!(name.starts_with(error.field().unwrap()), "{name}: {error:?}");
        }
    }
}
