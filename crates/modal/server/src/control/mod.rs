//! The control plane, `modal.client.ModalClient`: one method a call, each handing on to the file of its subject.

mod access;
mod app;
mod create;
mod definition;
pub(crate) mod env;
pub(crate) mod image;
mod logs;
mod made;
mod repeat;
mod sandbox;
mod secret;
mod snapshot;
mod tunnels;
mod volume;

pub(crate) use create::Note;
pub(crate) use logs::take_text;

use crate::{shared::Shared, status::unsupported};
use futures_util::stream::BoxStream;
use openlattice_modal_proto::client::{self as proto, modal_client_server::ModalClient};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// What a call answers.
pub(crate) type Reply<T> = Result<Response<T>, Status>;
type Streamed<T> = BoxStream<'static, Result<T, Status>>;

/// Answers the control plane's calls.
#[derive(Debug)]
pub(crate) struct Control(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl ModalClient for Control {
    async fn auth_token_get(
        &self,
        _: Request<proto::AuthTokenGetRequest>,
    ) -> Reply<proto::AuthTokenGetResponse> {
        app::auth_token(&self.0)
    }

    async fn client_hello(&self, _: Request<()>) -> Reply<proto::ClientHelloResponse> {
        app::hello()
    }

    async fn environment_get_or_create(
        &self,
        request: Request<proto::EnvironmentGetOrCreateRequest>,
    ) -> Reply<proto::EnvironmentGetOrCreateResponse> {
        app::environment(&self.0, request.into_inner()).await
    }

    async fn app_get_or_create(
        &self,
        request: Request<proto::AppGetOrCreateRequest>,
    ) -> Reply<proto::AppGetOrCreateResponse> {
        app::get_or_create(&self.0, request).await
    }

    async fn app_create(&self, _: Request<proto::AppCreateRequest>) -> Reply<proto::AppCreateResponse> {
        Err(unsupported("AppCreate (apps without a name)", "look the app up by name"))
    }

    async fn app_heartbeat(&self, _: Request<proto::AppHeartbeatRequest>) -> Reply<()> {
        Err(unsupported("AppHeartbeat (apps without a name)", "look the app up by name"))
    }

    async fn app_publish(&self, _: Request<proto::AppPublishRequest>) -> Reply<proto::AppPublishResponse> {
        Err(unsupported("AppPublish (deployments)", "look the app up by name"))
    }

    async fn app_client_disconnect(&self, _: Request<proto::AppClientDisconnectRequest>) -> Reply<()> {
        Err(unsupported("AppClientDisconnect (apps without a name)", "look the app up by name"))
    }

    type AppGetLogsStream = Streamed<proto::TaskLogsBatch>;

    async fn app_get_logs(&self, _: Request<proto::AppGetLogsRequest>) -> Reply<Self::AppGetLogsStream> {
        Err(unsupported("AppGetLogs", "read the output of the sandbox"))
    }

    async fn app_fetch_logs(
        &self,
        _: Request<proto::AppFetchLogsRequest>,
    ) -> Reply<proto::AppFetchLogsResponse> {
        Err(unsupported("AppFetchLogs", "read the output of the sandbox"))
    }

    async fn image_get_or_create(
        &self,
        request: Request<proto::ImageGetOrCreateRequest>,
    ) -> Reply<proto::ImageGetOrCreateResponse> {
        image::get_or_create(&self.0, request.into_inner()).await
    }

    type ImageJoinStreamingStream = Streamed<proto::ImageJoinStreamingResponse>;

    async fn image_join_streaming(
        &self,
        request: Request<proto::ImageJoinStreamingRequest>,
    ) -> Reply<Self::ImageJoinStreamingStream> {
        image::join(&self.0, request).await.map(Response::new)
    }

    async fn image_from_id(
        &self,
        request: Request<proto::ImageFromIdRequest>,
    ) -> Reply<proto::ImageFromIdResponse> {
        image::from_id(&self.0, request.into_inner()).await
    }

    async fn image_publish(
        &self,
        _: Request<proto::ImagePublishRequest>,
    ) -> Reply<proto::ImagePublishResponse> {
        Err(unsupported("ImagePublish", "keep the image id"))
    }

    async fn image_get_by_tag(
        &self,
        _: Request<proto::ImageGetByTagRequest>,
    ) -> Reply<proto::ImageGetByTagResponse> {
        Err(unsupported("ImageGetByTag", "use the name in a FROM line or the image id"))
    }

    async fn image_delete(&self, request: Request<proto::ImageDeleteRequest>) -> Reply<()> {
        image::delete(&self.0, request.into_inner()).await
    }

    async fn mount_get_or_create(
        &self,
        _: Request<proto::MountGetOrCreateRequest>,
    ) -> Reply<proto::MountGetOrCreateResponse> {
        Err(unsupported(
            "MountGetOrCreate (local files)",
            "write the files into the sandbox after it is made",
        ))
    }

    async fn mount_put_file(
        &self,
        _: Request<proto::MountPutFileRequest>,
    ) -> Reply<proto::MountPutFileResponse> {
        Err(unsupported("MountPutFile (local files)", "write the files into the sandbox after it is made"))
    }

    async fn blob_create(&self, _: Request<proto::BlobCreateRequest>) -> Reply<proto::BlobCreateResponse> {
        Err(unsupported("BlobCreate", "write the files into the sandbox after it is made"))
    }

    async fn secret_get_or_create(
        &self,
        request: Request<proto::SecretGetOrCreateRequest>,
    ) -> Reply<proto::SecretGetOrCreateResponse> {
        secret::get_or_create(&self.0, request).await
    }

    async fn secret_get_info(
        &self,
        request: Request<proto::SecretGetInfoRequest>,
    ) -> Reply<proto::SecretGetInfoResponse> {
        secret::info(&self.0, request.into_inner()).await
    }

    async fn volume_get_or_create(
        &self,
        request: Request<proto::VolumeGetOrCreateRequest>,
    ) -> Reply<proto::VolumeGetOrCreateResponse> {
        volume::get_or_create(&self.0, request).await
    }

    async fn volume_heartbeat(&self, request: Request<proto::VolumeHeartbeatRequest>) -> Reply<()> {
        volume::heartbeat(&self.0, request.into_inner()).await
    }

    async fn volume_get_by_id(
        &self,
        request: Request<proto::VolumeGetByIdRequest>,
    ) -> Reply<proto::VolumeGetByIdResponse> {
        volume::get_by_id(&self.0, request.into_inner()).await
    }

    async fn volume_list(
        &self,
        request: Request<proto::VolumeListRequest>,
    ) -> Reply<proto::VolumeListResponse> {
        volume::list(&self.0, request.into_inner()).await
    }

    async fn volume_delete(&self, request: Request<proto::VolumeDeleteRequest>) -> Reply<()> {
        volume::delete(&self.0, request).await
    }

    async fn volume_rename(&self, request: Request<proto::VolumeRenameRequest>) -> Reply<()> {
        volume::rename(&self.0, request.into_inner()).await
    }

    async fn proxy_get(&self, _: Request<proto::ProxyGetRequest>) -> Reply<proto::ProxyGetResponse> {
        Err(unsupported("ProxyGet", "leave the proxy out"))
    }

    async fn sandbox_create(
        &self,
        request: Request<proto::SandboxCreateRequest>,
    ) -> Reply<proto::SandboxCreateResponse> {
        made::first(&self.0, request).await
    }

    async fn sandbox_create_v2(
        &self,
        request: Request<proto::SandboxCreateV2Request>,
    ) -> Reply<proto::SandboxCreateV2Response> {
        made::second(&self.0, request).await
    }

    async fn sandbox_get_task_id(
        &self,
        request: Request<proto::SandboxGetTaskIdRequest>,
    ) -> Reply<proto::SandboxGetTaskIdResponse> {
        sandbox::task_id(&self.0, request.into_inner()).await
    }

    async fn sandbox_get_task_id_v2(
        &self,
        request: Request<proto::SandboxGetTaskIdRequest>,
    ) -> Reply<proto::SandboxGetTaskIdResponse> {
        sandbox::task_id(&self.0, request.into_inner()).await
    }

    async fn task_get_command_router_access(
        &self,
        request: Request<proto::TaskGetCommandRouterAccessRequest>,
    ) -> Reply<proto::TaskGetCommandRouterAccessResponse> {
        access::of_task(&self.0, request).await
    }

    async fn sandbox_get_command_router_access(
        &self,
        request: Request<proto::SandboxGetCommandRouterAccessRequest>,
    ) -> Reply<proto::SandboxGetCommandRouterAccessResponse> {
        access::of_sandbox(&self.0, request).await
    }

    async fn sandbox_wait(
        &self,
        request: Request<proto::SandboxWaitRequest>,
    ) -> Reply<proto::SandboxWaitResponse> {
        sandbox::wait(&self.0, request).await
    }

    async fn sandbox_wait_v2(
        &self,
        request: Request<proto::SandboxWaitRequest>,
    ) -> Reply<proto::SandboxWaitResponse> {
        sandbox::wait(&self.0, request).await
    }

    async fn sandbox_terminate(
        &self,
        request: Request<proto::SandboxTerminateRequest>,
    ) -> Reply<proto::SandboxTerminateResponse> {
        sandbox::terminate(&self.0, request.into_inner()).await
    }

    async fn sandbox_terminate_v2(
        &self,
        request: Request<proto::SandboxTerminateRequest>,
    ) -> Reply<proto::SandboxTerminateResponse> {
        sandbox::terminate(&self.0, request.into_inner()).await
    }

    async fn sandbox_get_tunnels(
        &self,
        request: Request<proto::SandboxGetTunnelsRequest>,
    ) -> Reply<proto::SandboxGetTunnelsResponse> {
        tunnels::get(&self.0, request).await
    }

    async fn sandbox_get_tunnels_v2(
        &self,
        request: Request<proto::SandboxGetTunnelsRequest>,
    ) -> Reply<proto::SandboxGetTunnelsResponse> {
        tunnels::get(&self.0, request).await
    }

    async fn sandbox_list(
        &self,
        request: Request<proto::SandboxListRequest>,
    ) -> Reply<proto::SandboxListResponse> {
        sandbox::list(&self.0, request.into_inner()).await
    }

    async fn sandbox_list_v2(
        &self,
        request: Request<proto::SandboxListRequest>,
    ) -> Reply<proto::SandboxListResponse> {
        sandbox::list(&self.0, request.into_inner()).await
    }

    async fn sandbox_get_from_name(
        &self,
        request: Request<proto::SandboxGetFromNameRequest>,
    ) -> Reply<proto::SandboxGetFromNameResponse> {
        sandbox::from_name(&self.0, request.into_inner()).await
    }

    async fn sandbox_get_from_name_v2(
        &self,
        request: Request<proto::SandboxGetFromNameRequest>,
    ) -> Reply<proto::SandboxGetFromNameResponse> {
        sandbox::from_name(&self.0, request.into_inner()).await
    }

    async fn sandbox_tags_get(
        &self,
        request: Request<proto::SandboxTagsGetRequest>,
    ) -> Reply<proto::SandboxTagsGetResponse> {
        sandbox::tags_get(&self.0, request.into_inner()).await
    }

    async fn sandbox_tags_get_v2(
        &self,
        request: Request<proto::SandboxTagsGetRequest>,
    ) -> Reply<proto::SandboxTagsGetResponse> {
        sandbox::tags_get(&self.0, request.into_inner()).await
    }

    async fn sandbox_tags_set(&self, request: Request<proto::SandboxTagsSetRequest>) -> Reply<()> {
        sandbox::tags_set(&self.0, request.into_inner()).await
    }

    async fn sandbox_tags_set_v2(&self, request: Request<proto::SandboxTagsSetRequest>) -> Reply<()> {
        sandbox::tags_set(&self.0, request.into_inner()).await
    }

    async fn sandbox_set_name(
        &self,
        request: Request<proto::SandboxSetNameRequest>,
    ) -> Reply<proto::SandboxSetNameResponse> {
        sandbox::set_name(&self.0, request).await
    }

    async fn sandbox_create_connect_token(
        &self,
        _: Request<proto::SandboxCreateConnectTokenRequest>,
    ) -> Reply<proto::SandboxCreateConnectTokenResponse> {
        Err(unsupported("SandboxCreateConnectToken", "run the request inside the sandbox with exec"))
    }

    async fn sandbox_create_connect_token_v2(
        &self,
        _: Request<proto::SandboxCreateConnectTokenRequest>,
    ) -> Reply<proto::SandboxCreateConnectTokenResponse> {
        Err(unsupported("SandboxCreateConnectTokenV2", "run the request inside the sandbox with exec"))
    }

    async fn sandbox_get_exit_snapshot(
        &self,
        _: Request<proto::SandboxGetExitSnapshotRequest>,
    ) -> Reply<proto::SandboxGetExitSnapshotResponse> {
        Err(unsupported("SandboxGetExitSnapshot", "snapshot the file system before the end"))
    }

    async fn sandbox_get_exit_snapshot_v2(
        &self,
        _: Request<proto::SandboxGetExitSnapshotRequest>,
    ) -> Reply<proto::SandboxGetExitSnapshotResponse> {
        Err(unsupported("SandboxGetExitSnapshotV2", "snapshot the file system before the end"))
    }

    async fn sandbox_get_stats(
        &self,
        _: Request<proto::SandboxGetStatsRequest>,
    ) -> Reply<proto::SandboxGetStatsResponse> {
        Err(unsupported("SandboxGetStats", "read the numbers inside the sandbox with exec"))
    }

    async fn sandbox_get_stats_v2(
        &self,
        _: Request<proto::SandboxGetStatsRequest>,
    ) -> Reply<proto::SandboxGetStatsResponse> {
        Err(unsupported("SandboxGetStatsV2", "read the numbers inside the sandbox with exec"))
    }

    type SandboxGetLogsStream = Streamed<proto::TaskLogsBatch>;

    async fn sandbox_get_logs(
        &self,
        request: Request<proto::SandboxGetLogsRequest>,
    ) -> Reply<Self::SandboxGetLogsStream> {
        logs::get(&self.0, request).await
    }

    async fn sandbox_stdin_write(
        &self,
        request: Request<proto::SandboxStdinWriteRequest>,
    ) -> Reply<proto::SandboxStdinWriteResponse> {
        logs::stdin(&self.0, request.into_inner()).await
    }

    async fn sandbox_snapshot(
        &self,
        _: Request<proto::SandboxSnapshotRequest>,
    ) -> Reply<proto::SandboxSnapshotResponse> {
        Err(unsupported("SandboxSnapshot (memory snapshots)", "snapshot the file system"))
    }

    async fn sandbox_snapshot_wait(
        &self,
        _: Request<proto::SandboxSnapshotWaitRequest>,
    ) -> Reply<proto::SandboxSnapshotWaitResponse> {
        Err(unsupported("SandboxSnapshotWait (memory snapshots)", "snapshot the file system"))
    }

    async fn sandbox_snapshot_get(
        &self,
        _: Request<proto::SandboxSnapshotGetRequest>,
    ) -> Reply<proto::SandboxSnapshotGetResponse> {
        Err(unsupported("SandboxSnapshotGet (memory snapshots)", "snapshot the file system"))
    }

    async fn sandbox_snapshot_fs(
        &self,
        request: Request<proto::SandboxSnapshotFsRequest>,
    ) -> Reply<proto::SandboxSnapshotFsResponse> {
        snapshot::legacy(&self.0, request.into_inner()).await
    }

    async fn sandbox_restore(
        &self,
        _: Request<proto::SandboxRestoreRequest>,
    ) -> Reply<proto::SandboxRestoreResponse> {
        Err(unsupported("SandboxRestore (memory snapshots)", "create a sandbox from a file system snapshot"))
    }

    async fn sandbox_restore_v2(
        &self,
        _: Request<proto::SandboxRestoreV2Request>,
    ) -> Reply<proto::SandboxRestoreV2Response> {
        Err(unsupported(
            "SandboxRestoreV2 (memory snapshots)",
            "create a sandbox from a file system snapshot",
        ))
    }

    async fn sandbox_container_create_v2(
        &self,
        _: Request<proto::SandboxContainerCreateV2Request>,
    ) -> Reply<proto::SandboxContainerCreateV2Response> {
        Err(unsupported("SandboxContainerCreateV2 (side-cars)", "start the program with exec"))
    }

    async fn persistent_sandbox_create(
        &self,
        _: Request<proto::PersistentSandboxCreateRequest>,
    ) -> Reply<proto::PersistentSandboxCreateResponse> {
        Err(unsupported("PersistentSandboxCreate", "create a sandbox and snapshot it"))
    }

    async fn persistent_sandbox_get(
        &self,
        _: Request<proto::PersistentSandboxGetRequest>,
    ) -> Reply<proto::PersistentSandboxGetResponse> {
        Err(unsupported("PersistentSandboxGet", "create a sandbox and snapshot it"))
    }

    async fn persistent_sandbox_resume(
        &self,
        _: Request<proto::PersistentSandboxResumeRequest>,
    ) -> Reply<proto::PersistentSandboxResumeResponse> {
        Err(unsupported("PersistentSandboxResume", "create a sandbox and snapshot it"))
    }

    async fn persistent_sandbox_terminate(
        &self,
        _: Request<proto::PersistentSandboxTerminateRequest>,
    ) -> Reply<proto::PersistentSandboxTerminateResponse> {
        Err(unsupported("PersistentSandboxTerminate", "create a sandbox and snapshot it"))
    }

    async fn persistent_sandbox_tunnels_list(
        &self,
        _: Request<proto::PersistentSandboxTunnelsListRequest>,
    ) -> Reply<proto::PersistentSandboxTunnelsListResponse> {
        Err(unsupported("PersistentSandboxTunnelsList", "create a sandbox and snapshot it"))
    }
}
