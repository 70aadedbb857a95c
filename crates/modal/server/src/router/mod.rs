//! The command router, `modal.task_command_router.TaskCommandRouter`: one method a call, each handing on to the file of
//! its subject. A caller holds a token for one sandbox; a task of another one is refused.

mod exec;
pub(crate) mod files;
pub(crate) mod input;
mod ready;
pub(crate) mod snapshot;
pub(crate) mod stdin;
mod stdio;

use crate::{
    control::Reply,
    shared::Shared,
    status::{self, unsupported},
};
use futures_util::stream::BoxStream;
use openlattice_engine::ExecId;
use openlattice_modal_proto::{
    client::network_access::NetworkAccessType,
    task_command_router::{self as proto, task_command_router_server::TaskCommandRouter},
};
use std::sync::Arc;
use tonic::{Request, Response, Status, Streaming};

type Streamed<T> = BoxStream<'static, Result<T, Status>>;

/// The engine's id of a sandbox's main command.
pub(crate) fn main_exec() -> ExecId {
    ExecId::parse("main").expect("it fits the rules of an id")
}

/// An exec id as a client sent it. The main command has calls of its own.
fn exec_id(text: &str) -> Result<ExecId, Status> {
    match ExecId::parse(text) {
        Ok(id) if id.as_str() != "main" => Ok(id),
        _ => Err(Status::invalid_argument(format!("exec_id {text:?} must be a UUID"))),
    }
}

/// The main container has the empty id; there are no others.
fn main_container(container_id: &str) -> Result<(), Status> {
    if container_id.is_empty() {
        return Ok(());
    }
    Err(unsupported("container_id (side-cars)", "leave it out; every sandbox has one container here"))
}

/// Answers the command router's calls.
#[derive(Debug)]
pub(crate) struct Router(pub(crate) Arc<Shared>);

const NO_SIDE_CARS: &str = "start the program with exec";

#[tonic::async_trait]
impl TaskCommandRouter for Router {
    async fn sandbox_stdin_write_v2(
        &self,
        request: Request<proto::SandboxStdinWriteV2Request>,
    ) -> Reply<proto::SandboxStdinWriteV2Response> {
        stdin::main(&self.0, request).await
    }

    type SandboxStdioReadV2Stream = Streamed<proto::SandboxStdioReadV2Response>;

    async fn sandbox_stdio_read_v2(
        &self,
        request: Request<proto::SandboxStdioReadV2Request>,
    ) -> Reply<Self::SandboxStdioReadV2Stream> {
        stdio::main(&self.0, request).await
    }

    async fn sandbox_wait_until_ready(
        &self,
        request: Request<proto::SandboxWaitUntilReadyTcrRequest>,
    ) -> Reply<proto::SandboxWaitUntilReadyTcrResponse> {
        ready::wait(&self.0, request).await
    }

    async fn task_container_create(
        &self,
        _: Request<proto::TaskContainerCreateRequest>,
    ) -> Reply<proto::TaskContainerCreateResponse> {
        Err(unsupported("TaskContainerCreate (side-cars)", NO_SIDE_CARS))
    }

    async fn task_container_get(
        &self,
        _: Request<proto::TaskContainerGetRequest>,
    ) -> Reply<proto::TaskContainerGetResponse> {
        Err(unsupported("TaskContainerGet (side-cars)", NO_SIDE_CARS))
    }

    async fn task_container_list(
        &self,
        _: Request<proto::TaskContainerListRequest>,
    ) -> Reply<proto::TaskContainerListResponse> {
        Err(unsupported("TaskContainerList (side-cars)", NO_SIDE_CARS))
    }

    async fn task_container_terminate(
        &self,
        _: Request<proto::TaskContainerTerminateRequest>,
    ) -> Reply<proto::TaskContainerTerminateResponse> {
        Err(unsupported("TaskContainerTerminate (side-cars)", NO_SIDE_CARS))
    }

    async fn task_container_wait(
        &self,
        _: Request<proto::TaskContainerWaitRequest>,
    ) -> Reply<proto::TaskContainerWaitResponse> {
        Err(unsupported("TaskContainerWait (side-cars)", NO_SIDE_CARS))
    }

