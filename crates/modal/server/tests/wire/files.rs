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
async fn a_file_that_is_read_is_kept_nowhere_and_stays_itself() {
    let Some(mut stage) = Stage::new().await else { return };
    let script = "cd /root; head -c 20000000 /dev/zero >big; truncate -s 6G huge";
    let id = stage.start(&["sh", "-c", script]).await;
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    let read = stage.helper(r#"{"ReadFile":{"path":"/root/big"}}"#).await;
    assert_eq!(stage.outcome(&read).await.unwrap(), vec![0; 20_000_000]);
    let kept = size_of(&stage.scene.store.path().join("modal"));
    assert!(kept < 1 << 20, "{kept} bytes were kept");
    assert_eq!(stage.helped(r#"{"ReadFile":{"path":"/root/huge"}}"#).await.unwrap_err(), "FileTooLarge");
    // Grown meanwhile, it ends where it ended; replaced, it is no longer what was read before.
    let id = stage.start(&["sh", "-c", "cd /root; echo more >>big"]).await;
    stage.wait(&id).await;
    assert_eq!(stage.read(&read, OUT, 19_999_990).await, [0; 10]);
    let id = stage.start(&["sh", "-c", "cd /root; cp big other; mv other big"]).await;
    stage.wait(&id).await;
    let request = proto::TaskExecStdioReadRequest {
        task_id: stage.made.task.clone(),
        exec_id: read.clone(),
        offset: 5,
        ..Default::default()
    };
    let mut stream = stage.router.task_exec_stdio_read(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(stage.read(&read, OUT, 0).await.len(), 20_000_005);
    stage.end().await;
}

/// Bytes of all files in a folder.
fn size_of(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => size_of(&entry.path()),
            false => entry.metadata().map_or(0, |file| file.len()),
        })
        .sum()
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
        (r#"{"Watch":{"path":"/none","recursive":true,"filter":null,"timeout_secs":1}}"#, "NotFound"),
        (r#"{"Watch":{"path":"/proc","recursive":true,"filter":null,"timeout_secs":1}}"#, "NotSupported"),
        (r#"{"Watch":{"path":"x","recursive":true,"filter":null,"timeout_secs":1}}"#, "InvalidArgument"),
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

impl Stage {
    /// Starts watching; returns when nothing is missed any more.
    async fn watch(&mut self, path: &str, recursive: bool, filter: &str) -> String {
        self.helper(&format!(
            r#"{{"Watch":{{"path":"{path}","recursive":{recursive},"filter":{filter},"timeout_secs":null}}}}"#
        ))
        .await
    }

    /// Reads the lines of a watch until the last one is of `path`.
    async fn lines_until(&mut self, id: &str, path: &str) -> Vec<(String, Vec<String>)> {
        let request = proto::TaskExecStdioReadRequest {
            task_id: self.made.task.clone(),
            exec_id: id.to_owned(),
            offset: 0,
            file_descriptor: OUT,
        };
        let mut stream = self.router.task_exec_stdio_read(request).await.unwrap().into_inner();
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(&stream.message().await.unwrap().expect("the watch goes on").data);
            let whole = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
            let lines: Vec<_> = whole.map(event).collect();
            if lines.iter().any(|(_, paths)| paths.iter().any(|seen| seen == path)) {
                return lines;
            }
        }
    }
}

fn event(line: &[u8]) -> (String, Vec<String>) {
    let event: serde_json::Value = serde_json::from_slice(line).unwrap();
    let paths = event["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned());
    (event["event_type"].as_str().unwrap().to_owned(), paths.collect())
}

#[tokio::test]
async fn m27_a_watch_tells_each_change_at_once_until_its_input_ends() {
    let Some(mut stage) = Stage::new().await else { return };
    let id =
        stage.watch("/root", true, r#"["Create","Modify","Remove","Rename","RenameFrom","RenameTo"]"#).await;
    let script = "cd /root; mkdir -p a/b; : > a/b/f; mv a/b/f a/g; rm a/g; mkdir end";
    let command = stage.start(&["sh", "-c", script]).await;
    stage.wait(&command).await;
    let lines = stage.lines_until(&id, "/root/end").await;
    let of = |kind: &str, path: &str| {
        lines.iter().position(|(seen, paths)| seen == kind && paths.iter().any(|one| one == path))
    };
    assert_eq!(of("Create", "/root/a"), Some(0));
    assert!(of("Create", "/root/a/b").is_some() && of("Create", "/root/end").is_some(), "{lines:?}");
    assert_eq!(stage.poll(&id).await, None);
    stage.write(&id, 0, "", true).await.unwrap();
    assert_eq!(stage.wait(&id).await, ExitStatus::Code(0));
    stage.end().await;
}

#[tokio::test]
async fn m27_an_empty_filter_tells_nothing_and_the_time_ends_a_watch() {
    let Some(mut stage) = Stage::new().await else { return };
    let silent =
        stage.helper(r#"{"Watch":{"path":"/root","recursive":false,"filter":[],"timeout_secs":1}}"#).await;
    let command = stage.start(&["sh", "-c", ": > /root/f"]).await;
    stage.wait(&command).await;
    assert_eq!(stage.outcome(&silent).await.unwrap(), b"");
    stage.end().await;
}

#[tokio::test]
async fn m27_a_watch_is_killed_with_its_sandbox() {
    let Some(mut stage) = Stage::new().await else { return };
    let id = stage.watch("/root", false, "null").await;
    stage.scene.terminate(&stage.made.id.clone()).await;
    assert_eq!(stage.wait(&id).await, ExitStatus::Signal(9));
    stage.end().await;
}
