//! Owners, the folders of ended sandboxes, and agents that do not obey.

use crate::support::{Store, agent_pid, names};
use openlattice_engine::{EndReason, Engine, EngineConfig, SandboxSpec, SandboxState};
use rustix::process::{Signal, kill_process};
use std::time::Duration;

#[tokio::test]
async fn what_is_owned_by_the_living_or_nobody_stays() {
    let Some(store) = Store::open().await else { return };
    let mut owned = SandboxSpec::default();
    owned.owner = openlattice_engine::Owner::ThisProcess;
    let (owned, detached) = (store.engine.create(owned).await.unwrap(), store.sandbox().await);
    assert!(owned.owned && !detached.owned);
    assert_eq!(store.engine.gc().await.unwrap().ended, []);
    for id in [&owned.id, &detached.id] {
        assert_eq!(store.engine.sandbox(id).await.unwrap().state, SandboxState::Running);
    }
    store.close().await;
}

#[tokio::test]
async fn folders_of_ended_sandboxes_go_after_their_time() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    store.sh(&id, "echo kept").await.ok();
    store.engine.terminate(&id).await.unwrap();
    let mut config = EngineConfig::new(store.path());
    config.keep_ended = Duration::from_secs(3600);
    let patient = Engine::open(config).await.unwrap();
    assert_eq!(patient.gc().await.unwrap().removed, []);
    assert_eq!(names(&store.path().join("sandboxes")), [id.as_str()]);
    let report = store.engine.gc().await.unwrap();
    assert_eq!(report.removed, std::slice::from_ref(&id));
    assert!(report.bytes > 0);
    assert_eq!(names(&store.path().join("sandboxes")), Vec::<String>::new());
    assert!(matches!(store.engine.sandbox(&id).await.unwrap().state, SandboxState::Ended(_)));
    store.close().await;
}

#[tokio::test]
async fn an_agent_that_does_not_answer_is_killed() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let pid = agent_pid(store.engine.store_id(), &id);
    kill_process(pid, Signal::STOP).unwrap();
    let ended = store.engine.terminate(&id).await.unwrap();
    let SandboxState::Ended(end) = ended.state else { panic!("{ended:?}") };
    assert_eq!(end.reason, EndReason::Terminated);
    store.close().await;
}
