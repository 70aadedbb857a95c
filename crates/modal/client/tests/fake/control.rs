//! The control plane of the test server.

use std::collections::BTreeMap;

use openlattice_modal_proto::client as control;
use openlattice_modal_proto::client::generic_result::GenericStatus;
use openlattice_modal_proto::client::modal_client_server::ModalClient;
use tokio_stream::Iter;
use tonic::{Request, Response, Status};

use super::{Created, Service, refused};

type Reply<T> = Result<Response<T>, Status>;
type Messages<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

fn success() -> Option<control::GenericResult> {
    Some(control::GenericResult { status: GenericStatus::Success.into(), ..Default::default() })
}

fn tag(name: &str, value: &str) -> control::SandboxTag {
    control::SandboxTag { tag_name: name.to_owned(), tag_value: value.to_owned() }
}

fn map(tags: Vec<control::SandboxTag>) -> BTreeMap<String, String> {
    tags.into_iter().map(|tag| (tag.tag_name, tag.tag_value)).collect()
}

impl Service {
    fn create(
        &self,
        generation: u32,
        definition: control::Sandbox,
        tags: Vec<control::SandboxTag>,
    ) -> String {
        let mut state = self.state();
        let number = state.created.len();
        let width = if generation == 1 { 22 } else { 26 };
        let id = format!("sb-{number:0width$}");
        let (tags, sources) = (map(tags), Vec::new());
        state.created.push(Created { id: id.clone(), definition, tags, sources, ended: false });
        id
    }

    fn wait(&self, id: &str) -> Reply<control::SandboxWaitResponse> {
        let state = self.state();
        let Some(sandbox) = state.created.iter().find(|sandbox| sandbox.id == id) else {
            return Err(Status::not_found("no such sandbox"));
        };
        let ended = control::GenericResult { status: GenericStatus::Terminated.into(), ..Default::default() };
        let result = sandbox.ended.then_some(ended);
        Ok(Response::new(control::SandboxWaitResponse { result, metadata: None }))
    }

    fn terminate(&self, id: &str) -> Reply<control::SandboxTerminateResponse> {
        let mut state = self.state();
        let Some(sandbox) = state.created.iter_mut().find(|sandbox| sandbox.id == id) else {
            return Err(Status::not_found("no such sandbox"));
        };
        sandbox.ended = true;
        Ok(Response::new(control::SandboxTerminateResponse::default()))
    }

    fn list(&self, request: &control::SandboxListRequest) -> Reply<control::SandboxListResponse> {
        let wanted = map(request.tags.clone());
        let state = self.state();
        let matching = state.created.iter().filter(|sandbox| {
            wanted.iter().all(|(name, value)| sandbox.tags.get(name) == Some(value))
                && (request.include_finished || !sandbox.ended)
        });
        let first_page = request.before_timestamp == 0.0 || state.ignores_pages;
        let sandboxes = matching.filter(|_| first_page).map(|sandbox| control::SandboxInfo {
            id: sandbox.id.clone(),
            created_at: 1.0,
            tags: sandbox.tags.iter().map(|(name, value)| tag(name, value)).collect(),
            ..Default::default()
        });
        Ok(Response::new(control::SandboxListResponse { sandboxes: sandboxes.collect() }))
    }

    fn task(&self, id: &str) -> Reply<control::SandboxGetTaskIdResponse> {
        let task_result = self.state().never_scheduled.clone();
        let task_id = task_result.is_none().then(|| format!("ta-{id}"));
        Ok(Response::new(control::SandboxGetTaskIdResponse { task_id, task_result }))
    }
}

#[tonic::async_trait]
impl ModalClient for Service {
    type AppGetLogsStream = Messages<control::TaskLogsBatch>;
    type ImageJoinStreamingStream = Messages<control::ImageJoinStreamingResponse>;
    type SandboxGetLogsStream = Messages<control::TaskLogsBatch>;

