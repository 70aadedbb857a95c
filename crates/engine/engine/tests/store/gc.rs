//! Owners, the folders of ended sandboxes, and agents that do not obey.

use crate::support::{Store, agent_pid, command, names, outcome, text};
use openlattice_engine::{
    EndReason, Engine, EngineConfig, ErrorKind, ExecEnd, ExecId, GcSpec, OutputStream, SandboxId,
    SandboxSpec, SandboxState,
};
use rustix::process::{Signal, kill_process};
use std::{
    os::unix::fs::FileExt,
    time::{Duration, Instant, SystemTime},
};

#[tokio::test]
async fn what_is_owned_by_the_living_or_nobody_stays() {
    let Some(store) = Store::open().await else { return };
    let mut owned = SandboxSpec::default();
    owned.owner = openlattice_engine::Owner::ThisProcess;
    let (owned, detached) = (store.engine.create(owned).await.unwrap(), store.sandbox().await);
    assert!(owned.owned && !detached.owned);
    assert_eq!(store.engine.gc(GcSpec::default()).await.unwrap().ended, []);
    for id in [&owned.id, &detached.id] {
        assert_eq!(store.engine.sandbox(id).await.unwrap().state, SandboxState::Running);
    }
    store.close().await;
}

#[tokio::test]
async fn output_goes_after_its_time_and_then_the_folder() {
    let Some(store) = Store::open().await else { return };
    let (lives, ended) = (store.sandbox().await.id, store.sandbox().await.id);
    let mut execs = Vec::new();
    for id in [&lives, &ended] {
        let exec = store.engine.exec(id, command(&["echo", "kept"])).await.unwrap();
        assert_eq!(outcome(&store.engine, id, &exec).await.ok(), "kept\n");
        execs.push(exec);
    }
    store.engine.terminate(&ended).await.unwrap();
    assert_eq!(store.engine.gc(GcSpec::default()).await.unwrap().removed, []);
    assert_eq!(text(&store.engine, &ended, &execs[1], OutputStream::Stdout).await, "kept\n");
    let mut config = EngineConfig::new(store.path());
    config.output_retention = Duration::ZERO;
    let report = Engine::open(config).await.unwrap().gc(GcSpec::default()).await.unwrap();
    assert_eq!(report.removed, std::slice::from_ref(&ended));
    assert!(report.bytes > 0);
    assert_eq!(names(&store.path().join("sandboxes")), [lives.as_str()]);
    assert!(matches!(store.engine.sandbox(&ended).await.unwrap().state, SandboxState::Ended(_)));
    // The result of a command stays as long as its sandbox, and its output is said to be gone.
    assert_eq!(store.engine.exec_state(&lives, &execs[0]).await.unwrap().end, Some(ExecEnd::Exited(0)));
    let gone = store.engine.output(&lives, &execs[0], OutputStream::Stdout, 0).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn output_above_the_bound_goes_oldest_first() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut execs = Vec::new();
    for _ in 0..3 {
        let exec = store.engine.exec(&id, command(&["head", "-c", "100000", "/dev/zero"])).await.unwrap();
        store.engine.exec_wait(&id, &exec).await.unwrap();
        execs.push(exec);
    }
    let mut config = EngineConfig::new(store.path());
    config.output_bound = 150_000;
    let bounded = Engine::open(config).await.unwrap();
    let there = async || {
        let folder = store.path().join("sandboxes").join(id.as_str()).join("execs");
        execs.iter().map(|exec| folder.join(exec.as_str()).join("stdout").exists()).collect::<Vec<_>>()
    };
    bounded.gc(GcSpec::default()).await.unwrap();
    assert_eq!(there().await, [true; 3], "what has just ended was taken from who waits for it");
    for (exec, age) in execs.iter().zip([400, 300, 200]) {
        ended_before(&store, &id, exec, age);
    }
    bounded.gc(GcSpec::default()).await.unwrap();
    assert_eq!(there().await, [false, false, true]);
    store.close().await;
}

/// Lets a command have ended `age` seconds ago, as far as its recorded status says (the last field of the record).
fn ended_before(store: &Store, id: &SandboxId, exec: &ExecId, age: u64) {
    let status =
        store.path().join("sandboxes").join(id.as_str()).join("execs").join(exec.as_str()).join("status");
    let at = SystemTime::now() - Duration::from_secs(age);
    let nanoseconds = u64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(status).unwrap();
    file.write_all_at(&nanoseconds.to_le_bytes(), 64).unwrap();
}

#[tokio::test]
async fn what_ended_long_ago_is_removed_on_request() {
    let Some(store) = Store::open().await else { return };
    let (lives, ended) = (store.sandbox().await.id, store.sandbox().await.id);
    store.sh(&ended, "echo said").await.ok();
    store.engine.terminate(&ended).await.unwrap();
    let hour = GcSpec::older(Duration::from_secs(3600));
    assert_eq!(store.engine.gc(hour).await.unwrap().removed, []);
    assert_eq!(store.engine.gc(GcSpec::all()).await.unwrap().removed, std::slice::from_ref(&ended));
    assert_eq!(store.engine.sandbox(&ended).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(names(&store.path().join("sandboxes")), [lives.as_str()]);
    assert_eq!(store.engine.sandbox(&lives).await.unwrap().state, SandboxState::Running);
    store.close().await;
}

#[tokio::test]
async fn a_front_that_lives_cleans_up_now_and_then() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    kill_process(agent_pid(store.engine.store_id(), &id), Signal::KILL).unwrap();
    store.engine.keep_tidy();
    // The mark of the last round is made at the first look.
    let mark = store.path().join("sweep.lock");
    until(|| mark.exists()).await;
    assert!(store.path().join("sandboxes").join(id.as_str()).exists(), "a round came too early");
    let past = SystemTime::now() - Duration::from_secs(3600);
    std::fs::File::open(&mark).unwrap().set_modified(past).unwrap();
    let front = store.again().await;
    front.keep_tidy();
    until(|| !store.path().join("sandboxes").join(id.as_str()).exists()).await;
    until(|| std::fs::metadata(&mark).unwrap().modified().unwrap() > past + Duration::from_secs(60)).await;
    store.close().await;
}

/// Waits for what happens in another thread.
async fn until(happened: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !happened() {
        assert!(Instant::now() < limit, "it never happened");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
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
