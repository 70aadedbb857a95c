//! Volumes: looked up, made, listed, renamed, deleted, attached.

use crate::fixture::{Control, Header, Made, Running, Scene, Store, unique};
use openlattice_modal_proto::{
    client::{self as proto, ObjectCreationType, VolumeFsVersion, modal_client_client::ModalClientClient},
    task_command_router as router,
};
use std::sync::Arc;
use tonic::{Code, Status};

fn request(name: &str, creation: ObjectCreationType) -> proto::VolumeGetOrCreateRequest {
    proto::VolumeGetOrCreateRequest {
        deployment_name: name.into(),
        object_creation_type: creation.into(),
        ..Default::default()
    }
}

async fn get(control: &mut Control, name: &str, creation: ObjectCreationType) -> Result<String, Status> {
    Ok(control.volume_get_or_create(request(name, creation)).await?.into_inner().volume_id)
}

async fn names(control: &mut Control, environment: &str) -> Vec<String> {
    let request = proto::VolumeListRequest { environment_name: environment.into(), ..Default::default() };
    control
        .volume_list(request)
        .await
        .unwrap()
        .into_inner()
        .items
        .into_iter()
        .map(|item| item.label)
        .collect()
}

#[tokio::test]
async fn a_volume_is_looked_up_made_listed_renamed_and_deleted() {
    use ObjectCreationType::{CreateFailIfExists, CreateIfMissing, CreateOverwriteIfExists, Unspecified};
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    let missing = get(&mut control, "v", Unspecified).await.unwrap_err();
    assert_eq!((missing.code(), missing.message().contains("\"v\"")), (Code::NotFound, true), "{missing:?}");
    let id = get(&mut control, "v", CreateIfMissing).await.unwrap();
    assert!(id.starts_with("vo-"), "{id}");
    for creation in [Unspecified, CreateIfMissing] {
        assert_eq!(get(&mut control, "v", creation).await.unwrap(), id);
    }
    assert_eq!(get(&mut control, "v", CreateFailIfExists).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(
        get(&mut control, "v", CreateOverwriteIfExists).await.unwrap_err().code(),
        Code::Unimplemented
    );
    assert_eq!(get(&mut control, "a/b", CreateIfMissing).await.unwrap_err().code(), Code::InvalidArgument);
    let found =
        control.volume_get_by_id(proto::VolumeGetByIdRequest { volume_id: id.clone() }).await.unwrap();
    let metadata = found.into_inner().metadata.unwrap();
    assert!(metadata.name == "v" && metadata.creation_info.unwrap().created_at > 0.0);
    let rename = proto::VolumeRenameRequest { volume_id: id.clone(), name: "w".into() };
    control.volume_rename(rename).await.unwrap();
    assert_eq!(names(&mut control, "").await, ["w"]);
    assert_eq!(names(&mut control, "other").await, Vec::<String>::new());
    let delete = || proto::VolumeDeleteRequest { volume_id: id.clone(), ..Default::default() };
    control.volume_delete(delete()).await.unwrap();
    assert_eq!(control.volume_delete(delete()).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn the_version_that_is_asked_for_is_answered_and_odd_options_are_refused() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    for version in [VolumeFsVersion::V2, VolumeFsVersion::V1] {
        let mut request = request("v", ObjectCreationType::CreateIfMissing);
        request.set_version(version);
        let reply = control.volume_get_or_create(request).await.unwrap().into_inner();
        assert_eq!((reply.version(), reply.metadata.unwrap().version()), (version, version));
    }
    let mut options = request("v", ObjectCreationType::CreateIfMissing);
    options.create_options =
        Some(proto::VolumeCreateOptions { experimental_options: [("x".into(), "1".into())].into() });
    let refused = control.volume_get_or_create(options).await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("experimental")), (Code::Unimplemented, true));
    server.stop().await;
}

#[tokio::test]
async fn volumes_come_in_pages_newest_first() {
    let store = Store::new();
    let server = store.open().await;
    let mut control = server.control().await;
    for name in ["a", "b", "c"] {
        get(&mut control, name, ObjectCreationType::CreateIfMissing).await.unwrap();
    }
    let (mut found, mut created_before) = (Vec::new(), 0.0);
    loop {
        let pagination = Some(proto::ListPagination { max_objects: 1, created_before });
        let request = proto::VolumeListRequest { pagination, ..Default::default() };
        let page = control.volume_list(request).await.unwrap().into_inner().items;
        let Some(item) = page.into_iter().next() else { break };
        created_before = item.created_at;
        found.push(item.label);
    }
    assert_eq!(found, ["c", "b", "a"]);
    server.stop().await;
}