    async fn auth_token_get(
        &self,
        request: Request<control::AuthTokenGetRequest>,
    ) -> Reply<control::AuthTokenGetResponse> {
        self.enter("AuthTokenGet", &request)?;
        let number = self.state().seen.iter().filter(|seen| seen.method == "AuthTokenGet").count();
        Ok(Response::new(control::AuthTokenGetResponse { token: format!("token-{number}") }))
    }

    async fn client_hello(&self, request: Request<()>) -> Reply<control::ClientHelloResponse> {
        self.enter("ClientHello", &request)?;
        let texts = self
            .state()
            .warning
            .map(|text| control::Warning { message: text.to_owned(), ..Default::default() });
        let reply = control::ClientHelloResponse {
            warning: "an old word of warning".to_owned(),
            server_warnings: texts.into_iter().collect(),
            ..Default::default()
        };
        Ok(Response::new(reply))
    }

    async fn app_get_or_create(
        &self,
        request: Request<control::AppGetOrCreateRequest>,
    ) -> Reply<control::AppGetOrCreateResponse> {
        self.enter("AppGetOrCreate", &request)?;
        let reply = control::AppGetOrCreateResponse { app_id: "ap-1".to_owned(), handle_metadata: None };
        let mut reply = Response::new(reply);
        if let Some(text) = self.state().warning {
            reply.metadata_mut().append("x-modal-warning", text.replace(' ', "%20").parse().unwrap());
        }
        Ok(reply)
    }

    async fn environment_get_or_create(
        &self,
        request: Request<control::EnvironmentGetOrCreateRequest>,
    ) -> Reply<control::EnvironmentGetOrCreateResponse> {
        self.enter("EnvironmentGetOrCreate", &request)?;
        let settings = control::EnvironmentSettings {
            image_builder_version: "2025.06".to_owned(),
            ..Default::default()
        };
        let metadata = control::EnvironmentMetadata {
            name: "main".to_owned(),
            settings: Some(settings),
            ..Default::default()
        };
        let reply = control::EnvironmentGetOrCreateResponse {
            environment_id: "en-1".to_owned(),
            metadata: Some(metadata),
        };
        Ok(Response::new(reply))
    }

    async fn image_get_or_create(
        &self,
        request: Request<control::ImageGetOrCreateRequest>,
    ) -> Reply<control::ImageGetOrCreateResponse> {
        self.enter("ImageGetOrCreate", &request)?;
        self.state().images.extend(request.into_inner().image);
        let result = if self.state().build.is_empty() { success() } else { None };
        let reply = control::ImageGetOrCreateResponse { image_id: "im-1".to_owned(), result, metadata: None };
        Ok(Response::new(reply))
    }

    async fn image_from_id(
        &self,
        request: Request<control::ImageFromIdRequest>,
    ) -> Reply<control::ImageFromIdResponse> {
        self.enter("ImageFromId", &request)?;
        let image_id = request.into_inner().image_id;
        Ok(Response::new(control::ImageFromIdResponse { image_id, metadata: None }))
    }

