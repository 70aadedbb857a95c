//! Input of commands by offset: single writes, streams that may break and resume, and how far it got.

use super::{exec::settle, exec_id, files::FileExec, input::Messages, main_exec};
use crate::{
    control::Reply,
    ids,
    shared::{RouterSubject, Shared},
    status,
};
use bytes::Bytes;
use openlattice_engine::{ErrorKind, ExecId, SandboxId};
use openlattice_modal_proto::task_command_router::{
    self as proto, TaskExecStdinWriteStreamRequest, TaskExecStdinWriteStreamStart,
    task_exec_stdin_write_stream_request::Payload,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// The streams under way: at most one per command. A newer one, and a question how far it got, ends the older.
#[derive(Debug, Default)]
pub(crate) struct StdinStreams(Mutex<HashMap<(SandboxId, ExecId), Slot>>);

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Held by the stream that writes.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Tells the stream that has the turn to give it up.
    give_up: CancellationToken,
}

impl StdinStreams {
    /// Ends the stream under way, if any, and waits until it writes no more. The turn is the caller's then, until the
    /// next caller cancels the token.
    async fn take_turn(
        &self,
        key: &(SandboxId, ExecId),
    ) -> (tokio::sync::OwnedMutexGuard<()>, CancellationToken) {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Slots that nobody uses are dropped here, so that the map stays as small as the number of streams.
            slots.retain(|known, slot| known == key || Arc::strong_count(&slot.turn) > 1);
            let slot = slots.entry(key.clone()).or_default();
            slot.give_up.cancel();
            slot.give_up = CancellationToken::new();
            slot.clone()
        };
        (slot.turn.lock_owned().await, slot.give_up)
    }
}

/// Whose input it is.
enum Target {
    Engine(SandboxId, ExecId),
    Files(Arc<FileExec>),
}

impl Target {
    async fn find(shared: &Shared, sandbox: SandboxId, id: ExecId) -> Result<Self, Status> {
        Ok(match shared.file_execs.find(&sandbox, &id).await? {
            Some(exec) => Self::Files(exec),
            None => Self::Engine(sandbox, id),
        })
    }

    async fn write(&self, shared: &Shared, offset: u64, data: Bytes, eof: bool) -> Result<(), Status> {
        match self {
            Self::Engine(sandbox, id) => write_engine(shared, sandbox, id, offset, &data, eof).await,
            Self::Files(exec) => exec.write(offset, data, eof).await,
        }
    }
}

/// Writes; what was accepted before, and a second end, is fine whatever became of the command since.
async fn write_engine(
    shared: &Shared,
    sandbox: &SandboxId,
    id: &ExecId,
    offset: u64,
    data: &[u8],
    eof: bool,
) -> Result<(), Status> {
    let Err(error) = shared.engine.write_stdin(sandbox, id, offset, data, eof).await else { return Ok(()) };
    if error.kind() == ErrorKind::FailedPrecondition {
        let known = shared.engine.stdin_state(sandbox, id).await;
        let end = offset.saturating_add(data.len() as u64);
        if known.is_ok_and(|state| end <= state.accepted || data.is_empty()) {
            return Ok(());
        }
        // Clients ask for the exit right after this failure.
        settle(shared, sandbox, id).await;
    }
    Err(status::from_engine(error))
}

pub(super) async fn write(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecStdinWriteRequest>,
) -> Reply<proto::TaskExecStdinWriteResponse> {
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    let target = Target::find(shared, sandbox, exec_id(&request.exec_id)?).await?;
    target.write(shared, request.offset, request.data, request.eof).await?;
    Ok(Response::new(proto::TaskExecStdinWriteResponse {}))
}

pub(super) async fn main(
    shared: &Arc<Shared>,
    request: Request<proto::SandboxStdinWriteV2Request>,
) -> Reply<proto::SandboxStdinWriteV2Response> {
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    let info = shared.engine.sandbox(&sandbox).await.map_err(status::from_engine)?;
    if info.command.is_empty() {
        return Err(Status::failed_precondition(format!("sandbox {sandbox} has no main command")));
    }
    write_engine(shared, &sandbox, &main_exec(), request.offset, &request.data, request.eof).await?;
    Ok(Response::new(proto::SandboxStdinWriteV2Response {}))
}

/// Takes chunks until the end message. A stream that ends without it leaves the input open, to be resumed.
pub(super) async fn stream(
    shared: &Arc<Shared>,
    request: Request<Streaming<TaskExecStdinWriteStreamRequest>>,
) -> Reply<proto::TaskExecStdinWriteStreamResponse> {
    let subject = request.extensions().get::<RouterSubject>().cloned();
    let mut messages = Messages::of(&request)?;
    let Some(Payload::Start(start)) = messages.next().await? else {
        return Err(Status::invalid_argument("a stream must begin with start"));
    };
    let TaskExecStdinWriteStreamStart { task_id, exec_id: exec, offset } = start;
    let sandbox = ids::sandbox_of(&task_id)?;
    if subject.is_none_or(|subject| subject.0 != sandbox.as_str()) {
        return Err(Status::permission_denied(format!("the token is not for task {task_id}")));
    }
    let key = (sandbox, exec_id(&exec)?);
    let target = Target::find(shared, key.0.clone(), key.1.clone()).await?;
    let (turn, give_up) = shared.stdin_streams.take_turn(&key).await;
    let written = take_chunks(shared, &target, messages, offset, &give_up).await;
    drop(turn);
    written.map(|()| Response::new(proto::TaskExecStdinWriteStreamResponse {}))
}

async fn take_chunks(
    shared: &Shared,
    target: &Target,
    mut messages: Messages,
    mut offset: u64,
    give_up: &CancellationToken,
) -> Result<(), Status> {
    loop {
        // Whoever is cut off while it waits for the command to read has written nothing; what it wrote is skipped when it comes again.
        let step = async {
            let Some(payload) = messages.next().await? else { return Ok(true) };
            match payload {
                Payload::Data(data) if data.is_empty() => {}
                Payload::Data(data) => {
                    let end = offset.saturating_add(data.len() as u64);
                    target.write(shared, offset, data, false).await?;
                    offset = end;
                }
                Payload::End(_) => {
                    target.write(shared, offset, Bytes::new(), true).await?;
                    return Ok(true);
                }
                Payload::Start(_) => return Err(Status::invalid_argument("a stream begins once")),
            }
            Ok(false)
        };
        let over = tokio::select! {
            biased;
            () = give_up.cancelled() => {
                return Err(Status::aborted("another stream took over; ask how far this one got"));
            }
            () = shared.stopping.cancelled() => return Err(status::stopping()),
            over = step => over?,
        };
        if over {
            return Ok(());
        }
    }
}

pub(super) async fn status(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecStdinStatusRequest>,
) -> Reply<proto::TaskExecStdinStatusResponse> {
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let key = (sandbox, exec_id(&request.get_ref().exec_id)?);
    let target = Target::find(shared, key.0.clone(), key.1.clone()).await?;
    let (turn, _) = shared.stdin_streams.take_turn(&key).await;
    let (num_bytes_written, closed) = match &target {
        Target::Files(exec) => exec.stdin_state().await,
        Target::Engine(sandbox, id) => {
            let state = shared.engine.stdin_state(sandbox, id).await.map_err(status::from_engine)?;
            (state.accepted, state.closed)
        }
    };
    drop(turn);
    Ok(Response::new(proto::TaskExecStdinStatusResponse { num_bytes_written, closed }))
}
