//! The command router of the test server.

use openlattice_modal_proto::task_command_router as router;
use openlattice_modal_proto::task_command_router::task_command_router_server::TaskCommandRouter;
use openlattice_modal_proto::task_command_router::task_exec_stdin_write_stream_request::Payload;
use openlattice_modal_proto::task_command_router::task_exec_wait_response::ExitStatus;
use tokio_stream::Iter;
use tonic::{Request, Response, Status, Streaming};

use super::{Script, Service, State, refused};

type Reply<T> = Result<Response<T>, Status>;
type Messages<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;
/// The size of a chunk of output; of more than a thousand bytes, a share of them.
const CHUNK: usize = 3;

impl Service {
    /// The rest of a stream from an offset, in small chunks, broken where the test wants it.
    fn chunks(
        &self,
        request: &router::TaskExecStdioReadRequest,
    ) -> Vec<Result<router::TaskExecStdioReadResponse, Status>> {
        let mut state = self.state();
        state.asked_offsets.push(request.offset);
        let script = script(&state, &request.exec_id);
        let (stdout, stderr) =
            script.as_ref().map_or((&state.stdout, &state.stderr), |script| (&script.stdout, &script.stderr));
        let all = match request.file_descriptor() {
            router::TaskExecStdioFileDescriptor::Stdout => stdout.clone(),
            router::TaskExecStdioFileDescriptor::Stderr => stderr.clone(),
        };
        let rest = &all[usize::try_from(request.offset).unwrap().min(all.len())..];
        let cut = state.cuts.pop_front();
        let sent = &rest[..cut.unwrap_or(rest.len()).min(rest.len())];
        let chunk = |data: &[u8]| Ok(router::TaskExecStdioReadResponse { data: data.to_vec().into() });
        let broken = cut.map(|_| Err(Status::unavailable("the connection broke")));
        sent.chunks(CHUNK.max(sent.len() / 300)).map(chunk).chain(broken).collect()
    }

    /// As [`chunks`](Self::chunks), of the main process; what is no longer kept is left out.
    fn main_chunks(
        &self,
        request: &router::SandboxStdioReadV2Request,
    ) -> Vec<Result<router::SandboxStdioReadV2Response, Status>> {
        let mut state = self.state();
        state.asked_offsets.push(request.offset);
        let all = match request.file_descriptor() {
            router::SandboxStdioFileDescriptor::Stdout => state.stdout.clone(),
            router::SandboxStdioFileDescriptor::Stderr => state.stderr.clone(),
        };
        let start = usize::try_from(request.offset).unwrap().max(state.forgotten).min(all.len());
        let cut = state.cuts.pop_front();
        let end = all.len().min(start + cut.unwrap_or(all.len()));
        let chunk = |at: usize| {
            let data = all[at..end.min(at + CHUNK)].to_vec().into();
            Ok(router::SandboxStdioReadV2Response { data, starting_offset: at as u64 })
        };
        let broken = cut.map(|_| Err(Status::unavailable("the connection broke")));
        (start..end).step_by(CHUNK).map(chunk).chain(broken).collect()
    }

    /// Takes pieces from an offset on; what was taken before is skipped.
    fn take(&self, offset: u64, data: &[u8]) -> Result<(), Status> {
        let mut state = self.state();
        let known = state.stdin.len().checked_sub(usize::try_from(offset).unwrap());
        let skip = known.ok_or_else(|| Status::invalid_argument("a gap in the input"))?;
        state.stdin.extend_from_slice(data.get(skip..).unwrap_or_default());
        Ok(())
    }

    fn exit(&self, exec_id: &str) -> Option<ExitStatus> {
        let state = self.state();
        script(&state, exec_id).map_or(state.exit, |script| Some(ExitStatus::Code(script.code)))
    }

    fn annotated<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        if let Some(reason) = self.state().end_trailer {
            response.metadata_mut().insert("x-openlattice-end", reason.parse().unwrap());
        }
        response
    }
}

/// The first script that fits the command's arguments.
fn script(state: &State, exec_id: &str) -> Option<Script> {
    let arguments = &state.started.iter().find(|started| started.exec_id == exec_id)?.command_args;
    let fits = |text: &str| arguments.iter().any(|argument| argument.contains(text));
    state.scripts.iter().find(|(text, _)| fits(text)).map(|(_, script)| script.clone())
}

#[tonic::async_trait]
impl TaskCommandRouter for Service {
    type SandboxStdioReadV2Stream = Messages<router::SandboxStdioReadV2Response>;
    type TaskExecStdioReadStream = Messages<router::TaskExecStdioReadResponse>;

    async fn task_exec_start(
        &self,
        request: Request<router::TaskExecStartRequest>,
    ) -> Reply<router::TaskExecStartResponse> {
        self.enter_router("TaskExecStart", &request)?;
        self.state().started.push(request.into_inner());
        Ok(Response::new(router::TaskExecStartResponse {}))
    }

    async fn task_exec_stdio_read(
        &self,
        request: Request<router::TaskExecStdioReadRequest>,
    ) -> Reply<Self::TaskExecStdioReadStream> {
        self.enter_router("TaskExecStdioRead", &request)?;
        Ok(Response::new(tokio_stream::iter(self.chunks(request.get_ref()))))
    }

    async fn task_exec_wait(
        &self,
        request: Request<router::TaskExecWaitRequest>,
    ) -> Reply<router::TaskExecWaitResponse> {
        self.enter_router("TaskExecWait", &request)?;
        if self.state().hold_waits {
            self.released.notified().await;
        }
        let exit_status = self.exit(&request.get_ref().exec_id);
        Ok(self.annotated(router::TaskExecWaitResponse { exit_status }))
    }

