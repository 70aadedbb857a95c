//! `destroy`: it ends, it repeats, and it does not swallow.

use openlattice::{ErrorKind, ExecSpec, Retry, SandboxId, SandboxState};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, passed, skipped};

behaviours![
    m17_destroy_ends_the_sandbox,
    m17_destroy_ends_running_commands,
    m17_another_instance_can_destroy,
    m18_destroy_twice_is_success,
    m18_destroy_of_an_unknown_sandbox_is_success,
    m18_ten_destroys_at_once_are_success,
    m19_destroy_without_a_connection_is_an_error_that_may_be_retried,
];

async fn m17_destroy_ends_the_sandbox(case: Case) -> Outcome {
    let node = case.node().await?;
    node.destroy().await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Terminated, "the state");
    case.nothing_alive("after destroy").await?;
    passed()
}

async fn m17_destroy_ends_running_commands(case: Case) -> Outcome {
    let node = case.node().await?;
    // A process that ignores every signal that can be ignored.
    let script = "trap '' TERM INT HUP; (trap '' TERM; sleep 86441) & while true; do sleep 1; done";
    let _session = node.exec(ExecSpec::shell(script)).await?;
    node.destroy().await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Terminated, "the state");
    passed()
}

async fn m17_another_instance_can_destroy(case: Case) -> Outcome {
    let Some(peer) = case.peer() else { return skipped("the suite was given no second instance") };
    let node = case.node().await?;
    peer.destroy(node.id()).await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Terminated, "the state");
    passed()
}

async fn m18_destroy_twice_is_success(case: Case) -> Outcome {
    let node = case.node().await?;
    node.destroy().await?;
    node.destroy().await?;
    passed()
}

async fn m18_destroy_of_an_unknown_sandbox_is_success(case: Case) -> Outcome {
    case.provider().destroy(&SandboxId::new("sb-no-such-sandbox")).await?;
    passed()
}

async fn m18_ten_destroys_at_once_are_success(case: Case) -> Outcome {
    let node = case.node().await?;
    futures_util::future::try_join_all((0..10).map(|_| node.destroy())).await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Terminated, "the state");
    passed()
}

async fn m19_destroy_without_a_connection_is_an_error_that_may_be_retried(case: Case) -> Outcome {
    let Some(provider) = case.unreachable() else {
        return skipped("the suite was given no instance that cannot reach its other side");
    };
    let result = provider.destroy(&SandboxId::new("sb-perhaps-alive")).await;
    let error = must_fail(result, &[ErrorKind::Unavailable], "destroy without a connection")?;
    ensure!(error.retry() != Retry::Never, "the retry of destroy is declared unsafe");
    passed()
}
