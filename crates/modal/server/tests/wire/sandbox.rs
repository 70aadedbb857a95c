//! Sandboxes: both generations, ends, lists, names, tags, repeated creates, main process, snapshots.

use crate::fixture::{Header, Made, Scene, Store};
use openlattice_modal_proto::{
    client::{self as proto, generic_result::GenericStatus, modal_client_client::ModalClientClient},
    task_command_router as router,
};
use std::sync::Arc;
use tonic::Code;

async fn scene() -> (crate::fixture::Running, Scene) {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let scene = Scene::new(&server, store).await;
    (server, scene)
}

#[tokio::test]
async fn a_running_sandbox_has_no_result_and_a_terminated_one_has_137() {
    let (server, mut scene) = scene().await;
    let Some(made) = scene.create(&[]).await else { return };
    assert!(
        made.id.len() == 29 && made.task.ends_with('V') && made.url.starts_with("https://127.0.0.1:"),
        "{made:?}"
    );
    assert!(scene.wait(&made.id, 0.0).await.is_none());
    scene.terminate(&made.id).await;
    assert_eq!(scene.wait(&made.id, 0.0).await.unwrap().status(), GenericStatus::Terminated);
    scene.terminate(&made.id).await;
    assert_eq!(scene.wait(&made.id, 0.0).await.unwrap().status(), GenericStatus::Terminated);
    let target = proto::sandbox_get_command_router_access_request::Target::SandboxId(made.id);
    let access = proto::SandboxGetCommandRouterAccessRequest { target: Some(target) };
    let status = scene.control.sandbox_get_command_router_access(access).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    server.stop().await;
}

