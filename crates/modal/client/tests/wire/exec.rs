//! Commands: start, output, input and end over broken connections (protocol sections 2.3 to 2.5 and 5).

use std::time::Duration;

use bytes::Bytes;
use openlattice_modal_client::{
    ErrorKind, ExecSpec, ExecStatus, KillReason, Output, OutputStream, Secret, StdinStatus,
};
use openlattice_modal_proto::client::secret_source::Source;
use openlattice_modal_proto::task_command_router::task_exec_wait_response::ExitStatus;
use tonic::Status;

use crate::fake::Fake;
use crate::{client, command, sandbox};

async fn rest(output: &mut Output) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = output.read().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    all
}

#[tokio::test]
async fn broken_output_goes_on_at_the_offset() {
    let fake = Fake::start().await;
    fake.state().stdout = b"0123456789".to_vec();
    fake.state().cuts = [2, 0, 5].into();
    let exec = command(&fake).await;
    let mut output = exec.output(OutputStream::Stdout, 0);
    assert_eq!(rest(&mut output).await, b"0123456789");
    assert_eq!(output.offset(), 10);
    assert_eq!(output.read().await.unwrap(), None);
    assert_eq!(fake.state().asked_offsets, [0, 2, 2, 7]);
}

#[tokio::test]
async fn output_can_be_read_from_the_middle_and_again() {
    let fake = Fake::start().await;
    fake.state().stderr = b"abcdef".to_vec();
    let exec = command(&fake).await;
    assert_eq!(rest(&mut exec.output(OutputStream::Stderr, 4)).await, b"ef");
    assert_eq!(rest(&mut exec.output(OutputStream::Stderr, 0)).await, b"abcdef");
    assert_eq!(rest(&mut exec.output(OutputStream::Stdout, 0)).await, b"");
}

#[tokio::test]
async fn output_of_an_unknown_command_is_not_tried_again() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    fake.fail("TaskExecStdioRead", [Status::not_found("no such exec")]);
    let error = exec.output(OutputStream::Stdout, 0).read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(fake.calls("TaskExecStdioRead").len(), 1);
}

#[tokio::test]
async fn a_repeated_start_carries_the_same_id() {
    let fake = Fake::start().await;
    fake.fail("TaskExecStart", [Status::unavailable("lost the reply")]);
    let exec = command(&fake).await;
    assert_eq!(fake.calls("TaskExecStart").len(), 2);
    assert_eq!(fake.state().started[0].exec_id, exec.id());
}

#[tokio::test]
async fn variables_and_directory_travel_as_data() {
    let fake = Fake::start().await;
    let sandbox = sandbox(&client(&fake)).await;
    let env = [("K".to_owned(), Secret::new("a b $HOME"))].into();
    let spec = ExecSpec {
        env,
        workdir: Some("/it's here".to_owned()),
        timeout: Some(Duration::from_millis(1500)),
        ..ExecSpec::new(["printf", "%s", "$K"])
    };
    sandbox.exec(&spec).await.unwrap();
    let started = fake.state().started[0].clone();
    assert_eq!(started.command_args, ["printf", "%s", "$K"]);
    assert_eq!((started.workdir.as_deref(), started.timeout_secs), (Some("/it's here"), Some(2)));
    let Some(Source::Env(env)) = &started.secret_sources[0].source else { panic!("{started:?}") };
    assert_eq!(env.contents["K"], "a b $HOME");
}

#[tokio::test]
async fn a_wait_that_was_held_too_long_is_repeated() {
    let fake = Fake::start().await;
    fake.state().exit = Some(ExitStatus::Code(7));
    fake.fail("TaskExecWait", [Status::deadline_exceeded("held"), Status::unavailable("restarting")]);
    let exec = command(&fake).await;
    assert_eq!(exec.wait().await.unwrap().status, ExecStatus::Code(7));
    assert_eq!(fake.calls("TaskExecWait").len(), 3);
    assert_eq!(fake.calls("TaskExecWait")[0].metadata["grpc-timeout"], "60000000u");
}

#[tokio::test]
async fn the_end_keeps_signal_and_reason() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    fake.state().exit = None;
    assert_eq!(exec.poll().await.unwrap(), None);
    assert_eq!(exec.wait().await.unwrap_err().kind(), ErrorKind::UnexpectedReply);
    fake.state().exit = Some(ExitStatus::Signal(9));
    assert_eq!(exec.wait().await.unwrap().killed_by, None);
    fake.state().end_trailer = Some("oom");
    let end = exec.poll().await.unwrap().unwrap();
    assert_eq!((end.status, end.killed_by), (ExecStatus::Signal(9), Some(KillReason::OutOfMemory)));
    assert!(!end.past_deadline);
}

#[tokio::test]
async fn a_broken_input_stream_goes_on_where_the_server_is() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    fake.state().stdin_cuts = [300_000, 1, 400_000].into();
    exec.stream_stdin(&data.clone().into()).await.unwrap();
    assert_eq!(fake.calls("TaskExecStdinWriteStream").len(), 4);
    assert_eq!(fake.calls("TaskExecStdinStatus").len(), 3);
    let state = fake.state();
    assert!(state.stdin == data && state.stdin_closed);
}

#[tokio::test]
async fn m27_input_by_pieces_is_resumed_where_it_broke_and_held_in_bounds() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    let data: Vec<u8> = (0..18_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    fake.state().stdin_cuts = [5_000_000, 9_000_000, 1].into();
    let pieces = data.chunks(700_001).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)));
    let pieces: Vec<_> = pieces.collect();
    exec.stream_stdin_from(tokio_stream::iter(pieces)).await.unwrap();
    let state = fake.state();
    assert!(state.stdin == data && state.stdin_closed);
}

#[tokio::test]
async fn m27_input_that_fails_has_no_end() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    let pieces = [Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("the disk is gone"))];
    let error = exec.stream_stdin_from(tokio_stream::iter(pieces)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the disk is gone");
    assert!(!fake.state().stdin_closed);
}

#[tokio::test]
async fn single_writes_go_by_offset() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    exec.write_stdin(0, "one".into(), false).await.unwrap();
    exec.write_stdin(0, "one".into(), false).await.unwrap();
    fake.fail("TaskExecStdinWrite", [Status::unavailable("lost the reply")]);
    exec.write_stdin(3, "two".into(), true).await.unwrap();
    assert_eq!(fake.state().stdin, b"onetwo");
    assert_eq!(exec.stdin_status().await.unwrap(), StdinStatus { accepted: 6, closed: true });
    let error = exec.write_stdin(99, "gap".into(), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn an_answer_of_the_file_tool_is_bounded() {
    let fake = Fake::start().await;
    let sandbox = sandbox(&client(&fake)).await;
    fake.state().stdout = vec![b' '; (1 << 20) + 1];
    let error = sandbox.stat("/a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedReply);
    assert!(error.message().contains("1048576"), "{error}");
    assert_eq!(sandbox.read_file("/a").await.unwrap().len(), (1 << 20) + 1);
}

#[test]
fn g9_a_runtime_that_shuts_down_is_an_error_and_no_panic() {
    let ours = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(1).build().unwrap();
    let (_fake, exec) = ours.block_on(async {
        let fake = Fake::start().await;
        let exec = command(&fake).await;
        (fake, exec)
    });
    let gone = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = gone.handle().clone();
    drop(gone);
    let _inside = handle.enter();
    let mut giving = std::pin::pin!(exec.give_stdin("x".into()));
    let polled = giving.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    let std::task::Poll::Ready(Err(error)) = polled else { panic!("{polled:?}") };
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