    async fn image_join_streaming(
        &self,
        request: Request<control::ImageJoinStreamingRequest>,
    ) -> Reply<Self::ImageJoinStreamingStream> {
        self.enter("ImageJoinStreaming", &request)?;
        let mut state = self.state();
        state.joined_from.push(request.into_inner().last_entry_id);
        let messages: Vec<_> = state.build.pop_front().unwrap_or_default().into_iter().map(Ok).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn secret_get_or_create(
        &self,
        request: Request<control::SecretGetOrCreateRequest>,
    ) -> Reply<control::SecretGetOrCreateResponse> {
        self.enter("SecretGetOrCreate", &request)?;
        let mut state = self.state();
        state.stored.push(request.into_inner().env_dict);
        let secret_id = format!("st-{}", state.stored.len());
        Ok(Response::new(control::SecretGetOrCreateResponse { secret_id, metadata: None }))
    }

    async fn sandbox_create(
        &self,
        request: Request<control::SandboxCreateRequest>,
    ) -> Reply<control::SandboxCreateResponse> {
        self.enter("SandboxCreate", &request)?;
        let control::SandboxCreateRequest { definition, tags, .. } = request.into_inner();
        let sandbox_id = self.create(1, definition.unwrap(), tags);
        Ok(Response::new(control::SandboxCreateResponse { sandbox_id, metadata: None }))
    }

    async fn sandbox_create_v2(
        &self,
        request: Request<control::SandboxCreateV2Request>,
    ) -> Reply<control::SandboxCreateV2Response> {
        let entered = self.enter("SandboxCreateV2", &request);
        let control::SandboxCreateV2Request { definition, tags, secret_sources, .. } = request.into_inner();
        // A broken connection may well have carried the request: what a test lets fail has been carried out.
        let sandbox_id = self.create(2, definition.unwrap(), tags);
        self.state().created.last_mut().unwrap().sources = secret_sources;
        entered?;
        let (url, jwt) = self.access();
        let token = if self.state().bad_token_on_create { "no\ttoken\n" } else { "sandbox-token" };
        let access = control::CommandRouterAccess { jwt, url };
        let reply = control::SandboxCreateV2Response {
            task_id: format!("ta-{sandbox_id}"),
            sandbox_id,
            command_router_access: self.state().access_on_create.then_some(access),
            sandbox_token: token.to_owned(),
            ..Default::default()
        };
        Ok(Response::new(reply))
    }

    async fn sandbox_get_task_id(
        &self,
        request: Request<control::SandboxGetTaskIdRequest>,
    ) -> Reply<control::SandboxGetTaskIdResponse> {
        self.enter("SandboxGetTaskId", &request)?;
        self.task(&request.get_ref().sandbox_id)
    }

    async fn sandbox_get_task_id_v2(
        &self,
        request: Request<control::SandboxGetTaskIdRequest>,
    ) -> Reply<control::SandboxGetTaskIdResponse> {
        self.enter("SandboxGetTaskIdV2", &request)?;
        self.task(&request.get_ref().sandbox_id)
    }

    async fn sandbox_get_command_router_access(
        &self,
        request: Request<control::SandboxGetCommandRouterAccessRequest>,
    ) -> Reply<control::SandboxGetCommandRouterAccessResponse> {
        self.enter("SandboxGetCommandRouterAccess", &request)?;
        let (url, jwt) = self.access();
        let reply = control::SandboxGetCommandRouterAccessResponse { jwt, url, ..Default::default() };
        Ok(Response::new(reply))
    }

    async fn task_get_command_router_access(
        &self,
        request: Request<control::TaskGetCommandRouterAccessRequest>,
    ) -> Reply<control::TaskGetCommandRouterAccessResponse> {
        self.enter("TaskGetCommandRouterAccess", &request)?;
        let (url, jwt) = self.access();
        Ok(Response::new(control::TaskGetCommandRouterAccessResponse { jwt, url }))
    }

    async fn sandbox_wait(
        &self,
        request: Request<control::SandboxWaitRequest>,
    ) -> Reply<control::SandboxWaitResponse> {
        self.enter("SandboxWait", &request)?;
        self.wait(&request.get_ref().sandbox_id)
    }

    async fn sandbox_wait_v2(
        &self,
        request: Request<control::SandboxWaitRequest>,
    ) -> Reply<control::SandboxWaitResponse> {
        self.enter("SandboxWaitV2", &request)?;
        self.wait(&request.get_ref().sandbox_id)
    }

    async fn sandbox_terminate(
        &self,
        request: Request<control::SandboxTerminateRequest>,
    ) -> Reply<control::SandboxTerminateResponse> {
        self.enter("SandboxTerminate", &request)?;
        self.terminate(&request.get_ref().sandbox_id)
    }

    async fn sandbox_terminate_v2(
        &self,
        request: Request<control::SandboxTerminateRequest>,
    ) -> Reply<control::SandboxTerminateResponse> {
        self.enter("SandboxTerminateV2", &request)?;
        self.terminate(&request.get_ref().sandbox_id)
    }

    async fn sandbox_list(
        &self,
        request: Request<control::SandboxListRequest>,
    ) -> Reply<control::SandboxListResponse> {
        self.enter("SandboxList", &request)?;
        self.list(request.get_ref())
    }

    async fn sandbox_list_v2(
        &self,
        request: Request<control::SandboxListRequest>,
    ) -> Reply<control::SandboxListResponse> {
        self.enter("SandboxListV2", &request)?;
        self.list(request.get_ref())
    }

    async fn sandbox_tags_get_v2(
        &self,
        request: Request<control::SandboxTagsGetRequest>,
    ) -> Reply<control::SandboxTagsGetResponse> {
        self.enter("SandboxTagsGetV2", &request)?;
        let state = self.state();
        let found = state.created.iter().find(|sandbox| sandbox.id == request.get_ref().sandbox_id);
        let tags = found.ok_or_else(|| Status::not_found("no such sandbox"))?.tags.clone();
        let tag = |(tag_name, tag_value)| control::SandboxTag { tag_name, tag_value };
        Ok(Response::new(control::SandboxTagsGetResponse { tags: tags.into_iter().map(tag).collect() }))
    }

    async fn sandbox_tags_set_v2(&self, request: Request<control::SandboxTagsSetRequest>) -> Reply<()> {
        self.enter("SandboxTagsSetV2", &request)?;
        let control::SandboxTagsSetRequest { sandbox_id, tags, .. } = request.into_inner();
        let mut state = self.state();
        let found = state.created.iter_mut().find(|sandbox| sandbox.id == sandbox_id);
        found.ok_or_else(|| Status::not_found("no such sandbox"))?.tags = map(tags);
        Ok(Response::new(()))
    }

    async fn sandbox_tags_get(
        &self,
        request: Request<control::SandboxTagsGetRequest>,
    ) -> Reply<control::SandboxTagsGetResponse> {
        self.sandbox_tags_get_v2(request).await
    }

    async fn sandbox_tags_set(&self, request: Request<control::SandboxTagsSetRequest>) -> Reply<()> {
        self.sandbox_tags_set_v2(request).await
    }

    async fn app_get_logs(&self, _: Request<control::AppGetLogsRequest>) -> Reply<Self::AppGetLogsStream> {
        Err(Status::unimplemented("app_get_logs"))
    }

    async fn sandbox_get_logs(
        &self,
        request: Request<control::SandboxGetLogsRequest>,
    ) -> Reply<Self::SandboxGetLogsStream> {
        self.enter("SandboxGetLogs", &request)?;
        let mut state = self.state();
        state.logs_from.push(request.into_inner().last_entry_id);
        let batches: Vec<_> = state.logs.pop_front().unwrap_or_default().into_iter().map(Ok).collect();
        Ok(Response::new(tokio_stream::iter(batches)))
    }

    async fn sandbox_stdin_write(
        &self,
        request: Request<control::SandboxStdinWriteRequest>,
    ) -> Reply<control::SandboxStdinWriteResponse> {
        self.enter("SandboxStdinWrite", &request)?;
        let request = request.into_inner();
        let mut state = self.state();
        state.stdin.extend_from_slice(format!("{}:", request.index).as_bytes());
        state.stdin.extend_from_slice(&request.input);
        state.stdin_closed |= request.eof;
        Ok(Response::new(control::SandboxStdinWriteResponse {}))
    }

    refused! {
        app_create: control::AppCreateRequest => control::AppCreateResponse;
        app_heartbeat: control::AppHeartbeatRequest => ();
        app_publish: control::AppPublishRequest => control::AppPublishResponse;
        app_client_disconnect: control::AppClientDisconnectRequest => ();
        app_fetch_logs: control::AppFetchLogsRequest => control::AppFetchLogsResponse;
        image_publish: control::ImagePublishRequest => control::ImagePublishResponse;
        image_get_by_tag: control::ImageGetByTagRequest => control::ImageGetByTagResponse;
        image_delete: control::ImageDeleteRequest => ();
        mount_get_or_create: control::MountGetOrCreateRequest => control::MountGetOrCreateResponse;
        mount_put_file: control::MountPutFileRequest => control::MountPutFileResponse;
        blob_create: control::BlobCreateRequest => control::BlobCreateResponse;
        secret_get_info: control::SecretGetInfoRequest => control::SecretGetInfoResponse;
        volume_get_or_create: control::VolumeGetOrCreateRequest => control::VolumeGetOrCreateResponse;
        volume_heartbeat: control::VolumeHeartbeatRequest => ();
        volume_get_by_id: control::VolumeGetByIdRequest => control::VolumeGetByIdResponse;
        volume_list: control::VolumeListRequest => control::VolumeListResponse;
        volume_delete: control::VolumeDeleteRequest => ();
        volume_rename: control::VolumeRenameRequest => ();
        proxy_get: control::ProxyGetRequest => control::ProxyGetResponse;
        sandbox_get_tunnels: control::SandboxGetTunnelsRequest => control::SandboxGetTunnelsResponse;
        sandbox_get_tunnels_v2: control::SandboxGetTunnelsRequest => control::SandboxGetTunnelsResponse;
        sandbox_get_from_name: control::SandboxGetFromNameRequest => control::SandboxGetFromNameResponse;
        sandbox_get_from_name_v2: control::SandboxGetFromNameRequest => control::SandboxGetFromNameResponse;
        sandbox_set_name: control::SandboxSetNameRequest => control::SandboxSetNameResponse;
        sandbox_create_connect_token: control::SandboxCreateConnectTokenRequest => control::SandboxCreateConnectTokenResponse;
        sandbox_create_connect_token_v2: control::SandboxCreateConnectTokenRequest => control::SandboxCreateConnectTokenResponse;
        sandbox_get_exit_snapshot: control::SandboxGetExitSnapshotRequest => control::SandboxGetExitSnapshotResponse;
        sandbox_get_exit_snapshot_v2: control::SandboxGetExitSnapshotRequest => control::SandboxGetExitSnapshotResponse;
        sandbox_get_stats: control::SandboxGetStatsRequest => control::SandboxGetStatsResponse;
        sandbox_get_stats_v2: control::SandboxGetStatsRequest => control::SandboxGetStatsResponse;
        sandbox_snapshot: control::SandboxSnapshotRequest => control::SandboxSnapshotResponse;
        sandbox_snapshot_wait: control::SandboxSnapshotWaitRequest => control::SandboxSnapshotWaitResponse;
        sandbox_snapshot_get: control::SandboxSnapshotGetRequest => control::SandboxSnapshotGetResponse;
        sandbox_snapshot_fs: control::SandboxSnapshotFsRequest => control::SandboxSnapshotFsResponse;
        sandbox_restore: control::SandboxRestoreRequest => control::SandboxRestoreResponse;
        sandbox_restore_v2: control::SandboxRestoreV2Request => control::SandboxRestoreV2Response;
        sandbox_container_create_v2: control::SandboxContainerCreateV2Request => control::SandboxContainerCreateV2Response;
        persistent_sandbox_create: control::PersistentSandboxCreateRequest => control::PersistentSandboxCreateResponse;
        persistent_sandbox_get: control::PersistentSandboxGetRequest => control::PersistentSandboxGetResponse;
        persistent_sandbox_resume: control::PersistentSandboxResumeRequest => control::PersistentSandboxResumeResponse;
        persistent_sandbox_terminate: control::PersistentSandboxTerminateRequest => control::PersistentSandboxTerminateResponse;
        persistent_sandbox_tunnels_list: control::PersistentSandboxTunnelsListRequest => control::PersistentSandboxTunnelsListResponse;
    }
}
