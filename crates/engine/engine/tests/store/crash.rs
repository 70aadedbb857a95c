//! Fronts that are killed: another one goes on where they stopped.

use crate::support::{Store, able, agent_pid, command, names, outcome, text};
use openlattice_engine::{
    EndReason, Engine, EngineConfig, ExecEnd, ExecId, GcSpec, OutputStream, Owner, SandboxFilter, SandboxId,
    SandboxInfo, SandboxSpec, SandboxState, SnapshotSpec, VolumeMount, VolumeSpec,
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Set in a front: the store's folder and what to do there.
const FRONT: &str = "OPENLATTICE_TEST_FRONT";
const TASK: &str = "OPENLATTICE_TEST_TASK";

/// The body of the other process: this test binary, run again with one test and a task. Without a task there is nothing to do.
#[test]
fn front() {
    let (Some(dir), Ok(task)) = (std::env::var_os(FRONT), std::env::var(TASK)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::open(EngineConfig::new(dir)).await.unwrap();
        match task.as_str() {
            "exec" => exec_and_hang(&engine).await,
            "create" => create_for_ever(&engine).await,
            "churn" => churn(&engine).await,
            "make" => make_and_exit(&engine).await,
            "snapshot" => snapshot_for_ever(&engine).await,
            "volumes" => volumes_for_ever(&engine).await,
            other => panic!("no task {other}"),
        }
    });
}

fn say(text: &str) {
    // Past the harness, which captures what tests print.
    use std::io::Write;
    writeln!(std::io::stderr().lock(), "front: {text}").unwrap();
}

async fn exec_and_hang(engine: &Engine) {
    let mut spec = SandboxSpec::default();
    spec.owner = Owner::ThisProcess;
    let info = engine.create(spec).await.unwrap();
    let mut spec = command(&["sh", "-c", "n=0; while read line; do n=$((n+1)); echo $n $line; done; exit 5"]);
    (spec.id, spec.stdin) = (Some(ExecId::parse("loop").unwrap()), true);
    let exec = engine.exec(&info.id, spec).await.unwrap();
    engine.write_stdin(&info.id, &exec, 0, b"a\nb\n", false).await.unwrap();
    let mut reader = engine.output(&info.id, &exec, OutputStream::Stdout, 0).await.unwrap();
    while reader.offset() < 8 {
        reader.next().await.unwrap();
    }
    say(info.id.as_str());
    std::future::pending::<()>().await;
}

async fn create_for_ever(engine: &Engine) {
    engine.image("host").await.unwrap();
    say("ready");
    loop {
        let mut spec = SandboxSpec::default();
        spec.owner = Owner::ThisProcess;
        engine.create(spec).await.unwrap();
    }
}

async fn churn(engine: &Engine) {
    for n in 0..6 {
        let id = engine.create(SandboxSpec::default()).await.unwrap().id;
        let exec = engine
            .exec(&id, command(&["sh", "-c", &format!("echo {n} > /srv/n; cat /srv/n")]))
            .await
            .unwrap();
        assert_eq!(outcome(engine, &id, &exec).await.ok(), format!("{n}\n"));
        let image = engine.snapshot(&id, SnapshotSpec::default()).await.unwrap();
        engine.gc(GcSpec::default()).await.unwrap();
        engine.remove(&id).await.unwrap();
        engine.remove_image(image.id.as_str()).await.unwrap();
    }
    say("done");
}

async fn make_and_exit(engine: &Engine) {
    let id = engine.create(SandboxSpec::default()).await.unwrap().id;
    let exec = engine.exec(&id, command(&["echo", "here"])).await.unwrap();
    assert_eq!(outcome(engine, &id, &exec).await.ok(), "here\n");
    say(id.as_str());
}

async fn snapshot_for_ever(engine: &Engine) {
    let id = engine.sandboxes(&SandboxFilter::default()).await.unwrap().remove(0).id;
    say("ready");
    loop {
        engine.snapshot(&id, SnapshotSpec::default()).await.unwrap();
    }
}

