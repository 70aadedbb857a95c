//! Following changes of files.

use openlattice_modal_client::{ErrorKind, FileEventKind, WatchSpec};
use openlattice_modal_proto::task_command_router::task_exec_wait_response::ExitStatus;

use crate::fake::Fake;
use crate::{client, sandbox};

const LINES: &str = "{\"event_type\":\"Create\",\"paths\":[\"/d/a\"]}\n{\"event_type\":\"Rename\",\"paths\":[\"/d/a\",\"/d/b\"]}\n\
                     {\"event_type\":\"Create\",\"paths\":[]}\n{\"event_type\":\"Novel\",\"paths\":[\"/d\"]}\n";

#[tokio::test]
async fn m27_events_come_whole_over_broken_connections_and_end_with_the_tool() {
    let fake = Fake::start().await;
    fake.state().stdout = LINES.into();
    fake.state().exit = Some(ExitStatus::Code(0));
    fake.state().cuts = [10, 61, 2].into();
    let spec = WatchSpec { recursive: true, filter: Some(vec![FileEventKind::Create]), timeout: None };
    let mut watch = sandbox(&client(&fake)).await.watch_files("/d", &spec).await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = watch.next().await.unwrap() {
        kinds.push(event.kind);
    }
    assert_eq!(kinds, [FileEventKind::Create, FileEventKind::Rename, FileEventKind::Unknown]);
    assert!(watch.next().await.unwrap().is_none());
    let argument = fake.state().started[0].command_args[1].clone();
    assert_eq!(
        argument,
        r#"{"Watch":{"path":"/d","recursive":true,"filter":["Create"],"timeout_secs":null}}"#
    );
    drop(watch);
    assert!(fake.calls("TaskExecStdinWrite").is_empty(), "what is over needs no end");
}

#[tokio::test]
async fn g9_a_dropped_watch_ends_its_input() {
    let fake = Fake::start().await;
    fake.state().stdout = LINES.into();
    let mut watch = sandbox(&client(&fake)).await.watch_files("/d", &WatchSpec::default()).await.unwrap();
    watch.next().await.unwrap().unwrap();
    drop(watch);
    // Sent by a task of this runtime; each turn here is one for that.
    while !fake.state().stdin_closed {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn m27_the_end_of_the_sandbox_and_a_missing_path_are_told_apart() {
    let fake = Fake::start().await;
    let sandbox = sandbox(&client(&fake)).await;
    fake.state().exit = Some(ExitStatus::Signal(9));
    let mut watch = sandbox.watch_files("/d", &WatchSpec::default()).await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, None));
    fake.state().exit = Some(ExitStatus::Code(1));
    fake.state().stderr = r#"{"error_kind":"NotFound","message":"no such file"}"#.into();
    let mut watch = sandbox.watch_files("/d", &WatchSpec::default()).await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, Some("/d")));
    assert_eq!(
        sandbox.watch_files("d", &WatchSpec::default()).await.unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
}
