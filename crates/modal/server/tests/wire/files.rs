//! The file helper: an exec that the server answers itself.

use crate::exec::{ERR, OUT, Stage};
use openlattice_modal_proto::task_command_router::{
    self as proto, task_exec_stdin_write_stream_request::Payload, task_exec_wait_response::ExitStatus,
};
use tonic::Code;

const HELPER: &str = "/__modal/.bin/modal-sandbox-fs-tools";

impl Stage {
    /// Starts the helper; the argument is one operation.
    async fn helper(&mut self, json: &str) -> String {
        self.start(&[HELPER, json]).await
    }

    /// What it printed, or the kind of its failure.
    async fn helped(&mut self, json: &str) -> Result<Vec<u8>, String> {
        let id = self.helper(json).await;
        self.outcome(&id).await
    }

    async fn outcome(&mut self, id: &str) -> Result<Vec<u8>, String> {
        // As one client does: the exit first, the output after it.
        match self.wait(id).await {
            ExitStatus::Code(0) => Ok(self.read(id, OUT, 0).await),
            _ => {
                let failure: serde_json::Value =
                    serde_json::from_slice(&self.read(id, ERR, 0).await).unwrap();
                assert!(!failure["message"].as_str().unwrap().is_empty());
                Err(failure["error_kind"].as_str().unwrap().to_owned())
            }
        }
    }

    /// Streams `content` to the helper's input; `end` says that it is complete.
    async fn put(&mut self, id: &str, content: &[u8], end: bool) -> Result<(), tonic::Status> {
        let start = proto::TaskExecStdinWriteStreamStart {
            task_id: self.made.task.clone(),
            exec_id: id.to_owned(),
            offset: 0,
        };
        let mut payloads = vec![Payload::Start(start)];
        payloads.extend(content.chunks(256 << 10).map(|chunk| Payload::Data(chunk.to_vec().into())));
        payloads.extend(end.then(|| Payload::End(Default::default())));
        let messages = payloads
            .into_iter()
            .map(|payload| proto::TaskExecStdinWriteStreamRequest { payload: Some(payload) });
        let messages: Vec<_> = messages.collect();
        self.router.task_exec_stdin_write_stream(futures_util::stream::iter(messages)).await.map(drop)
    }
}

#[tokio::test]
async fn a_binary_file_goes_in_and_comes_out() {
    let Some(mut stage) = Stage::new().await else { return };
    let content: Vec<u8> =
        (0..3_000_000_u32).map(|number| number.to_le_bytes()[usize::from(number % 2 == 0)]).collect();
    let id = stage.helper(r#"{"WriteFile":{"path":"/root/new/f"}}"#).await;
    stage.put(&id, &content, true).await.unwrap();
    assert_eq!(stage.outcome(&id).await.unwrap(), b"");
    let read = stage.helper(r#"{"ReadFile":{"path":"/root/new/f"}}"#).await;
    assert_eq!(stage.outcome(&read).await.unwrap(), content);
    assert_eq!(stage.read(&read, OUT, 2_999_999).await, content[2_999_999..]);
    stage.end().await;
}

#[tokio::test]
async fn content_without_its_end_is_no_file() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.helper(r#"{"WriteFile":{"path":"/root/f"}}"#).await;
    stage.put(&id, b"half", false).await.unwrap();
    let request = proto::TaskExecStdinStatusRequest { task_id: stage.made.task.clone(), exec_id: id.clone() };
    let status = stage.router.task_exec_stdin_status(request).await.unwrap().into_inner();
    assert_eq!((status.num_bytes_written, status.closed), (4, false));
    assert_eq!(stage.poll(&id).await, None);
    assert_eq!(stage.helped(r#"{"Stat":{"path":"/root/f"}}"#).await.unwrap_err(), "NotFound");
    stage.write(&id, 4, " done", true).await.unwrap();
    assert_eq!(stage.outcome(&id).await.unwrap(), b"");
    assert_eq!(stage.helped(r#"{"ReadFile":{"path":"/root/f"}}"#).await.unwrap(), b"half done");
    stage.end().await;
}

#[tokio::test]
async fn writing_to_a_directory_fails_once_the_exit_shows() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.helper(r#"{"WriteFile":{"path":"/root"}}"#).await;
    let status = stage.put(&id, &vec![1; 5 << 20], true).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(stage.poll(&id).await.is_some());
    assert_eq!(stage.outcome(&id).await.unwrap_err(), "IsDirectory");
    stage.end().await;
}

#[tokio::test]
async fn directories_and_entries() {
    let Some(mut stage) = Stage::new().await else { return };
    let make = |parents: bool| format!(r#"{{"MakeDirectory":{{"path":"/root/a/b","parents":{parents}}}}}"#);
    assert_eq!(stage.helped(&make(false)).await.unwrap_err(), "NotFound");
    stage.helped(&make(true)).await.unwrap();
    stage.helped(&make(true)).await.unwrap();
    assert_eq!(stage.helped(&make(false)).await.unwrap_err(), "PathAlreadyExists");
    let id = stage.start(&["sh", "-c", "cd /root/a; printf 12345 > f; chmod 640 f; ln -s f l"]).await;
    stage.wait(&id).await;
    let list = stage.helped(r#"{"ListFiles":{"path":"/root/a"}}"#).await.unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "f", "l"]);
    let file = &list[1];
    assert_eq!((file["type"].as_str(), file["size"].as_u64()), (Some("file"), Some(5)));
    assert_eq!(file["permissions"], "-rw-r-----");
    assert_eq!((file["owner"].as_str(), file["group"].as_str()), (Some("root"), Some("root")));
    assert_eq!((list[2]["type"].as_str(), list[2]["symlink_target"].as_str()), (Some("symlink"), Some("f")));
    let remove = |recursive: bool| format!(r#"{{"Remove":{{"path":"/root/a","recursive":{recursive}}}}}"#);
    assert_eq!(stage.helped(&remove(false)).await.unwrap_err(), "DirectoryNotEmpty");
    stage.helped(&remove(true)).await.unwrap();
    assert_eq!(stage.helped(&remove(true)).await.unwrap_err(), "NotFound");
    stage.end().await;
}

#[tokio::test]
async fn failures_have_the_kinds_that_clients_know() {
    let Some(mut stage) = Stage::new().await else { return };
    let table = [
        (r#"{"ReadFile":{"path":"/none"}}"#, "NotFound"),
        (r#"{"ReadFile":{"path":"/root"}}"#, "IsDirectory"),
        (r#"{"ListFiles":{"path":"/etc/passwd"}}"#, "NotDirectory"),
        (r#"{"Stat":{"path":"/etc/passwd/x"}}"#, "NotDirectory"),
        (r#"{"Watch":{"path":"/","recursive":true,"filter":null,"timeout_secs":1}}"#, "NotSupported"),
        (r#"{"ReadFile":{"path":"relative"}}"#, "InvalidArgument"),
        ("nonsense", "InvalidArgument"),
    ];
    for (json, kind) in table {
        assert_eq!(stage.helped(json).await.unwrap_err(), kind, "{json}");
    }
    stage.end().await;
}

#[tokio::test]
async fn an_ended_sandbox_has_no_files() {
    let Some(mut stage) = Stage::new().await else { return };
    stage.scene.terminate(&stage.made.id.clone()).await;
    let request = stage.request(&[HELPER, r#"{"Stat":{"path":"/"}}"#]);
    assert_eq!(stage.router.task_exec_start(request).await.unwrap_err().code(), Code::NotFound);
    stage.end().await;
}
