//! Output and input of the main process, of both generations (protocol sections 4.4 and 5.4): over broken connections, and on this
//! project's own server.

use bytes::Bytes;
use openlattice_modal_client::{
    Client, Config, ErrorKind, IfMissing, ImageSpec, MainOutput, OutputStream, Sandbox, SandboxSpec,
};
use openlattice_modal_proto::client as wire;
use openlattice_modal_server::{Server, ServerConfig};
use tonic::Status;

use crate::fake::Fake;
use crate::{client, config, sandbox};

async fn rest(mut output: MainOutput) -> Bytes {
    let mut all = Vec::new();
    while let Some(chunk) = output.read().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    all.into()
}

async fn first_generation(fake: &Fake) -> Sandbox {
    sandbox(&Client::new(config(fake).with_sandbox_v2(false)).unwrap()).await
}

/// The input that came, and whether its end did.
fn taken(fake: &Fake) -> (String, bool) {
    let state = fake.state();
    (String::from_utf8(state.stdin.clone()).unwrap(), state.stdin_closed)
}

fn batch(entry: &str, text: &str, eof: bool) -> wire::TaskLogsBatch {
    let item = |descriptor: wire::FileDescriptor, data: &str| wire::TaskLogs {
        data: data.to_owned(),
        file_descriptor: descriptor.into(),
        ..Default::default()
    };
    let items =
        vec![item(wire::FileDescriptor::Stdout, text), item(wire::FileDescriptor::Info, "not output")];
    wire::TaskLogsBatch { items, entry_id: entry.to_owned(), eof, ..Default::default() }
}

#[tokio::test]
async fn broken_output_goes_on_at_the_offset() {
    let fake = Fake::start().await;
    fake.state().stdout = b"0123456789".to_vec();
    fake.state().cuts = [2, 0, 5].into();
    let sandbox = sandbox(&client(&fake)).await;
    assert_eq!(rest(sandbox.main_output(OutputStream::Stdout)).await, "0123456789");
    assert_eq!(fake.state().asked_offsets, [0, 2, 2, 7]);
    assert_eq!(rest(sandbox.main_output(OutputStream::Stderr)).await, "");
}

#[tokio::test]
async fn output_that_the_server_has_forgotten_is_counted() {
    let fake = Fake::start().await;
    fake.state().stdout = b"0123456789".to_vec();
    fake.state().forgotten = 4;
    let mut output = sandbox(&client(&fake)).await.main_output(OutputStream::Stdout);
    assert_eq!(output.read().await.unwrap().unwrap(), "456");
    assert_eq!(output.missed(), 4);
    assert_eq!(rest(output).await, "789");
}