    async fn task_set_network_access(
        &self,
        request: Request<router::TaskSetNetworkAccessRequest>,
    ) -> Reply<router::TaskSetNetworkAccessResponse> {
        self.enter_router("TaskSetNetworkAccess", &request)?;
        self.state().networks.extend(request.into_inner().network_access);
        Ok(Response::new(router::TaskSetNetworkAccessResponse {}))
    }

    async fn task_exec_poll(
        &self,
        request: Request<router::TaskExecPollRequest>,
    ) -> Reply<router::TaskExecPollResponse> {
        use router::{task_exec_poll_response as poll, task_exec_wait_response as wait};
        self.enter_router("TaskExecPoll", &request)?;
        let exit_status = self.exit(&request.get_ref().exec_id).map(|exit| match exit {
            wait::ExitStatus::Code(code) => poll::ExitStatus::Code(code),
            wait::ExitStatus::Signal(signal) => poll::ExitStatus::Signal(signal),
        });
        Ok(self.annotated(router::TaskExecPollResponse { exit_status }))
    }

    async fn task_exec_stdin_write(
        &self,
        request: Request<router::TaskExecStdinWriteRequest>,
    ) -> Reply<router::TaskExecStdinWriteResponse> {
        self.enter_router("TaskExecStdinWrite", &request)?;
        let request = request.into_inner();
        self.take(request.offset, &request.data)?;
        self.state().stdin_closed |= request.eof;
        Ok(Response::new(router::TaskExecStdinWriteResponse {}))
    }

    async fn task_exec_stdin_write_stream(
        &self,
        request: Request<Streaming<router::TaskExecStdinWriteStreamRequest>>,
    ) -> Reply<router::TaskExecStdinWriteStreamResponse> {
        self.enter_router("TaskExecStdinWriteStream", &request)?;
        let mut messages = request.into_inner();
        let mut left = self.state().stdin_cuts.pop_front();
        let mut offset = 0;
        while let Some(message) = messages.message().await? {
            match message.payload.unwrap() {
                Payload::Start(start) => offset = start.offset,
                Payload::Data(data) => {
                    let room = left.unwrap_or(data.len()).min(data.len());
                    self.take(offset, &data[..room])?;
                    offset += room as u64;
                    left = left.map(|left| left - room);
                    if left == Some(0) {
                        return Err(Status::unavailable("the connection broke"));
                    }
                }
                Payload::End(_) => self.state().stdin_closed = true,
            }
        }
        Ok(Response::new(router::TaskExecStdinWriteStreamResponse {}))
    }

    async fn task_exec_stdin_status(
        &self,
        request: Request<router::TaskExecStdinStatusRequest>,
    ) -> Reply<router::TaskExecStdinStatusResponse> {
        self.enter_router("TaskExecStdinStatus", &request)?;
        let state = self.state();
        let num_bytes_written = state.stdin.len() as u64;
        Ok(Response::new(router::TaskExecStdinStatusResponse {
            num_bytes_written,
            closed: state.stdin_closed,
        }))
    }

    async fn sandbox_stdio_read_v2(
        &self,
        request: Request<router::SandboxStdioReadV2Request>,
    ) -> Reply<Self::SandboxStdioReadV2Stream> {
        self.enter_router("SandboxStdioReadV2", &request)?;
        Ok(Response::new(tokio_stream::iter(self.main_chunks(request.get_ref()))))
    }

    async fn sandbox_stdin_write_v2(
        &self,
        request: Request<router::SandboxStdinWriteV2Request>,
    ) -> Reply<router::SandboxStdinWriteV2Response> {
        self.enter_router("SandboxStdinWriteV2", &request)?;
        let request = request.into_inner();
        self.take(request.offset, &request.data)?;
        self.state().stdin_closed |= request.eof;
        Ok(Response::new(router::SandboxStdinWriteV2Response {}))
    }

    refused! {
        sandbox_wait_until_ready: router::SandboxWaitUntilReadyTcrRequest => router::SandboxWaitUntilReadyTcrResponse;
        task_container_create: router::TaskContainerCreateRequest => router::TaskContainerCreateResponse;
        task_container_get: router::TaskContainerGetRequest => router::TaskContainerGetResponse;
        task_container_list: router::TaskContainerListRequest => router::TaskContainerListResponse;
        task_container_terminate: router::TaskContainerTerminateRequest => router::TaskContainerTerminateResponse;
        task_container_wait: router::TaskContainerWaitRequest => router::TaskContainerWaitResponse;
        task_mount_directory: router::TaskMountDirectoryRequest => ();
        task_reload_volumes: router::TaskReloadVolumesRequest => router::TaskReloadVolumesResponse;
        task_set_outbound_policy: router::TaskSetExperimentalOutboundPolicyRequest => router::TaskSetExperimentalOutboundPolicyResponse;
        task_snapshot_directory: router::TaskSnapshotDirectoryRequest => router::TaskSnapshotDirectoryResponse;
        task_snapshot_filesystem: router::TaskSnapshotFilesystemRequest => router::TaskSnapshotFilesystemResponse;
        task_snapshot_memory: router::TaskSnapshotMemoryRequest => router::TaskSnapshotMemoryResponse;
        task_unmount_directory: router::TaskUnmountDirectoryRequest => ();
    }
}
