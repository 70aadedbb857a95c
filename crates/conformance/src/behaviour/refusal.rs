//! What is not claimed is refused, by name, before anything is made.

use openlattice::{Capabilities, ExecSpec, OnDrop, OutputStream, PortKind, ProvisionSpec, SandboxId};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Failure, Outcome, must_refuse, passed};

behaviours![
    g6_every_unclaimed_field_of_a_spec_is_refused,
    g6_every_unclaimed_field_of_a_restore_is_refused,
    g6_every_unclaimed_exec_option_is_refused,
    g6_every_unclaimed_call_is_refused,
    g6_malformed_specs_are_refused_and_leave_nothing,
];

/// A field, a spec in JSON that uses it, and the claim that allows it.
type Field = (&'static str, &'static str, fn(&Capabilities) -> bool);

/// Every field that a provider may refuse.
const FIELDS: [Field; 26] = [
    ("runtime.command", r#"{"runtime": {"command": ["true"]}}"#, |c| c.runtime.command),
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
    ("network.policy", r#"{"network": {"policy": {"allowList": {"cidrs": ["10.0.0.0/8"]}}}}"#, |c| {
        c.networking.cidr_allow_list || c.networking.domain_allow_list
    }),
    ("network.tailscaleAuthKey", r#"{"network": {"tailscaleAuthKey": "tskey-planted"}}"#, |c| c.tailscale),
    ("placement.regions", r#"{"placement": {"regions": ["eu"]}}"#, |c| c.placement.regions),
    ("placement.cloud", r#"{"placement": {"cloud": "aws"}}"#, |c| c.placement.clouds),
    ("placement.architecture", r#"{"placement": {"architecture": "pdp11"}}"#, |_| false),
    ("secrets", r#"{"secrets": [{"named": "a-stored-secret"}]}"#, |c| c.runtime.named_secrets),
    ("secrets", r#"{"secrets": [{"values": {"A": "b"}}]}"#, |c| c.runtime.secret_values),
    ("volumes", r#"{"volumes": [{"name": "v", "path": "/v"}]}"#, |c| c.runtime.volumes),
    ("readiness", r#"{"readiness": {"tcpPort": 80}}"#, |c| c.runtime.readiness),
    ("attachment", r#"{"attachment": "bound"}"#, |c| c.identity.owners),
    ("env", r#"{"env": {"A": "b"}}"#, |c| c.runtime.env),
];

/// Returns the fields that the provider does not claim, with a spec that uses each.
fn unclaimed(case: &Case, base: &ProvisionSpec) -> Result<Vec<(&'static str, ProvisionSpec)>, Failure> {
    let refused = FIELDS.into_iter().filter(|(_, _, claimed)| !claimed(case.offers()));
    refused.map(|(field, json, _)| Ok((field, merged(base, json)?))).collect()
}

/// Lays a spec in JSON over another one.
fn merged(base: &ProvisionSpec, json: &str) -> Result<ProvisionSpec, Failure> {
    let mut whole = serde_json::to_value(base)?;
    lay_over(&mut whole, serde_json::from_str(json)?);
    Ok(serde_json::from_value(whole)?)
}

fn lay_over(below: &mut serde_json::Value, above: serde_json::Value) {
    match (below, above) {
        (serde_json::Value::Object(below), serde_json::Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name).or_insert(serde_json::Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
}

async fn g6_every_unclaimed_field_of_a_spec_is_refused(case: Case) -> Outcome {
    for (field, spec) in unclaimed(&case, &case.spec())? {
        must_refuse(case.provision(spec).await, field)?;
    }
    case.nothing_alive("after refused specs").await?;
    passed()
}

async fn g6_every_unclaimed_field_of_a_restore_is_refused(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return crate::verdict::skipped("snapshots are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let reference = node.snapshot().await?;
    node.destroy().await?;
    for (field, spec) in unclaimed(&case, &case.restore_spec())? {
        must_refuse(case.restore(&reference, spec).await, field)?;
    }
    case.nothing_alive("after refused restores").await?;
    passed()
}

async fn g6_every_unclaimed_exec_option_is_refused(case: Case) -> Outcome {
    let node = case.node().await?;
    let offers = case.offers().exec.clone();
    let mut named = ExecSpec::new(["true"]);
    named.options.secrets = vec![openlattice::SecretSource::Named("a-stored-secret".to_owned())];
    let mut values = ExecSpec::new(["true"]);
    values.options.secrets = vec![openlattice::SecretSource::Values([("A", "b")].into_iter().collect())];
    let cases = [
        (offers.named_secrets, named, "options.secrets"),
        (offers.secret_values, values, "options.secrets"),
        (offers.kill_on_drop, ExecSpec::new(["true"]).with_on_drop(OnDrop::Kill), "options.onDrop"),
        (offers.caller_ids, ExecSpec::new(["true"]).with_exec_id("e-1"), "options.execId"),
    ];
    for (_, spec, field) in cases.into_iter().filter(|(claimed, ..)| !claimed) {
        must_refuse(node.exec(spec).await, field)?;
    }
    passed()
}

async fn g6_every_unclaimed_call_is_refused(case: Case) -> Outcome {
    let (offers, provider) = (case.offers(), case.provider());
    let id = SandboxId::new("sb-no-such-sandbox");
    if !offers.restart {
        must_refuse(provider.restart(&id).await, "restart")?;
    }
    if !offers.pause {
        must_refuse(provider.pause(&id).await, "pause")?;
        must_refuse(provider.resume(&id).await, "pause")?;
    }
    if !offers.logs {
        must_refuse(provider.logs(&id, OutputStream::Stdout, 0).await, "logs")?;
    }
    if !offers.identity.owners {
        must_refuse(provider.gc().await, "identity.owners")?;
    }
    passed()
}

async fn g6_malformed_specs_are_refused_and_leave_nothing(case: Case) -> Outcome {
    let mut relative = case.spec();
    relative.runtime.workdir = Some("relative".to_owned());
    let mut ports = case.spec();
    ports.network.ports = vec![openlattice::PortSpec { port: 0, kind: PortKind::Encrypted }];
    let mut empty = case.spec();
    empty.runtime.image = Some(String::new());
    let cases = [
        (relative, "runtime.workdir"),
        (ports, "network.ports"),
        (empty, "runtime.image"),
        (case.spec().with_env("A=B", "c"), "env"),
        (case.spec().with_max_seconds(0), "duration.maxSeconds"),
    ];
    for (spec, field) in cases {
        let kinds = [openlattice::ErrorKind::InvalidArgument];
        let error = crate::verdict::must_fail(case.provision(spec).await, &kinds, field)?;
        crate::verdict::ensure_eq!(error.field(), Some(field), "the refused field");
    }
    case.nothing_alive("after malformed specs").await?;
    passed()
}
