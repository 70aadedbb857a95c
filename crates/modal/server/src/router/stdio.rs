//! Output of commands and of the main process: from any offset, live, any number of readers, to the end.

use super::{
    Streamed, exec_id,
    files::{Content, FileExec},
    main_exec,
};
use crate::{control::Reply, deadline::Deadline, shared::Shared, status, trailers::Trailers};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use openlattice_engine::{ExecId, OutputReader, OutputStream, SandboxId};
use openlattice_modal_proto::task_command_router as proto;
use std::sync::Arc;
use tonic::{Request, Status};

pub(super) async fn exec(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecStdioReadRequest>,
) -> Reply<Streamed<proto::TaskExecStdioReadResponse>> {
    let deadline = Deadline::of(&request);
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    let id = exec_id(&request.exec_id)?;
    let stream = match proto::TaskExecStdioFileDescriptor::try_from(request.file_descriptor) {
        Ok(proto::TaskExecStdioFileDescriptor::Stdout) => OutputStream::Stdout,
        Ok(proto::TaskExecStdioFileDescriptor::Stderr) => OutputStream::Stderr,
        Err(_) => return Err(Status::invalid_argument("file_descriptor must be STDOUT or STDERR")),
    };
    let source = match shared.file_execs.find(&sandbox, &id).await? {
        Some(exec) => Source::Files { exec, sandbox, stream, offset: request.offset, content: None },
        None => {
            let reader = shared.engine.output(&sandbox, &id, stream, request.offset).await;
            let reader = Box::new(reader.map_err(status::from_engine)?);
            Source::Engine { reader, sandbox, id, stream }
        }
    };
    let reading = Reading::new(shared, source, deadline);
    let trailers = reading.trailers.clone();
    let message = |(_, data)| proto::TaskExecStdioReadResponse { data };
    Ok(trailers.on(chunks(reading).map(move |chunk| chunk.map(message)).boxed()))
}

pub(super) async fn main(
    shared: &Arc<Shared>,
    request: Request<proto::SandboxStdioReadV2Request>,
) -> Reply<Streamed<proto::SandboxStdioReadV2Response>> {
    let deadline = Deadline::of(&request);
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    let stream = match proto::SandboxStdioFileDescriptor::try_from(request.file_descriptor) {
        Ok(proto::SandboxStdioFileDescriptor::Stdout) => OutputStream::Stdout,
        Ok(proto::SandboxStdioFileDescriptor::Stderr) => OutputStream::Stderr,
        Err(_) => return Err(Status::invalid_argument("file_descriptor must be STDOUT or STDERR")),
    };
    let info = shared.engine.sandbox(&sandbox).await.map_err(status::from_engine)?;
    let source = if info.command.is_empty() {
        Source::Nothing(sandbox)
    } else {
        let reader = shared.engine.output(&sandbox, &main_exec(), stream, request.offset).await;
        let reader = Box::new(reader.map_err(status::from_engine)?);
        Source::Engine { reader, sandbox, id: main_exec(), stream }
    };
    let reading = Reading::new(shared, source, deadline);
    let trailers = reading.trailers.clone();
    let message = |(starting_offset, data)| proto::SandboxStdioReadV2Response { data, starting_offset };
    Ok(trailers.on(chunks(reading).map(move |chunk| chunk.map(message)).boxed()))
}

enum Source {
    Engine {
        reader: Box<OutputReader>,
        sandbox: SandboxId,
        id: ExecId,
        stream: OutputStream,
    },
    Files {
        exec: Arc<FileExec>,
        sandbox: SandboxId,
        stream: OutputStream,
        offset: u64,
        /// The file that was asked for, once it is open.
        content: Option<Box<Content>>,
    },
    /// No main command: nothing comes, until the sandbox ends.
    Nothing(SandboxId),
}

struct Reading {
    shared: Arc<Shared>,
    source: Source,
    deadline: Option<Deadline>,
    /// Trailers of the answer, which can be added to until its end.
    trailers: Trailers,
    over: bool,
}

/// Chunks with the offset of their first byte, never empty ones: a client fails on these.
fn chunks(reading: Reading) -> Streamed<(u64, Bytes)> {
    stream::unfold(reading, |mut reading| async move {
        if reading.over {
            return None;
        }
        let shared = reading.shared.clone();
        let deadline = reading.deadline;
        let next = tokio::select! {
            next = reading.next() => next,
            () = Deadline::passed(deadline) => Err(Deadline::status()),
            () = shared.stopping.cancelled() => Err(status::stopping()),
        };
        reading.over = next.is_err();
        next.transpose().map(|chunk| (chunk, reading))
    })
    .boxed()
}

impl Reading {
    fn new(shared: &Arc<Shared>, source: Source, deadline: Option<Deadline>) -> Self {
        Self { shared: shared.clone(), source, deadline, trailers: Trailers::default(), over: false }
    }

    async fn next(&mut self) -> Result<Option<(u64, Bytes)>, Status> {
        match &mut self.source {
            Source::Engine { reader, sandbox, id, stream } => {
                let start = reader.offset();
                let data = reader.next().await.map_err(status::from_engine)?;
                if data.is_none() {
                    let state =
                        self.shared.engine.exec_state(sandbox, id).await.map_err(status::from_engine)?;
                    self.trailers.tell_dropped(&state, *stream);
                }
                Ok(data.filter(|data| !data.is_empty()).map(|data| (start, data)))
            }
            Source::Files { exec, sandbox, stream, offset, content } => {
                let start = *offset;
                let mut data = match content {
                    Some(content) => content.next().await?,
                    None => exec.read(*stream, start).await?,
                };
                // What a run prints ends with it; only then it is known whether there is a file to follow.
                if data.is_none() && content.is_none() && *stream == OutputStream::Stdout {
                    let opened = Content::open(exec, &self.shared.engine.files(sandbox), start).await?;
                    *content = opened.map(Box::new);
                    if let Some(content) = content {
                        data = content.next().await?;
                    }
                }
                *offset += data.as_ref().map_or(0, |data| data.len() as u64);
                Ok(data.map(|data| (start, data)))
            }
            Source::Nothing(sandbox) => {
                self.shared.engine.wait(sandbox, None).await.map_err(status::from_engine)?;
                Ok(None)
            }
        }
    }
}
