//! Commands: start, output by offset, input by offset, ends.

use crate::fixture::{Made, Router, Running, Scene, Store, unique};
use openlattice_modal_proto::{
    client::{self, SecretSource, StringMap, secret_source::Source},
    task_command_router::{self as proto, task_exec_wait_response::ExitStatus},
};
use std::sync::Arc;
use tonic::{Code, Request};

pub(crate) const OUT: i32 = 0;
pub(crate) const ERR: i32 = 1;

/// A sandbox without a main command and its router.
pub(crate) struct Stage {
    pub(crate) server: Running,
    pub(crate) scene: Scene,
    pub(crate) made: Made,
    pub(crate) router: Router,
}

impl Stage {
    pub(crate) async fn new() -> Option<Self> {
        let store = Arc::new(Store::new());
        let server = store.open().await;
        Self::on(store, server).await
    }

    async fn on(store: Arc<Store>, server: Running) -> Option<Self> {
        let mut scene = Scene::new(&server, store).await;
        let made = scene.create(&[]).await?;
        let router = server.router(&made.jwt).await;
        Some(Self { server, scene, made, router })
    }

    pub(crate) fn request(&self, argv: &[&str]) -> proto::TaskExecStartRequest {
        proto::TaskExecStartRequest {
            task_id: self.made.task.clone(),
            exec_id: unique(),
            command_args: argv.iter().map(|word| (*word).to_owned()).collect(),
            stdout_config: 1,
            stderr_config: 1,
            ..Default::default()
        }
    }

    /// Starts a command and returns its id.
    pub(crate) async fn start(&mut self, argv: &[&str]) -> String {
        let request = self.request(argv);
        let id = request.exec_id.clone();
        self.router.task_exec_start(request).await.unwrap();
        id
    }

    /// Reads an output from `offset` to its end; the chunks, none of which is empty.
    pub(crate) async fn read(&mut self, id: &str, descriptor: i32, offset: u64) -> Vec<u8> {
        let request = proto::TaskExecStdioReadRequest {
            task_id: self.made.task.clone(),
            exec_id: id.to_owned(),
            offset,
            file_descriptor: descriptor,
        };
        let mut stream = self.router.task_exec_stdio_read(request).await.unwrap().into_inner();
        let mut all = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            assert!(!message.data.is_empty(), "clients fail on empty chunks");
            all.extend_from_slice(&message.data);
        }
        all
    }

    pub(crate) async fn wait(&mut self, id: &str) -> ExitStatus {
        self.wait_with_end(id).await.0
    }

    /// The exit, and what the extra trailer says.
    pub(crate) async fn wait_with_end(&mut self, id: &str) -> (ExitStatus, Option<String>) {
        let request = proto::TaskExecWaitRequest { task_id: self.made.task.clone(), exec_id: id.to_owned() };
        let reply = self.router.task_exec_wait(request).await.unwrap();
        let end = reply.metadata().get("x-openlattice-end").map(|end| end.to_str().unwrap().to_owned());
        (reply.into_inner().exit_status.expect("an exit is set"), end)
    }

    pub(crate) async fn poll(&mut self, id: &str) -> Option<proto::task_exec_poll_response::ExitStatus> {
        let request = proto::TaskExecPollRequest { task_id: self.made.task.clone(), exec_id: id.to_owned() };
        self.router.task_exec_poll(request).await.unwrap().into_inner().exit_status
    }

    pub(crate) async fn write(
        &mut self,
        id: &str,
        offset: u64,
        data: &str,
        eof: bool,
    ) -> Result<(), tonic::Status> {
        let request = proto::TaskExecStdinWriteRequest {
            task_id: self.made.task.clone(),
            exec_id: id.to_owned(),
            offset,
            data: data.to_owned().into(),
            eof,
        };
        self.router.task_exec_stdin_write(request).await.map(drop)
    }

    pub(crate) async fn end(mut self) {
        self.scene.terminate(&self.made.id).await;
        self.server.stop().await;
    }
}

#[tokio::test]
async fn output_streams_and_code_are_told_apart() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["sh", "-c", "printf out; printf err >&2; exit 7"]).await;
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(7));
    assert_eq!(stage.read(&id, OUT, 0).await, b"out");
    assert_eq!(stage.read(&id, OUT, 2).await, b"t");
    assert_eq!(stage.read(&id, OUT, 3).await, b"");
    assert_eq!(stage.read(&id, ERR, 0).await, b"err");
    stage.end().await;
}

