//! What is not claimed is refused, by name, before anything is made.

mod field;

use openlattice::{ExecSpec, OnDrop, OutputStream, PortKind, ProvisionSpec, SandboxId};

use self::field::FIELDS;
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
    ports.network.ports = vec![openlattice::PortSpec::new(0, PortKind::Encrypted)];
    let mut list = case.spec();
    let cidrs = vec!["10.0.0.0/8".to_owned(), "10/8".to_owned()];
    list.network.policy = Some(openlattice::NetworkPolicy::AllowList { cidrs, domains: Vec::new() });
    let mut empty = case.spec();
    empty.runtime.image = Some(String::new());
    let cases = [
        (relative, "runtime.workdir"),
        (ports, "network.ports"),
        (list, "network.policy.allowList.cidrs"),
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
