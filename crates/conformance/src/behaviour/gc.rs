//! `gc` and owners: nothing is leaked, and nothing else is touched.

use openlattice::{Attachment, SandboxState};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, ensure_eq, must_refuse, passed, skipped};

behaviours![
    g5_a_bound_sandbox_carries_its_owner,
    g5_gc_leaves_detached_and_owned_sandboxes_alone,
    g5_a_refused_provision_leaves_nothing,
];

async fn g5_a_bound_sandbox_carries_its_owner(case: Case) -> Outcome {
    let mut spec = case.spec();
    spec.attachment = Attachment::Bound;
    if !case.offers().identity.owners {
        return must_refuse(case.provision(spec).await, "attachment");
    }
    let made = case.provision(spec).await?;
    ensure!(made.owner.is_some(), "provision names no owner");
    let Some(owner) = case.provider().inspect(&made.id).await?.owner else {
        return crate::verdict::failed("inspect names no owner");
    };
    ensure_eq!(owner.pid, std::process::id(), "the owner's process");
    passed()
}

async fn g5_gc_leaves_detached_and_owned_sandboxes_alone(case: Case) -> Outcome {
    if !case.offers().identity.owners {
        return must_refuse(case.provider().gc().await, "identity.owners");
    }
    let detached = case.node().await?;
    let mut spec = case.spec();
    spec.attachment = Attachment::Bound;
    let bound = case.node_of(spec).await?;
    let report = case.provider().gc().await?;
    for node in [&detached, &bound] {
        ensure!(!report.ended.contains(node.id()), "gc says that it ended {}", node.id());
        ensure_eq!(node.inspect().await?.state, SandboxState::Running, "the state of {} after gc", node.id());
    }
    passed()
}

async fn g5_a_refused_provision_leaves_nothing(case: Case) -> Outcome {
    let spec = case.spec().with_workdir("/no/such/directory/at all");
    if !case.offers().runtime.workdir {
        return skipped("working directories are not offered, and another test proves the refusal");
    }
    // A provider may make the directory, or refuse it; what it may not do is fail and leave a sandbox.
    match case.provision(spec).await {
        Ok(info) => ensure_eq!(info.state, SandboxState::Running, "the state"),
        Err(_) => case.nothing_alive("after a failed provision").await?,
    }
    passed()
}