#[tokio::test]
async fn a_code_of_zero_is_set_and_a_running_command_has_none() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["cat"]).await;
    assert_eq!(stage.poll(&id).await, None);
    stage.write(&id, 0, "abc", false).await.unwrap();
    stage.write(&id, 1, "bcd", true).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    assert_eq!(stage.read(&id, OUT, 0).await, b"abcd");
    stage.write(&id, 0, "", true).await.expect("a second end is fine");
    stage.write(&id, 0, "abcd", true).await.expect("a repeated write is fine");
    let status = stage.write(&id, 4, "more", false).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    stage.end().await;
}

#[tokio::test]
async fn a_known_exec_id_starts_nothing() {
    let Some(mut stage) = Stage::new().await else { return };
    let request = stage.request(&["sh", "-c", "echo x >> /tmp/count; wc -l < /tmp/count"]);
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request.clone()).await.unwrap();
    stage.wait(&id).await;
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.read(&id, OUT, 0).await, b"1\n");
    stage.end().await;
}

#[tokio::test]
async fn environment_comes_from_all_its_places() {
    let Some(mut stage) = Stage::new().await else { return };
    let inline =
        StringMap { contents: [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "x".to_owned())].into() };
    let request = proto::TaskExecStartRequest {
        env: [("A".to_owned(), "1".to_owned()), ("C".to_owned(), "3".to_owned())].into(),
        secret_sources: vec![SecretSource { source: Some(Source::Env(inline)) }],
        workdir: Some("/tmp".into()),
        ..stage.request(&["sh", "-c", "echo $A $B $C $PWD"])
    };
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.read(&id, OUT, 0).await, b"x 2 3 /tmp\n");
    stage.end().await;
}

#[tokio::test]
async fn a_stored_secret_reaches_sandbox_and_command() {
    let Some(mut stage) = Stage::new().await else { return };
    let request = client::SecretGetOrCreateRequest {
        object_creation_type: client::ObjectCreationType::Ephemeral.into(),
        env_dict: [("S".to_owned(), "hunter2".to_owned())].into(),
        ..Default::default()
    };
    let secret = stage.scene.control.secret_get_or_create(request).await.unwrap().into_inner().secret_id;
    let request = proto::TaskExecStartRequest {
        secret_ids: vec![secret.clone()],
        ..stage.request(&["sh", "-c", "echo $S"])
    };
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.read(&id, OUT, 0).await, b"hunter2\n");
    let mut definition = stage.scene.definition(&["sh", "-c", "test $S = hunter2"]);
    definition.secret_ids = vec![secret];
    let request = client::SandboxCreateRequest {
        app_id: stage.scene.app.clone(),
        definition: Some(definition),
        ..Default::default()
    };
    let made = stage.scene.control.sandbox_create(request).await.unwrap().into_inner().sandbox_id;
    assert_eq!(stage.scene.wait(&made, 30.0).await.unwrap().exitcode, 0);
    stage.end().await;
}

#[tokio::test]
async fn signals_and_timeouts_are_told_apart() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["sh", "-c", "kill -TERM $$"]).await;
    assert_eq!(stage.wait_with_end(&id).await, (ExitStatus::Signal(15), None));
    let request = proto::TaskExecStartRequest { timeout_secs: Some(1), ..stage.request(&["sleep", "600"]) };
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.wait_with_end(&id).await, (ExitStatus::Signal(9), Some("timeout".to_owned())));
    stage.end().await;
}

#[tokio::test]
async fn a_kill_by_the_memory_limit_is_told() {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let mut scene = Scene::new(&server, store).await;
    if scene.create(&[]).await.is_none() {
        return;
    }
    let mut request = scene.request(&[]);
    request.definition.as_mut().unwrap().resources =
        Some(client::Resources { memory_mb_max: 32, ..Default::default() });
    let made = Made::from(scene.control.sandbox_create_v2(request).await.unwrap().into_inner());
    let router = server.router(&made.jwt).await;
    let mut stage = Stage { server, scene, made, router };
    // It reads the whole block into memory.
    let id = stage.start(&["dd", "if=/dev/zero", "of=/dev/null", "bs=400M", "count=1"]).await;
    assert_eq!(stage.wait_with_end(&id).await, (ExitStatus::Signal(9), Some("oom".to_owned())));
    stage.end().await;
}

#[tokio::test]
async fn a_command_cut_by_the_end_of_its_sandbox_is_told() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["sh", "-c", "echo up; sleep 600"]).await;
    assert_eq!(stage.read_some(&id).await, b"up\n");
    stage.scene.terminate(&stage.made.id.clone()).await;
    assert_eq!(stage.wait_with_end(&id).await.0, ExitStatus::Signal(9));
    assert_eq!(stage.read(&id, OUT, 0).await, b"up\n");
    let status = stage.router.task_exec_start(stage.request(&["true"])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    stage.end().await;
}