/// As on Modal: the entry point, then what is asked for, or else the image's `CMD`.
#[tokio::test]
async fn an_image_s_own_command_is_the_main_process() {
    let (server, mut scene) = scene().await;
    let lines = ["FROM host", r#"ENTRYPOINT ["sh", "-c"]"#, r#"CMD ["exit 4"]"#];
    let image = crate::fixture::build(&mut scene.control, &lines).await.image_id;
    for (command, code) in [(&[][..], 4), (&["exit 5"], 5)] {
        scene.image.clone_from(&image);
        let Some(made) = scene.create(command).await else { return };
        assert_eq!(scene.wait(&made.id, 60.0).await.unwrap().exitcode, code);
    }
    let base = crate::fixture::build(&mut scene.control, &["FROM host"]).await.image_id;
    let lines = ["FROM host", "ENTRYPOINT []", "CMD []"];
    let cleared = crate::fixture::build(&mut scene.control, &lines).await.image_id;
    assert_eq!(cleared, base, "what is not there cannot be taken away");
    server.stop().await;
}

#[tokio::test]
async fn an_open_network_is_taken_with_a_warning() {
    let (server, mut scene) = scene().await;
    let request = scene.request(&[]);
    let Some(first) = scene.create(&[]).await else { return };
    let reply = scene.control.sandbox_create_v2(request).await.unwrap();
    let warning = reply.metadata().get("x-modal-warning").expect("a warning").to_str().unwrap().to_owned();
    assert!(warning.contains("loopback only") && !warning.contains(','), "{warning}");
    scene.terminate(&reply.into_inner().sandbox_id).await;
    scene.terminate(&first.id).await;
    server.stop().await;
}

#[tokio::test]
async fn the_first_generation_has_ids_of_its_shape() {
    let (server, mut scene) = scene().await;
    let Some(other) = scene.create(&[]).await else { return };
    let definition = Some(scene.definition(&["sh", "-c", "echo é; read line; echo $line >&2; exit 5"]));
    let request = proto::SandboxCreateRequest { app_id: scene.app.clone(), definition, ..Default::default() };
    let id = scene.control.sandbox_create(request).await.unwrap().into_inner().sandbox_id;
    assert_eq!(id.len(), 25);
    let task = proto::SandboxGetTaskIdRequest { sandbox_id: id.clone(), ..Default::default() };
    let task_id = scene.control.sandbox_get_task_id(task).await.unwrap().into_inner().task_id.unwrap();
    let access = proto::TaskGetCommandRouterAccessRequest { task_id };
    scene.control.task_get_command_router_access(access).await.unwrap();
    for (index, input) in [(1, "he"), (1, "he"), (2, "llo\n")] {
        let write = proto::SandboxStdinWriteRequest {
            sandbox_id: id.clone(),
            input: input.into(),
            index,
            eof: false,
        };
        scene.control.sandbox_stdin_write(write).await.unwrap();
    }
    let gap = proto::SandboxStdinWriteRequest { sandbox_id: id.clone(), index: 9, ..Default::default() };
    assert_eq!(scene.control.sandbox_stdin_write(gap).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(logs(&mut scene, &id, 1, "").await, ("é\n".to_owned(), "3-0".to_owned()));
    assert_eq!(logs(&mut scene, &id, 1, "3-0").await.0, "");
    assert_eq!(logs(&mut scene, &id, 2, "0-0").await.0, "hello\n");
    let wait = proto::SandboxWaitRequest { sandbox_id: id, timeout: 30.0 };
    let result = scene.control.sandbox_wait(wait).await.unwrap().into_inner().result.unwrap();
    assert_eq!((result.status(), result.exitcode), (GenericStatus::Failure, 5));
    scene.terminate(&other.id).await;
    server.stop().await;
}

/// All text up to the end, and the last entry id.
async fn logs(scene: &mut Scene, id: &str, descriptor: i32, from: &str) -> (String, String) {
    let request = proto::SandboxGetLogsRequest {
        sandbox_id: id.to_owned(),
        file_descriptor: descriptor,
        timeout: 55.0,
        last_entry_id: from.to_owned(),
    };
    let mut stream = scene.control.sandbox_get_logs(request).await.unwrap().into_inner();
    let mut text = String::new();
    loop {
        let batch = stream.message().await.unwrap().expect("the end is said");
        text.extend(batch.items.into_iter().map(|item| item.data));
        if batch.eof {
            return (text, batch.entry_id);
        }
    }
}

#[tokio::test]
async fn a_list_ends_and_its_bound_is_strict() {
    let (server, mut scene) = scene().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let Some(made) = scene.create(&[]).await else { return };
        ids.insert(0, made.id);
    }
    let mut seen = Vec::new();
    let mut before = 0.0;
    loop {
        let request = proto::SandboxListRequest {
            app_id: scene.app.clone(),
            before_timestamp: before,
            ..Default::default()
        };
        let page = scene.control.sandbox_list_v2(request).await.unwrap().into_inner().sandboxes;
        let Some(last) = page.last() else { break };
        before = last.created_at;
        seen.extend(page.into_iter().map(|info| info.id));
        assert!(seen.len() <= ids.len(), "a page repeats");
    }
    assert_eq!(seen, ids);
    for id in &ids {
        scene.terminate(id).await;
    }
    let request = proto::SandboxListRequest { app_id: scene.app.clone(), ..Default::default() };
    assert!(scene.control.sandbox_list_v2(request).await.unwrap().into_inner().sandboxes.is_empty());
    let request = proto::SandboxListRequest { include_finished: true, ..Default::default() };
    let all = scene.control.sandbox_list_v2(request).await.unwrap().into_inner().sandboxes;
    assert!(all.len() == 3 && all.iter().all(|info| info.task_info.as_ref().unwrap().result.is_some()));
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_create_gives_the_same_sandbox() {
    let (server, mut scene) = scene().await;
    let Some(other) = scene.create(&[]).await else { return };
    let header = Header("x-idempotency-key", "0f0e".to_owned());
    let mut control = ModalClientClient::with_interceptor(server.channel().await, header);
    let (first, second) = tokio::join!(
        {
            let mut control = control.clone();
            let request = scene.request(&[]);
            async move { control.sandbox_create_v2(request).await }
        },
        {
            let mut control = control.clone();
            let request = scene.request(&[]);
            async move { control.sandbox_create_v2(request).await }
        },
    );
    let id = first.unwrap().into_inner().sandbox_id;
    assert_eq!(second.unwrap().into_inner().sandbox_id, id);
    server.cut().await;
    let server = scene.store.clone().open().await;
    let header = Header("x-idempotency-key", "0f0e".to_owned());
    control = ModalClientClient::with_interceptor(server.channel().await, header);
    let again = control.sandbox_create_v2(scene.request(&[])).await.unwrap().into_inner().sandbox_id;
    assert_eq!(again, id);
    let mut scene = Scene::new(&server, scene.store).await;
    scene.terminate(&id).await;
    scene.terminate(&other.id).await;
    server.stop().await;
}

#[tokio::test]
async fn names_and_tags() {
    let (server, mut scene) = scene().await;
    let Some(unnamed) = scene.create(&[]).await else { return };
    let tag = |name: &str, value: &str| proto::SandboxTag { tag_name: name.into(), tag_value: value.into() };
    let mut request = scene.request(&[]);
    request.definition.as_mut().unwrap().name = Some("n".into());
    request.tags = vec![tag("k", "1")];
    let made = scene.control.sandbox_create_v2(request.clone()).await.unwrap().into_inner();
    assert_eq!(scene.control.sandbox_create_v2(request).await.unwrap_err().code(), Code::AlreadyExists);
    let from_name = proto::SandboxGetFromNameRequest {
        sandbox_name: "n".into(),
        app_name: "a".into(),
        ..Default::default()
    };
    let found = scene.control.sandbox_get_from_name_v2(from_name.clone()).await.unwrap().into_inner();
    assert_eq!(
        (found.sandbox_id.as_str(), found.metadata.unwrap().app_id),
        (made.sandbox_id.as_str(), scene.app.clone())
    );
    let taken = proto::SandboxSetNameRequest { sandbox_id: unnamed.id.clone(), name: "n".into() };
    assert_eq!(scene.control.sandbox_set_name(taken).await.unwrap_err().code(), Code::AlreadyExists);
    let list = |tags| proto::SandboxListRequest { app_id: scene.app.clone(), tags, ..Default::default() };
    let (with, without) = (list(vec![tag("k", "1")]), list(vec![tag("k", "1"), tag("l", "2")]));
    assert_eq!(scene.control.sandbox_list_v2(with).await.unwrap().into_inner().sandboxes.len(), 1);
    assert_eq!(scene.control.sandbox_list_v2(without).await.unwrap().into_inner().sandboxes.len(), 0);
    let set = proto::SandboxTagsSetRequest {
        sandbox_id: made.sandbox_id.clone(),
        tags: vec![tag("l", "2")],
        ..Default::default()
    };
    scene.control.sandbox_tags_set_v2(set).await.unwrap();
    let get = proto::SandboxTagsGetRequest { sandbox_id: made.sandbox_id.clone() };
    assert_eq!(scene.control.sandbox_tags_get_v2(get).await.unwrap().into_inner().tags, [tag("l", "2")]);
    scene.terminate(&made.sandbox_id).await;
    assert_eq!(scene.control.sandbox_get_from_name_v2(from_name).await.unwrap_err().code(), Code::NotFound);
    scene.terminate(&unnamed.id).await;
    server.stop().await;
}

#[tokio::test]
async fn the_main_process_has_output_and_input() {
    let (server, mut scene) = scene().await;
    let Some(made) = scene.create(&["sh", "-c", "echo up; cat; exit 4"]).await else { return };
    let mut tcr = server.router(&made.jwt).await;
    let write = router::SandboxStdinWriteV2Request {
        task_id: made.task.clone(),
        offset: 0,
        data: "in".into(),
        eof: true,
    };
    tcr.sandbox_stdin_write_v2(write).await.unwrap();
    assert_eq!(main_output(&mut tcr, &made, 0).await, (0, b"up\nin".to_vec()));
    let result = scene.wait(&made.id, 30.0).await.unwrap();
    assert_eq!((result.status(), result.exitcode), (GenericStatus::Failure, 4));
    assert_eq!(main_output(&mut tcr, &made, 3).await, (3, b"in".to_vec()), "also after the end");
    server.stop().await;
}

/// The first starting offset and all bytes.
async fn main_output(tcr: &mut crate::fixture::Router, made: &Made, offset: u64) -> (u64, Vec<u8>) {
    let request =
        router::SandboxStdioReadV2Request { task_id: made.task.clone(), offset, file_descriptor: 0 };
    let mut stream = tcr.sandbox_stdio_read_v2(request).await.unwrap().into_inner();
    let mut first = None;
    let mut all = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        first.get_or_insert(message.starting_offset);
        all.extend_from_slice(&message.data);
    }
    (first.unwrap(), all)
}

#[tokio::test]
async fn a_snapshot_keeps_files_and_what_the_image_sets() {
    let (server, mut scene) = scene().await;
    let lines = ["FROM host", "ENV A=1", r#"CMD ["sh", "-c", "cat /root/f; echo $A"]"#];
    scene.image = crate::fixture::build(&mut scene.control, &lines).await.image_id;
    let Some(made) = scene.create(&["sh", "-c", "echo kept > /root/f; cat"]).await else { return };
    let mut tcr = server.router(&made.jwt).await;
    // The end of the main process's output says that the file is there.
    let write = router::SandboxStdinWriteV2Request {
        task_id: made.task.clone(),
        offset: 0,
        data: "x".into(),
        eof: false,
    };
    tcr.sandbox_stdin_write_v2(write).await.unwrap();
    let request = router::SandboxStdioReadV2Request { task_id: made.task.clone(), ..Default::default() };
    tcr.sandbox_stdio_read_v2(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let request = router::TaskSnapshotFilesystemRequest {
        task_id: made.task.clone(),
        snapshot_id: "s1".into(),
        ttl_seconds: Some(-1),
        ..Default::default()
    };
    let image = tcr.task_snapshot_filesystem(request.clone()).await.unwrap().into_inner().image_id;
    assert_eq!(tcr.task_snapshot_filesystem(request).await.unwrap().into_inner().image_id, image);
    scene.terminate(&made.id).await;
    scene.image = image;
    let restored = scene.create(&[]).await.unwrap();
    assert_ne!(restored.id, made.id);
    let mut tcr = server.router(&restored.jwt).await;
    assert_eq!(main_output(&mut tcr, &restored, 0).await.1, b"kept\n1\n");
    server.stop().await;
}
