//! Whose output is read: a command's, or that of a sandbox's main process. Both come from the command router (protocol section 5.4).

use std::sync::Arc;

use bytes::{Buf, Bytes};
use openlattice_modal_proto::task_command_router as wire;
use tonic::metadata::MetadataMap;
use tonic::{Status, Streaming};

use super::OutputStream;
use crate::error::Result;
use crate::exec::Exec;
use crate::router::{Lease, Refused, Router, RouterStub};
use crate::sandbox::Sandbox;
use crate::status::Operation;

const COMMAND: Operation = Operation::repeatable("TaskExecStdioRead");
const MAIN: Operation = Operation::repeatable("SandboxStdioReadV2");

/// What writes the output.
#[derive(Debug)]
pub(crate) enum Source {
    /// A command.
    Command(Exec),
    /// The main process of a second-generation sandbox.
    Main(Sandbox),
}

/// An output that comes.
pub(super) enum Chunks {
    Command(Streaming<wire::TaskExecStdioReadResponse>),
    Main(Streaming<wire::SandboxStdioReadV2Response>),
}

/// Some bytes, and where they begin if the server says so.
pub(super) struct Chunk {
    start: Option<u64>,
    data: Bytes,
}

impl Source {
    pub(super) async fn router(&self) -> Result<Arc<Router>> {
        match self {
            Self::Command(exec) => Ok(exec.shared_router()),
            Self::Main(sandbox) => sandbox.router().await,
        }
    }

    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Command(_) => COMMAND,
            Self::Main(_) => MAIN,
        }
    }

    /// Asks once for the output from an offset on.
    pub(super) async fn open(
        &self,
        router: &Router,
        stream: OutputStream,
        offset: u64,
    ) -> Result<Result<(Chunks, Lease), Refused>> {
        let task_id = router.task_id().to_owned();
        match self {
            Self::Command(exec) => {
                let file_descriptor = match stream {
                    OutputStream::Stdout => wire::TaskExecStdioFileDescriptor::Stdout.into(),
                    OutputStream::Stderr => wire::TaskExecStdioFileDescriptor::Stderr.into(),
                };
                let exec_id = exec.id().to_owned();
                let request = wire::TaskExecStdioReadRequest { task_id, exec_id, offset, file_descriptor };
                let send =
                    |mut stub: RouterStub, request| async move { stub.task_exec_stdio_read(request).await };
                let opened = router.stream(request, send).await?;
                Ok(opened.map(|(chunks, lease)| (Chunks::Command(chunks), lease)))
            }
            Self::Main(_) => {
                let file_descriptor = match stream {
                    OutputStream::Stdout => wire::SandboxStdioFileDescriptor::Stdout.into(),
                    OutputStream::Stderr => wire::SandboxStdioFileDescriptor::Stderr.into(),
                };
                let request = wire::SandboxStdioReadV2Request { task_id, offset, file_descriptor };
                let send =
                    |mut stub: RouterStub, request| async move { stub.sandbox_stdio_read_v2(request).await };
                let opened = router.stream(request, send).await?;
                Ok(opened.map(|(chunks, lease)| (Chunks::Main(chunks), lease)))
            }
        }
    }
}

impl Chunks {
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, Status> {
        Ok(match self {
            Self::Command(chunks) => {
                chunks.message().await?.map(|chunk| Chunk { start: None, data: chunk.data })
            }
            Self::Main(chunks) => {
                let known = |chunk: wire::SandboxStdioReadV2Response| Chunk {
                    start: Some(chunk.starting_offset),
                    data: chunk.data,
                };
                chunks.message().await?.map(known)
            }
        })
    }

    pub(super) async fn trailers(&mut self) -> Result<Option<MetadataMap>, Status> {
        match self {
            Self::Command(chunks) => chunks.trailers().await,
            Self::Main(chunks) => chunks.trailers().await,
        }
    }
}

impl Chunk {
    /// What of it lies from `offset` on, and how many bytes are missing between.
    pub(super) fn after(self, offset: u64) -> (u64, Bytes) {
        let Self { start, mut data } = self;
        let start = start.unwrap_or(offset);
        let known = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        data.advance(known.min(data.len()));
        (start.saturating_sub(offset), data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_cut_where_it_was_read_before_and_says_what_is_missing() {
        let after = |start, offset| Chunk { start, data: Bytes::from_static(b"abc") }.after(offset);
        assert_eq!(after(None, 7), (0, "abc".into()));
        assert_eq!(after(Some(7), 7), (0, "abc".into()));
        assert_eq!(after(Some(7), 9), (0, "c".into()));
        assert_eq!(after(Some(7), 99), (0, "".into()));
        assert_eq!(after(Some(7), 5), (2, "abc".into()));
    }
}