async fn volumes_for_ever(engine: &Engine) {
    say("ready");
    loop {
        let volume = engine.create_volume(VolumeSpec::default()).await.unwrap();
        engine.remove_volume(&volume.id).await.unwrap();
    }
}

/// Another process on the store; killed when dropped.
struct Front {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Front {
    fn start(store: &Path, task: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::front", "--nocapture"])
            .env(FRONT, store)
            .env(TASK, task)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// What it says next.
    fn hear(&mut self) -> String {
        let (mut line, mut before) = (String::new(), String::new());
        loop {
            before.push_str(&line);
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the front ended: {before}");
            if let Some(said) = line.strip_prefix("front: ") {
                return said.trim().to_owned();
            }
        }
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reason(info: &SandboxInfo) -> EndReason {
    match &info.state {
        SandboxState::Ended(end) => end.reason,
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn another_front_goes_on_where_a_killed_one_stopped() {
    let Some(store) = Store::open().await else { return };
    let mut front = Front::start(&store.path(), "exec");
    let (id, exec) = (SandboxId::parse(&front.hear()).unwrap(), ExecId::parse("loop").unwrap());
    front.kill();
    let engine = store.again().await;
    assert_eq!(engine.sandbox(&id).await.unwrap().state, SandboxState::Running);
    assert_eq!(engine.stdin_state(&id, &exec).await.unwrap().accepted, 4);
    engine.write_stdin(&id, &exec, 0, b"a\nb\nc\n", true).await.unwrap();
    let done = outcome(&engine, &id, &exec).await;
    assert_eq!((done.end(), done.stdout.as_str()), (ExecEnd::Exited(5), "1 a\n2 b\n3 c\n"));
    // Its owner is gone.
    let report = engine.gc(GcSpec::default()).await.unwrap();
    assert_eq!((report.ended, report.removed), (vec![id.clone()], vec![]));
    assert_eq!(reason(&engine.sandbox(&id).await.unwrap()), EndReason::Terminated);
    store.close().await;
}

#[tokio::test]
async fn processes_share_a_store() {
    let Some(store) = Store::open().await else { return };
    let fronts: Vec<_> = (0..4).map(|_| Front::start(&store.path(), "churn")).collect();
    for mut front in fronts {
        assert_eq!(front.hear(), "done");
        assert!(front.child.wait().unwrap().success());
    }
    store.close().await;
}

/// Each process makes one and ends, as `lattice create` does: to the others its row looks like that of a creator that died.
#[tokio::test(flavor = "multi_thread")]
async fn g5_processes_that_make_and_end_lose_no_sandbox() {
    const MAKERS: usize = 8;
    const EACH: usize = 8;
    let Some(store) = Store::open().await else { return };
    store.engine.image("host").await.unwrap();
    let path = store.path();
    let maker = |path: std::path::PathBuf| {
        move || {
            (0..EACH)
                .map(|_| {
                    let mut front = Front::start(&path, "make");
                    let id = SandboxId::parse(&front.hear()).unwrap();
                    assert!(front.child.wait().unwrap().success());
                    id
                })
                .collect::<Vec<_>>()
        }
    };
    let makers: Vec<_> = (0..MAKERS).map(|_| tokio::task::spawn_blocking(maker(path.clone()))).collect();
    for made in makers {
        for id in made.await.unwrap() {
            assert_eq!(store.engine.sandbox(&id).await.unwrap().state, SandboxState::Running, "{id}");
            assert_eq!(store.sh(&id, "echo alive").await.ok(), "alive\n");
        }
    }
    assert_eq!(store.engine.sandboxes(&SandboxFilter::default()).await.unwrap().len(), MAKERS * EACH);
    store.close().await;
}

#[tokio::test]
async fn a_sandbox_that_another_call_adopted_is_not_taken_back() {
    let Some(store) = Store::open().await else { return };
    let made = store.sandbox().await;
    let adopted = store.again().await.adopt(&made.id).await.unwrap().unwrap();
    store.engine.take_back(&made).await.unwrap();
    assert_eq!(store.engine.sandbox(&made.id).await.unwrap().state, SandboxState::Running);
    store.engine.take_back(&adopted).await.unwrap();
    assert_eq!(reason(&store.engine.sandbox(&made.id).await.unwrap()), EndReason::Terminated);
    assert!(store.engine.adopt(&made.id).await.unwrap().is_none(), "it has ended");
    store.close().await;
}

#[tokio::test]
async fn a_creator_killed_anywhere_leaves_nothing_after_gc() {
    let Some(store) = Store::open().await else { return };
    for round in 0..6 {
        let mut front = Front::start(&store.path(), "create");
        front.hear();
        tokio::time::sleep(Duration::from_millis(5 + 7 * round)).await;
        front.kill();
        store.again().await.gc(GcSpec::default()).await.unwrap();
        assert!(store.engine.sandboxes(&SandboxFilter::default()).await.unwrap().is_empty());
        assert_eq!(names(&store.path().join("sandboxes")), Vec::<String>::new());
    }
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_killed_midway_leaves_the_sandbox_running() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    store.sh(&id, "mkdir /srv/d; for n in $(seq 400); do echo $n > /srv/d/$n; done").await.ok();
    for round in 0..6 {
        let mut front = Front::start(&store.path(), "snapshot");
        front.hear();
        tokio::time::sleep(Duration::from_millis(3 + 5 * round)).await;
        front.kill();
        assert_eq!(store.sh(&id, "echo alive").await.ok(), "alive\n");
    }
    store.again().await.gc(GcSpec::default()).await.unwrap();
    let rest: Vec<_> =
        names(&store.path().join("layers")).into_iter().filter(|name| name.starts_with(".tmp")).collect();
    assert!(rest.is_empty(), "{rest:?}");
    store.close().await;
}

#[tokio::test]
async fn a_front_killed_while_it_changes_volumes_leaves_whole_ones() {
    let Some(store) = Store::open().await else { return };
    for round in 0..8 {
        let mut front = Front::start(&store.path(), "volumes");
        front.hear();
        tokio::time::sleep(Duration::from_millis(3 + 3 * round)).await;
        front.kill();
        let next = store.again().await;
        next.gc(GcSpec::default()).await.unwrap();
        let known = next.volumes(None).await.unwrap();
        let ids: Vec<_> = known.iter().map(|volume| volume.id.to_string()).collect();
        let folders = names(&store.path().join("volumes"));
        assert!(folders.iter().all(|folder| ids.contains(folder)), "{folders:?} of {ids:?}");
        for volume in known {
            let mut spec = SandboxSpec::default();
            spec.volumes = vec![VolumeMount {
                volume: volume.id.clone(),
                path: "/data".to_owned(),
                read_only: false,
                sub_path: None,
            }];
            let id = store.engine.create(spec).await.unwrap().id;
            assert_eq!(store.sh(&id, "touch /data/x; stat -c %u:%a /data").await.ok(), "0:755\n");
            store.engine.remove(&id).await.unwrap();
            store.engine.remove_volume(&volume.id).await.unwrap();
        }
    }
    assert_eq!(names(&store.path().join("volumes")), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_killed_agent_is_a_loss_and_its_outputs_stay() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let exec = store.engine.exec(&id, command(&["sh", "-c", "echo before; sleep 1000"])).await.unwrap();
    let mut reader = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "before\n");
    let pid = agent_pid(store.engine.store_id(), &id);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let ended = store.engine.wait(&id, None).await.unwrap();
    assert_eq!(reason(&ended), EndReason::Lost);
    assert!(reader.next().await.unwrap().is_none());
    let state = store.engine.exec_wait(&id, &exec).await.unwrap();
    assert_eq!(state.end, Some(ExecEnd::SandboxEnded));
    assert_eq!(text(&store.engine, &id, &exec, OutputStream::Stdout).await, "before\n");
    store.close().await;
}

#[test]
fn an_engine_serves_several_runtimes_that_come_and_go() {
    if !able() {
        return;
    }
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime().block_on(Store::open()).unwrap();
    let info = runtime().block_on(store.sandbox());
    for _ in 0..3 {
        assert_eq!(runtime().block_on(store.sh(&info.id, "echo again")).ok(), "again\n");
    }
    runtime().block_on(store.close());
}
