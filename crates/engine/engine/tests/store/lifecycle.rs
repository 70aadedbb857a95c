//! Creation, names, ends.

use crate::support::{Store, command, names, text};
use openlattice_engine::{
    EndReason, ErrorKind, ExecEnd, ExecId, OutputStream, Owner, SandboxFilter, SandboxId, SandboxInfo,
    SandboxSpec, SandboxState,
};
use std::{collections::BTreeMap, time::Duration};

fn reason(info: &SandboxInfo) -> EndReason {
    match &info.state {
        SandboxState::Ended(end) => end.reason,
        state => panic!("{state:?}"),
    }
}

fn main_command(argv: &[&str]) -> SandboxSpec {
    let mut spec = SandboxSpec::default();
    spec.command = argv.iter().map(|argument| (*argument).to_owned()).collect();
    spec
}

#[tokio::test]
async fn the_main_command_ends_the_sandbox_with_its_code() {
    let Some(store) = Store::open().await else { return };
    let info = store.engine.create(main_command(&["sh", "-c", "echo said; exit 9"])).await.unwrap();
    let ended = store.engine.wait(&info.id, None).await.unwrap();
    assert_eq!(reason(&ended), EndReason::Exited(9));
    let main = ExecId::parse("main").unwrap();
    assert_eq!(text(&store.engine, &info.id, &main, OutputStream::Stdout).await, "said\n");
    assert_eq!(store.engine.exec_state(&info.id, &main).await.unwrap().end, Some(ExecEnd::Exited(9)));
    store.close().await;
}

