//! The control plane without sandboxes: apps, environments, images, secrets, and what is not offered.

use crate::fixture::{Scene, Store, app, build};
use openlattice_modal_proto::client::{self as proto, ObjectCreationType, generic_result::GenericStatus};
use std::sync::Arc;
use tonic::{Code, Request};

#[tokio::test]
async fn an_app_keeps_its_id_over_a_restart() {
    let store = Store::new();
    let server = store.open().await;
    let id = app(&mut server.control().await, "a").await;
    assert!(id.starts_with("ap-") && id.len() == 25, "{id}");
    server.stop().await;
    let server = store.open().await;
    let mut control = server.control().await;
    let by_name = proto::AppGetOrCreateRequest { app_name: "a".into(), ..Default::default() };
    assert_eq!(control.app_get_or_create(by_name).await.unwrap().into_inner().app_id, id);
    let by_id = proto::AppGetOrCreateRequest { app_name: id.clone(), ..Default::default() };
    assert_eq!(control.app_get_or_create(by_id).await.unwrap().into_inner().app_id, id);
    server.stop().await;
}

#[tokio::test]
async fn a_look_up_does_not_make_an_app() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let look_up = proto::AppGetOrCreateRequest { app_name: "none".into(), ..Default::default() };
    assert_eq!(control.app_get_or_create(look_up).await.unwrap_err().code(), Code::NotFound);
    app(&mut control, "none").await;
    let again = proto::AppGetOrCreateRequest {
        app_name: "none".into(),
        object_creation_type: ObjectCreationType::CreateFailIfExists.into(),
        ..Default::default()
    };
    assert_eq!(control.app_get_or_create(again).await.unwrap_err().code(), Code::AlreadyExists);
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_call_does_not_clash_with_itself() {
    let store = Store::new();
    let server = store.open().await;
    let request = |key: &'static str| {
        let mut request = Request::new(proto::AppGetOrCreateRequest {
            app_name: "once".into(),
            object_creation_type: ObjectCreationType::CreateFailIfExists.into(),
            ..Default::default()
        });
        request.metadata_mut().insert("x-idempotency-key", key.parse().unwrap());
        request
    };
    let mut control = server.control().await;
    let id = control.app_get_or_create(request("k1")).await.unwrap().into_inner().app_id;
    assert_eq!(control.app_get_or_create(request("k1")).await.unwrap().into_inner().app_id, id);
    let status = control.app_get_or_create(request("k2")).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    server.stop().await;
}

#[tokio::test]
async fn the_environment_names_a_builder_that_clients_know() {
    let store = Store::new();
    let server = store.open().await;
    let request = proto::EnvironmentGetOrCreateRequest::default();
    let reply = server.control().await.environment_get_or_create(request).await.unwrap().into_inner();
    assert_eq!(reply.metadata.unwrap().settings.unwrap().image_builder_version, "2025.06");
    assert!(reply.environment_id.starts_with("en-"));
    server.stop().await;
}

#[tokio::test]
async fn the_host_image_builds_and_lines_on_it_repeat() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let host = build(&mut control, &["FROM host"]).await;
    assert_eq!(host.result.unwrap().status(), GenericStatus::Success);
    assert_eq!(build(&mut control, &["FROM host"]).await.image_id, host.image_id);
    let lines = ["FROM host", "ENV A=1", "WORKDIR /tmp"];
    let set = build(&mut control, &lines).await;
    assert_ne!(set.image_id, host.image_id);
    assert_eq!(set.metadata.unwrap().workdir.as_deref(), Some("/tmp"));
    assert_eq!(build(&mut control, &lines).await.image_id, set.image_id);
    let request = proto::ImageFromIdRequest { image_id: set.image_id.clone() };
    assert_eq!(control.image_from_id(request).await.unwrap().into_inner().image_id, set.image_id);
    server.stop().await;
}