/// A client whose every call carries one idempotency key.
async fn keyed(
    server: &Running,
) -> ModalClientClient<tonic::service::interceptor::InterceptedService<tonic::transport::Channel, Header>> {
    ModalClientClient::with_interceptor(server.channel().await, Header("x-idempotency-key", unique()))
}

#[tokio::test]
async fn a_repeated_call_makes_and_deletes_once() {
    let store = Store::new();
    let server = store.open().await;
    let mut first = keyed(&server).await;
    let create = || request("v", ObjectCreationType::CreateFailIfExists);
    let id = first.volume_get_or_create(create()).await.unwrap().into_inner().volume_id;
    assert_eq!(first.volume_get_or_create(create()).await.unwrap().into_inner().volume_id, id);
    let ephemeral = || request("", ObjectCreationType::Ephemeral);
    let nameless = first.volume_get_or_create(ephemeral()).await.unwrap().into_inner().volume_id;
    assert_eq!(first.volume_get_or_create(ephemeral()).await.unwrap().into_inner().volume_id, nameless);
    let mut control = server.control().await;
    assert_eq!(names(&mut control, "").await, ["v"], "nameless ones are not listed");
    control.volume_heartbeat(proto::VolumeHeartbeatRequest { volume_id: nameless }).await.unwrap();
    let unknown = proto::VolumeHeartbeatRequest { volume_id: "vo-unknown".into() };
    assert_eq!(control.volume_heartbeat(unknown).await.unwrap_err().code(), Code::NotFound);
    let delete = || proto::VolumeDeleteRequest { volume_id: id.clone(), ..Default::default() };
    first.volume_delete(delete()).await.unwrap();
    first.volume_delete(delete()).await.unwrap();
    assert_eq!(keyed(&server).await.volume_delete(delete()).await.unwrap_err().code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn a_sandbox_has_its_volumes_and_keeps_them_from_deletion() {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let mut scene = Scene::new(&server, store).await;
    let id = get(&mut scene.control, "v", ObjectCreationType::CreateIfMissing).await.unwrap();
    let mount = proto::VolumeMount {
        volume_id: id.clone(),
        mount_path: "/data/".into(),
        allow_background_commits: true,
        ..Default::default()
    };
    let with = |scene: &Scene, mounts: Vec<proto::VolumeMount>, script: &str| {
        let mut request = scene.request(&["sh", "-c", script]);
        request.definition.as_mut().unwrap().volume_mounts = mounts;
        request
    };
    let unknown = proto::VolumeMount { volume_id: "vo-unknown".into(), ..mount.clone() };
    let request = with(&scene, vec![unknown], "true");
    let refused = scene.control.sandbox_create_v2(request).await.unwrap_err();
    if refused.code() == Code::PermissionDenied {
        println!("skipped: this host cannot make sandboxes: {}", refused.message());
        return;
    }
    assert_eq!(
        (refused.code(), refused.message().contains("vo-unknown")),
        (Code::NotFound, true),
        "{refused:?}"
    );
    let twice = with(&scene, vec![mount.clone(), mount.clone()], "true");
    assert_eq!(scene.control.sandbox_create_v2(twice).await.unwrap_err().code(), Code::InvalidArgument);

    let request = with(&scene, vec![mount.clone()], "touch /data/file; cat");
    let made = Made::from(scene.control.sandbox_create_v2(request).await.unwrap().into_inner());
    let delete = proto::VolumeDeleteRequest { volume_id: id.clone(), ..Default::default() };
    let kept = scene.control.volume_delete(delete.clone()).await.unwrap_err();
    assert_eq!(
        (kept.code(), kept.message().contains(&made.id)),
        (Code::FailedPrecondition, true),
        "{kept:?}"
    );
    let reload = router::TaskReloadVolumesRequest { task_id: made.task.clone(), ..Default::default() };
    server.router(&made.jwt).await.task_reload_volumes(reload).await.unwrap();
    scene.terminate(&made.id).await;

    let mount = proto::VolumeMount { read_only: true, sub_path: Some("/part".into()), ..mount };
    let request = with(&scene, vec![mount], "ls -A /data && ! touch /data/x");
    let made = Made::from(scene.control.sandbox_create_v2(request).await.unwrap().into_inner());
    assert_eq!(scene.wait(&made.id, 30.0).await.unwrap().exitcode, 0);
    scene.control.volume_delete(delete).await.unwrap();
    server.stop().await;
}
