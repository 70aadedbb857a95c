//! `inspect`: what is known of a sandbox.

use openlattice::{EndReason, SandboxId, SandboxState};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, ensure_eq, passed, skipped};

behaviours![
    m20_a_live_sandbox_is_running,
    m20_another_instance_sees_the_same,
    m21_an_unknown_sandbox_is_terminated,
    m21_a_destroyed_sandbox_is_terminated_with_the_reason,
];

async fn m20_a_live_sandbox_is_running(case: Case) -> Outcome {
    let made = case.provision(case.spec()).await?;
    let info = case.provider().inspect(&made.id).await?;
    ensure_eq!(info.id, made.id, "the id");
    ensure_eq!(info.state, SandboxState::Running, "the state");
    ensure_eq!(info.end, None, "the end of a live sandbox");
    if case.offers().identity.tags {
        ensure_eq!(info.tags, case.spec().tags, "the tags");
    }
    passed()
}

async fn m20_another_instance_sees_the_same(case: Case) -> Outcome {
    let Some(peer) = case.peer() else { return skipped("the suite was given no second instance") };
    let made = case.provision(case.spec()).await?;
    ensure_eq!(peer.inspect(&made.id).await?.state, SandboxState::Running, "the state");
    passed()
}

async fn m21_an_unknown_sandbox_is_terminated(case: Case) -> Outcome {
    for id in ["sb-no-such-sandbox", "", "../../etc", "sb-é"] {
        let info = case.provider().inspect(&SandboxId::new(id)).await?;
        ensure_eq!(info.state, SandboxState::Terminated, "the state of {id:?}");
        ensure_eq!(info.end.map(|end| end.reason), Some(EndReason::Unknown), "the reason for {id:?}");
    }
    passed()
}

async fn m21_a_destroyed_sandbox_is_terminated_with_the_reason(case: Case) -> Outcome {
    let node = case.node().await?;
    node.destroy().await?;
    let info = node.inspect().await?;
    ensure_eq!(info.state, SandboxState::Terminated, "the state");
    let reason = info.end.map(|end| end.reason);
    ensure!(
        matches!(reason, Some(EndReason::Destroyed | EndReason::Unknown)),
        "the reason of the end is {reason:?}"
    );
    passed()
}