#[tokio::test]
async fn output_past_the_quota_is_told() {
    let store = Arc::new(Store::new());
    let server = Running::with_quota(store.path(), 1000).await;
    let Some(mut stage) = Stage::on(store, server).await else { return };
    let id = stage.start(&["head", "-c", "2500", "/dev/zero"]).await;
    let request = proto::TaskExecStdioReadRequest {
        task_id: stage.made.task.clone(),
        exec_id: id.clone(),
        ..Default::default()
    };
    let mut stream = stage.router.task_exec_stdio_read(request).await.unwrap().into_inner();
    let mut length = 0;
    while let Some(message) = stream.message().await.unwrap() {
        length += message.data.len();
    }
    assert_eq!(length, 1000);
    let trailers = stream.trailers().await.unwrap().unwrap();
    assert_eq!(trailers.get("x-openlattice-dropped").unwrap(), "stdout=1500");
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    stage.end().await;
}

#[tokio::test]
async fn a_reader_that_keeps_up_gets_more_than_the_quota() {
    let store = Arc::new(Store::new());
    let server = Running::with_quota(store.path(), 1 << 20).await;
    let Some(mut stage) = Stage::on(store, server).await else { return };
    let id = stage.start(&["head", "-c", "20000000", "/dev/zero"]).await;
    let request = || proto::TaskExecStdioReadRequest {
        task_id: stage.made.task.clone(),
        exec_id: id.clone(),
        ..Default::default()
    };
    let mut stream = stage.router.clone().task_exec_stdio_read(request()).await.unwrap().into_inner();
    let mut length = 0;
    while let Some(message) = stream.message().await.unwrap() {
        length += message.data.len();
    }
    assert_eq!(length, 20_000_000);
    assert!(stream.trailers().await.unwrap().unwrap().get("x-openlattice-dropped").is_none());
    let gone = stage.router.clone().task_exec_stdio_read(request()).await.unwrap_err();
    assert_eq!(gone.code(), Code::OutOfRange, "{gone:?}");
    stage.end().await;
}

#[tokio::test]
async fn a_missing_program_is_an_argument_error() {
    let Some(mut stage) = Stage::new().await else { return };
    let request = stage.request(&["no-such-program"]);
    let status = stage.router.task_exec_start(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.metadata().get("x-openlattice-kind").unwrap(), "program-not-found");
    stage.end().await;
}

#[tokio::test]
async fn streams_go_nowhere_when_asked() {
    let Some(mut stage) = Stage::new().await else { return };
    let request = proto::TaskExecStartRequest {
        stdout_config: 1,
        stderr_config: 2,
        ..stage.request(&["sh", "-c", "echo a; echo b >&2"])
    };
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.read(&id, OUT, 0).await, b"a\nb\n");
    stage.end().await;
}

/// A terminal of a size and a kind.
fn terminal(rows: u32, columns: u32) -> Option<client::PtyInfo> {
    let mut info =
        client::PtyInfo { enabled: true, winsz_rows: rows, winsz_cols: columns, ..Default::default() };
    (info.env_term, info.env_colorterm) = ("vt100".to_owned(), "truecolor".to_owned());
    Some(info)
}

#[tokio::test]
async fn m12_a_terminal_is_given_as_the_wire_asks_for_it() {
    let Some(mut stage) = Stage::new().await else { return };
    let script = "stty size; echo $TERM $COLORTERM; echo err >&2; read line; echo \"<$line>\"; exit 3";
    let mut request = stage.request(&["sh", "-c", script]);
    (request.pty_info, request.env) = (terminal(50, 132), [("COLORTERM".into(), "own".into())].into());
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    stage.write(&id, 0, "typed\n", false).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(3));
    let screen = String::from_utf8(stage.read(&id, OUT, 0).await).unwrap();
    // What is typed shows as soon as it comes.
    let mut lines: Vec<&str> = screen.split_terminator("\r\n").collect();
    lines.sort_unstable();
    assert_eq!(lines, ["50 132", "<typed>", "err", "typed", "vt100 own"]);
    assert_eq!(stage.read(&id, ERR, 0).await, b"");
    stage.end().await;
}

#[tokio::test]
async fn m12_the_end_of_input_is_typed_and_a_terminal_that_is_not_enabled_is_none() {
    let Some(mut stage) = Stage::new().await else { return };
    let mut request = stage.request(&["sh", "-c", "stty size; cat"]);
    request.pty_info = terminal(0, 0);
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    stage.write(&id, 0, "", true).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    assert_eq!(stage.read(&id, OUT, 0).await, b"24 80\r\n");
    let mut request = stage.request(&["sh", "-c", "[ -t 1 ] || echo none"]);
    request.pty_info = Some(client::PtyInfo { pty_type: 2, ..Default::default() });
    let id = request.exec_id.clone();
    stage.router.task_exec_start(request).await.unwrap();
    assert_eq!(stage.read(&id, OUT, 0).await, b"none\n");
    stage.end().await;
}