    async fn task_exec_poll(
        &self,
        request: Request<proto::TaskExecPollRequest>,
    ) -> Reply<proto::TaskExecPollResponse> {
        exec::poll(&self.0, request).await
    }

    async fn task_exec_start(
        &self,
        request: Request<proto::TaskExecStartRequest>,
    ) -> Reply<proto::TaskExecStartResponse> {
        exec::start(&self.0, request).await
    }

    async fn task_exec_stdin_status(
        &self,
        request: Request<proto::TaskExecStdinStatusRequest>,
    ) -> Reply<proto::TaskExecStdinStatusResponse> {
        stdin::status(&self.0, request).await
    }

    async fn task_exec_stdin_write(
        &self,
        request: Request<proto::TaskExecStdinWriteRequest>,
    ) -> Reply<proto::TaskExecStdinWriteResponse> {
        stdin::write(&self.0, request).await
    }

    async fn task_exec_stdin_write_stream(
        &self,
        request: Request<Streaming<proto::TaskExecStdinWriteStreamRequest>>,
    ) -> Reply<proto::TaskExecStdinWriteStreamResponse> {
        stdin::stream(&self.0, request).await
    }

    type TaskExecStdioReadStream = Streamed<proto::TaskExecStdioReadResponse>;

    async fn task_exec_stdio_read(
        &self,
        request: Request<proto::TaskExecStdioReadRequest>,
    ) -> Reply<Self::TaskExecStdioReadStream> {
        stdio::exec(&self.0, request).await
    }

    async fn task_exec_wait(
        &self,
        request: Request<proto::TaskExecWaitRequest>,
    ) -> Reply<proto::TaskExecWaitResponse> {
        exec::wait(&self.0, request).await
    }

    async fn task_mount_directory(&self, _: Request<proto::TaskMountDirectoryRequest>) -> Reply<()> {
        Err(unsupported("TaskMountDirectory", "write the files into the sandbox"))
    }

    async fn task_reload_volumes(
        &self,
        request: Request<proto::TaskReloadVolumesRequest>,
    ) -> Reply<proto::TaskReloadVolumesResponse> {
        let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
        main_container(&request.into_inner().container_id)?;
        // Every write is seen at once; an unknown sandbox is still none.
        self.0.engine.sandbox(&sandbox).await.map_err(status::from_engine)?;
        Ok(Response::new(proto::TaskReloadVolumesResponse {}))
    }

    async fn task_set_network_access(
        &self,
        request: Request<proto::TaskSetNetworkAccessRequest>,
    ) -> Reply<proto::TaskSetNetworkAccessResponse> {
        Shared::task(&request, &request.get_ref().task_id)?;
        match request.into_inner().network_access.unwrap_or_default().network_access_type() {
            // Every sandbox has that already.
            NetworkAccessType::Blocked => Ok(Response::new(proto::TaskSetNetworkAccessResponse {})),
            _ => Err(unsupported("TaskSetNetworkAccess", "the network can only be blocked here")),
        }
    }

    async fn task_set_outbound_policy(
        &self,
        _: Request<proto::TaskSetExperimentalOutboundPolicyRequest>,
    ) -> Reply<proto::TaskSetExperimentalOutboundPolicyResponse> {
        Err(unsupported("TaskSetOutboundPolicy", "leave it out; nothing goes out"))
    }

    async fn task_snapshot_directory(
        &self,
        _: Request<proto::TaskSnapshotDirectoryRequest>,
    ) -> Reply<proto::TaskSnapshotDirectoryResponse> {
        Err(unsupported("TaskSnapshotDirectory", "snapshot the whole file system"))
    }

    async fn task_snapshot_filesystem(
        &self,
        request: Request<proto::TaskSnapshotFilesystemRequest>,
    ) -> Reply<proto::TaskSnapshotFilesystemResponse> {
        snapshot::file_system(&self.0, request).await
    }

    async fn task_snapshot_memory(
        &self,
        _: Request<proto::TaskSnapshotMemoryRequest>,
    ) -> Reply<proto::TaskSnapshotMemoryResponse> {
        Err(unsupported("TaskSnapshotMemory", "snapshot the file system"))
    }

    async fn task_unmount_directory(&self, _: Request<proto::TaskUnmountDirectoryRequest>) -> Reply<()> {
        Err(unsupported("TaskUnmountDirectory", "nothing is mounted"))
    }
}