#[tokio::test]
async fn a_joined_build_is_over_at_once() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let image_id = build(&mut control, &["FROM host"]).await.image_id;
    let request = proto::ImageJoinStreamingRequest { image_id, timeout: 55.0, ..Default::default() };
    let mut stream = control.image_join_streaming(request).await.unwrap().into_inner();
    let message = stream.message().await.unwrap().unwrap();
    assert_eq!(message.result.unwrap().status(), GenericStatus::Success);
    assert!(stream.message().await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_built_is_a_result_with_the_remedy() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let table: [(&[&str], &str); 3] = [
        (&["FROM host", "ADD a b"], "line 2 (ADD a b)"),
        (&["RUN true"], "FROM"),
        (&["FROM --platform=x host"], "line 1"),
    ];
    for (lines, words) in table {
        let result = build(&mut control, lines).await.result.unwrap();
        assert_eq!(result.status(), GenericStatus::Failure, "{lines:?}");
        assert!(result.exception.contains(words), "{} does not say {words}", result.exception);
    }
    server.stop().await;
}

#[tokio::test]
async fn names_and_unknown_ids_are_no_image_ids() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    for image_id in ["host", "im-0000000000000000000000", "im-../.."] {
        let request = proto::ImageFromIdRequest { image_id: image_id.into() };
        assert_eq!(control.image_from_id(request).await.unwrap_err().code(), Code::NotFound, "{image_id}");
    }
    server.stop().await;
}

#[tokio::test]
async fn secrets_are_found_by_name_and_miss_keys_by_name() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let request = |creation: ObjectCreationType, required: &[&str]| proto::SecretGetOrCreateRequest {
        deployment_name: "s".into(),
        object_creation_type: creation.into(),
        env_dict: [("K".to_owned(), "hunter2".to_owned())].into(),
        required_keys: required.iter().map(|key| (*key).to_owned()).collect(),
        ..Default::default()
    };
    let status =
        control.secret_get_or_create(request(ObjectCreationType::Unspecified, &[])).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let made =
        control.secret_get_or_create(request(ObjectCreationType::CreateIfMissing, &["K"])).await.unwrap();
    assert_eq!(made.get_ref().metadata.as_ref().unwrap().keys, ["K"]);
    let found = control.secret_get_or_create(request(ObjectCreationType::Unspecified, &[])).await.unwrap();
    assert_eq!(found.into_inner().secret_id, made.into_inner().secret_id);
    let status =
        control.secret_get_or_create(request(ObjectCreationType::Unspecified, &["L"])).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("Secret is missing key"));
    server.stop().await;
}

#[tokio::test]
async fn unknown_sandboxes_are_not_found() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    for id in ["sb-00000000000000000000000000", "", "a/b"] {
        let request = proto::SandboxWaitRequest { sandbox_id: id.into(), timeout: 0.0 };
        assert_eq!(control.sandbox_wait_v2(request).await.unwrap_err().code(), Code::NotFound, "{id:?}");
    }
    let request = proto::SandboxGetFromNameRequest {
        sandbox_name: "n".into(),
        app_name: "a".into(),
        ..Default::default()
    };
    assert_eq!(control.sandbox_get_from_name_v2(request).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let mut scene = Scene::new(&server, store).await;
    let proxy = proto::ProxyGetRequest { name: "p".into(), ..Default::default() };
    assert_eq!(scene.control.proxy_get(proxy).await.unwrap_err().code(), Code::Unimplemented);
    let gpu = proto::GpuConfig { gpu_type: "H100".into(), count: 1, ..Default::default() };
    let mut request = scene.request(&[]);
    request.definition.as_mut().unwrap().resources =
        Some(proto::Resources { gpu_config: Some(gpu), ..Default::default() });
    let status = scene.control.sandbox_create_v2(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("gpu"), "{status:?}");
    let list =
        proto::SandboxListRequest { app_id: scene.app.clone(), include_finished: true, ..Default::default() };
    let listed = scene.control.sandbox_list_v2(list).await.unwrap().into_inner().sandboxes;
    assert!(listed.is_empty(), "a refused definition leaves nothing");
    server.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_known_is_refused_by_its_name() {
    let store = Store::new();
    let server = store.open().await;
    let mut client = tonic::client::Grpc::new(server.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/modal.client.ModalClient/VolumePutFiles2");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let status = client.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().starts_with("VolumePutFiles2 is not supported"), "{status:?}");
    server.stop().await;
}