#[tokio::test]
async fn a_main_command_that_does_not_exist_leaves_nothing() {
    let Some(store) = Store::open().await else { return };
    let mut spec = main_command(&["/no/such/program"]);
    spec.id = Some(SandboxId::parse("sb-chosen").unwrap());
    let error = store.engine.create(spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProgramNotFound, "{error:?}");
    let all = SandboxFilter { include_ended: true, ..SandboxFilter::default() };
    assert!(store.engine.sandboxes(&all).await.unwrap().is_empty());
    assert_eq!(names(&store.path().join("sandboxes")), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_dropped_creation_leaves_nothing() {
    let Some(store) = Store::open().await else { return };
    store.engine.image("host").await.unwrap();
    let mut dropped = 0;
    for milliseconds in 0..25 {
        let create = store.engine.create(SandboxSpec::default());
        match tokio::time::timeout(Duration::from_millis(milliseconds), create).await {
            Ok(info) => store.engine.remove(&info.unwrap().id).await.unwrap(),
            Err(_) => dropped += 1,
        }
    }
    assert!(dropped > 0, "no creation was dropped midway");
    // The undoing goes on in the background: a kept one would stay.
    let alive = async || store.engine.sandboxes(&SandboxFilter::default()).await.unwrap().len();
    let left = || [names(&store.path().join("sandboxes")), names(&store.path().join("trash"))].concat();
    while alive().await > 0 || !left().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store.close().await;
}

#[tokio::test]
async fn wrong_values_are_refused_before_anything_is_made() {
    let Some(store) = Store::open().await else { return };
    let kind = async |change: fn(&mut SandboxSpec)| {
        let mut spec = SandboxSpec::default();
        change(&mut spec);
        store.engine.create(spec).await.unwrap_err().kind()
    };
    assert_eq!(kind(|spec| spec.image = "nowhere".to_owned()).await, ErrorKind::NotFound);
    assert_eq!(kind(|spec| spec.workdir = Some("relative".to_owned())).await, ErrorKind::InvalidArgument);
    assert_eq!(
        kind(|spec| spec.env = vec![("A=B".to_owned(), String::new())]).await,
        ErrorKind::InvalidArgument
    );
    assert_eq!(kind(|spec| spec.limits.memory_bytes = Some(1)).await, ErrorKind::InvalidArgument);
    assert_eq!(kind(|spec| spec.lifetime = Some(Duration::ZERO)).await, ErrorKind::InvalidArgument);
    store.close().await;
}

#[tokio::test]
async fn names_are_unique_among_the_living_of_a_scope() {
    let Some(store) = Store::open().await else { return };
    let mut spec = SandboxSpec::default();
    (spec.name, spec.scope) = (Some("web".to_owned()), "app".to_owned());
    let first = store.engine.create(spec.clone()).await.unwrap();
    assert_eq!(store.engine.create(spec.clone()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.engine.sandbox_by_name("app", "web", false).await.unwrap().id, first.id);
    assert_eq!(
        store.engine.sandbox_by_name("other", "web", false).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    store.engine.terminate(&first.id).await.unwrap();
    assert_eq!(
        store.engine.sandbox_by_name("app", "web", false).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(store.engine.sandbox_by_name("app", "web", true).await.unwrap().id, first.id);
    let second = store.engine.create(spec).await.unwrap();
    assert_eq!(
        store.engine.set_name(&second.id, "other").await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    let third = store.sandbox().await;
    store.engine.set_name(&third.id, "web").await.unwrap();
    assert_eq!(store.engine.sandbox_by_name("", "web", false).await.unwrap().id, third.id);
    store.close().await;
}

#[tokio::test]
async fn lists_are_by_scope_tags_and_age() {
    let Some(store) = Store::open().await else { return };
    let mut ids = Vec::new();
    for (scope, tag) in [("a", "x"), ("a", "y"), ("b", "x")] {
        let mut spec = SandboxSpec::default();
        (spec.scope, spec.tags) = (scope.to_owned(), BTreeMap::from([("t".to_owned(), tag.to_owned())]));
        (spec.note, spec.owner) = ("note".to_owned(), Owner::ThisProcess);
        ids.push(store.engine.create(spec).await.unwrap());
    }
    let list = async |filter: SandboxFilter| -> Vec<SandboxId> {
        store.engine.sandboxes(&filter).await.unwrap().into_iter().map(|info| info.id).collect()
    };
    let id = |at: usize| ids[at].id.clone();
    assert_eq!(list(SandboxFilter::default()).await, [id(2), id(1), id(0)]);
    assert_eq!(
        list(SandboxFilter { scope: Some("a".to_owned()), ..Default::default() }).await,
        [id(1), id(0)]
    );
    assert_eq!(list(SandboxFilter { tags: ids[0].tags.clone(), ..Default::default() }).await, [id(2), id(0)]);
    assert_eq!(list(SandboxFilter { before: Some(ids[1].created_at), ..Default::default() }).await, [id(0)]);
    assert_eq!(list(SandboxFilter { limit: 1, ..Default::default() }).await, [id(2)]);
    store.engine.set_tags(&id(1), ids[0].tags.clone()).await.unwrap();
    store.engine.terminate(&id(2)).await.unwrap();
    assert_eq!(list(SandboxFilter { tags: ids[0].tags.clone(), ..Default::default() }).await, [id(1), id(0)]);
    let info = store.engine.sandbox(&id(2)).await.unwrap();
    assert!(info.owned && info.note == "note");
    store.close().await;
}

#[tokio::test]
async fn life_and_idle_time_end_it() {
    let Some(store) = Store::open().await else { return };
    let mut short = SandboxSpec::default();
    short.lifetime = Some(Duration::from_millis(300));
    let mut idle = SandboxSpec::default();
    idle.idle_timeout = Some(Duration::from_millis(300));
    let (short, idle) = (store.engine.create(short).await.unwrap(), store.engine.create(idle).await.unwrap());
    assert!(short.expires_at.is_some());
    assert_eq!(reason(&store.engine.wait(&short.id, None).await.unwrap()), EndReason::TimedOut);
    assert_eq!(reason(&store.engine.wait(&idle.id, None).await.unwrap()), EndReason::Idle);
    store.close().await;
}

#[tokio::test]
async fn a_wait_that_times_out_says_running() {
    let Some(store) = Store::open().await else { return };
    let info = store.sandbox().await;
    let waited = store.engine.wait(&info.id, Some(Duration::from_millis(50))).await.unwrap();
    assert_eq!(waited.state, SandboxState::Running);
    let (engine, id) = (store.engine.clone(), info.id.clone());
    let waiting = tokio::spawn(async move { engine.wait(&id, None).await.unwrap() });
    store.engine.terminate(&info.id).await.unwrap();
    assert_eq!(reason(&waiting.await.unwrap()), EndReason::Terminated);
    store.close().await;
}

#[tokio::test]
async fn terminate_and_remove_repeat_and_keep_the_first_result() {
    let Some(store) = Store::open().await else { return };
    let info = store.engine.create(main_command(&["true"])).await.unwrap();
    store.engine.wait(&info.id, None).await.unwrap();
    assert_eq!(reason(&store.engine.terminate(&info.id).await.unwrap()), EndReason::Exited(0));
    assert_eq!(
        store.engine.exec(&info.id, command(&["true"])).await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    store.engine.remove(&info.id).await.unwrap();
    assert_eq!(store.engine.remove(&info.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.engine.sandbox(&info.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let unknown = SandboxId::parse("sb-unknown").unwrap();
    assert_eq!(store.engine.terminate(&unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn the_working_directory_is_made_and_used() {
    let Some(store) = Store::open().await else { return };
    let mut spec = SandboxSpec::default();
    (spec.workdir, spec.env) =
        (Some("/work/deep".to_owned()), vec![("GREETING".to_owned(), "hi".to_owned())]);
    let info = store.engine.create(spec).await.unwrap();
    assert_eq!(
        store.sh(&info.id, "pwd; echo $GREETING; id -u; stat -c %u .; echo $HOME").await.ok(),
        "/work/deep\nhi\n0\n0\n/root\n"
    );
    let database = std::fs::read(store.path().join("store.db")).unwrap();
    let log = std::fs::read(store.path().join("store.db-wal")).unwrap_or_default();
    assert!(
        ![database, log].concat().windows(8).any(|window| window == b"GREETING"),
        "the environment was stored"
    );
    store.close().await;
}

#[tokio::test]
async fn nothing_of_the_host_shows() {
    let Some(store) = Store::open().await else { return };
    let info = store.sandbox().await;
    assert_eq!(
        store.sh(&info.id, "ls -A /root /home | grep -v :; cat /etc/shadow 2>&1").await.stdout.trim(),
        "cat: /etc/shadow: No such file or directory"
    );
    let processes: u32 = store.sh(&info.id, "ls /proc | grep -c '^[0-9]'").await.ok().trim().parse().unwrap();
    assert!(processes < 8, "{processes} processes show");
    assert_eq!(store.sh(&info.id, "find /usr/local -type f | wc -l").await.ok(), "0\n");
    assert_eq!(store.sh(&info.id, "hostname").await.ok().trim(), info.id.as_str());
    store.close().await;
}

#[tokio::test]
async fn many_may_end_one_at_once() {
    let Some(store) = Store::open().await else { return };
    for _ in 0..5 {
        let id = store.sandbox().await.id;
        let mut tasks = Vec::new();
        for n in 0..6 {
            let (engine, id) = (store.again().await, id.clone());
            tasks.push(tokio::spawn(async move {
                if n % 2 == 0 { engine.remove(&id).await } else { engine.terminate(&id).await.map(|_| ()) }
            }));
        }
        for task in tasks {
            // One that comes after a removal finds nothing.
            if let Err(error) = task.await.unwrap() {
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
            }
        }
        assert_eq!(store.engine.sandbox(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    store.close().await;
}

#[tokio::test]
async fn one_whose_folder_was_deleted_is_ended() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    std::fs::remove_dir_all(store.path().join("sandboxes").join(id.as_str())).unwrap();
    assert_eq!(reason(&store.engine.sandbox(&id).await.unwrap()), EndReason::Lost);
    store.close().await;
}