#[tokio::test(start_paused = true)]
async fn logs_go_on_at_their_last_entry() {
    let fake = Fake::start().await;
    fake.state().logs = [
        vec![batch("3-0", "one", false)],
        vec![],
        vec![batch("6-0", "two", false), batch("9-0", "end", true), batch("", "never", false)],
    ]
    .into();
    let sandbox = first_generation(&fake).await;
    fake.fail("SandboxGetLogs", [Status::unavailable("starting again")]);
    assert_eq!(rest(sandbox.main_output(OutputStream::Stdout)).await, "onetwoend");
    assert_eq!(fake.state().logs_from, ["", "3-0", "3-0"]);
    assert_eq!(fake.calls("SandboxGetLogs").len(), 4);
    fake.fail("SandboxGetLogs", [Status::not_found("no such sandbox")]);
    let error = sandbox.main_output(OutputStream::Stdout).read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn input_is_repeated_at_the_same_place() {
    let fake = Fake::start().await;
    let mut stdin = sandbox(&client(&fake)).await.main_stdin(0);
    fake.fail("SandboxStdinWriteV2", [Status::unavailable("lost")]);
    stdin.write("one ".into()).await.unwrap();
    stdin.write(Bytes::new()).await.unwrap();
    stdin.write("two".into()).await.unwrap();
    stdin.close().await.unwrap();
    assert_eq!(stdin.position(), 7);
    assert_eq!(taken(&fake), ("one two".to_owned(), true));
    fake.fail("SandboxStdinWriteV2", [Status::failed_precondition("it has ended")]);
    assert_eq!(stdin.write("x".into()).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert_eq!(stdin.position(), 7);
}

#[tokio::test]
async fn input_of_the_first_generation_is_numbered() {
    let fake = Fake::start().await;
    let sandbox = first_generation(&fake).await;
    let mut stdin = sandbox.main_stdin(0);
    stdin.write("a".into()).await.unwrap();
    let mut later = sandbox.main_stdin(stdin.position());
    later.write("b".into()).await.unwrap();
    later.close().await.unwrap();
    assert_eq!(taken(&fake), ("1:a2:b3:".to_owned(), true));
}

#[tokio::test]
async fn input_that_failed_midway_is_written_again_without_doubling() {
    let fake = Fake::start().await;
    let mut stdin = sandbox(&client(&fake)).await.main_stdin(0);
    let data = Bytes::from([vec![1; 16 << 20], vec![2; 5]].concat());
    fake.fail("SandboxStdinWriteV2", [Status::ok(""), Status::invalid_argument("not now")]);
    assert_eq!(stdin.write(data.clone()).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(stdin.position(), 0);
    stdin.write(data.clone()).await.unwrap();
    assert_eq!(stdin.position(), data.len() as u64);
    assert!(fake.state().stdin == data, "the input was doubled or lost");
}

/// A client of a server with real sandboxes; nothing, and a word why, where they cannot be made.
#[expect(clippy::print_stdout, reason = "a skipped test has to say so")]
async fn real(test: &str, second: bool) -> Option<(tempfile::TempDir, Client)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: {test} makes sandboxes, which needs root");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::bind(ServerConfig::new(folder.path().join("s"))).await.unwrap();
    let pair = server.credentials().unwrap().clone();
    let config = Config::new(pair.id, pair.secret).with_server_url(&server.url()).unwrap();
    drop(tokio::spawn(server.serve(std::future::pending())));
    Some((folder, Client::new(config.with_sandbox_v2(second)).unwrap()))
}

#[tokio::test]
async fn a_main_process_is_fed_and_read_while_it_runs_and_after() {
    for second in [false, true] {
        let Some((_folder, client)) = real("main process", second).await else { return };
        let app = client.app("test", IfMissing::Create).await.unwrap();
        let image = client.build_image(&app, &ImageSpec::from_registry("host"), |_| ()).await.unwrap();
        let mut spec = SandboxSpec::new(image);
        let script = "echo ready; echo aside >&2; while read line; do echo \"got $line\"; done; exit 3";
        spec.command = ["sh", "-c", script].map(str::to_owned).into();
        let sandbox = client.create_sandbox(&app, &spec).await.unwrap();
        let mut output = sandbox.main_output(OutputStream::Stdout);
        assert_eq!(output.read().await.unwrap().unwrap(), "ready\n");
        let mut stdin = sandbox.main_stdin(0);
        stdin.write("käse\n".into()).await.unwrap();
        assert_eq!(output.read().await.unwrap().unwrap(), "got käse\n");
        stdin.write("end\n".into()).await.unwrap();
        stdin.close().await.unwrap();
        assert_eq!(rest(output).await, "got end\n");
        assert_eq!(sandbox.wait().await.unwrap().exit_code, 3);
        // The second generation gives no new access to what has ended.
        let again = if second { sandbox.clone() } else { client.sandbox(sandbox.id()) };
        assert_eq!(rest(again.main_output(OutputStream::Stderr)).await, "aside\n", "second: {second}");
        assert_eq!(rest(again.main_output(OutputStream::Stdout)).await, "ready\ngot käse\ngot end\n");
        let late = again.main_stdin(stdin.position()).write("late".into()).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::FailedPrecondition);
    }
}
