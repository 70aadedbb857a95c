//! The shortest way through.

use crate::support::Store;
use openlattice_engine::{EndReason, ExecEnd, SandboxState};

#[tokio::test]
async fn a_sandbox_lives_and_ends() {
    let Some(store) = Store::open().await else { return };
    let info = store.sandbox().await;
    assert_eq!(info.state, SandboxState::Running);
    let done = store.sh(&info.id, "echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (done.end(), done.stdout.as_str(), done.stderr.as_str()),
        (ExecEnd::Exited(7), "out\n", "err\n")
    );
    let ended = store.engine.terminate(&info.id).await.unwrap();
    let SandboxState::Ended(end) = &ended.state else { panic!("{ended:?}") };
    assert_eq!(end.reason, EndReason::Terminated);
    store.close().await;
}