#[tokio::test]
async fn what_is_not_offered_in_exec_is_refused() {
    let Some(mut stage) = Stage::new().await else { return };
    let table = [
        (
            proto::TaskExecStartRequest { pty_info: terminal(70_000, 80), ..stage.request(&["true"]) },
            Code::InvalidArgument,
        ),
        (
            proto::TaskExecStartRequest { container_id: "x".into(), ..stage.request(&["true"]) },
            Code::Unimplemented,
        ),
        (
            proto::TaskExecStartRequest { workdir: Some("a".into()), ..stage.request(&["true"]) },
            Code::InvalidArgument,
        ),
        (
            proto::TaskExecStartRequest { exec_id: "main".into(), ..stage.request(&["true"]) },
            Code::InvalidArgument,
        ),
        (stage.request(&[]), Code::InvalidArgument),
    ];
    for (request, code) in table {
        let status = stage.router.task_exec_start(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), code, "{request:?}: {status:?}");
    }
    stage.end().await;
}

#[tokio::test]
async fn calls_end_with_their_deadline() {
    let Some(mut stage) = Stage::new().await else { return };
    // The raw client watches the deadline of a call itself until the answer begins; a stream shows the server's.
    let request = proto::TaskExecStdioReadRequest {
        task_id: stage.made.task.clone(),
        exec_id: stage.start(&["cat"]).await,
        ..Default::default()
    };
    let mut request = Request::new(request);
    request.metadata_mut().insert("grpc-timeout", "5000m".parse().unwrap());
    let mut stream = stage.router.task_exec_stdio_read(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::DeadlineExceeded);
    stage.end().await;
}

#[tokio::test]
async fn a_token_is_for_one_sandbox() {
    let Some(mut stage) = Stage::new().await else { return };
    let other = stage.scene.create(&[]).await.unwrap();
    let mut router = stage.server.router(&other.jwt).await;
    let status = router.task_exec_start(stage.request(&["true"])).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    stage.scene.terminate(&other.id).await;
    stage.end().await;
}

#[tokio::test]
async fn a_broken_input_stream_resumes() {
    use proto::task_exec_stdin_write_stream_request::Payload;
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["cat"]).await;
    let task_id = stage.made.task.clone();
    let start = |offset| {
        let start =
            proto::TaskExecStdinWriteStreamStart { task_id: task_id.clone(), exec_id: id.clone(), offset };
        Payload::Start(start)
    };
    let message = |payload| proto::TaskExecStdinWriteStreamRequest { payload: Some(payload) };
    let first = [start(0), Payload::Data("abc".into())].map(message);
    // The first stream stays open: the status call must end it.
    let open =
        futures_util::StreamExt::chain(futures_util::stream::iter(first), futures_util::stream::pending());
    let mut router = stage.router.clone();
    let streaming = tokio::spawn(async move { router.task_exec_stdin_write_stream(open).await });
    let seen = stage.read_some(&id).await;
    assert_eq!(seen, b"abc");
    let request = proto::TaskExecStdinStatusRequest { task_id: stage.made.task.clone(), exec_id: id.clone() };
    let status = stage.router.task_exec_stdin_status(request).await.unwrap().into_inner();
    assert_eq!((status.num_bytes_written, status.closed), (3, false));
    assert_eq!(streaming.await.unwrap().unwrap_err().code(), Code::Aborted);
    let rest = [start(3), Payload::Data("def".into()), Payload::End(Default::default())].map(message);
    stage.router.task_exec_stdin_write_stream(futures_util::stream::iter(rest)).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    assert_eq!(stage.read(&id, OUT, 0).await, b"abcdef");
    stage.end().await;
}

impl Stage {
    /// The first chunk of stdout.
    async fn read_some(&mut self, id: &str) -> Vec<u8> {
        let request = proto::TaskExecStdioReadRequest {
            task_id: self.made.task.clone(),
            exec_id: id.to_owned(),
            offset: 0,
            file_descriptor: OUT,
        };
        let mut stream = self.router.task_exec_stdio_read(request).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap().data.to_vec()
    }
}

#[tokio::test]
async fn a_killed_server_loses_nothing() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.start(&["sh", "-c", "echo one; read line; echo $line; exit 3"]).await;
    assert_eq!(stage.read_some(&id).await, b"one\n");
    let Stage { server, scene, made, .. } = stage;
    server.cut().await;
    let server = scene.store.clone().open().await;
    let scene = Scene::new(&server, scene.store).await;
    let router = server.router(&made.jwt).await;
    let mut stage = Stage { server, scene, made, router };
    stage.write(&id, 0, "two\n", false).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(3));
    assert_eq!(stage.read(&id, OUT, 0).await, b"one\ntwo\n");
    stage.end().await;
}
