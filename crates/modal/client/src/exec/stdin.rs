//! Feeding a command: pieces by offset, or one stream that is resumed where it broke.

use bytes::Bytes;
use openlattice_modal_proto::task_command_router as wire;
use openlattice_modal_proto::task_command_router::task_exec_stdin_write_stream_request::Payload;
use tokio::time::sleep;
use tonic::{Code, Status};

use super::Exec;
use crate::error::{Error, ErrorKind, Result};
use crate::headers::Attempts;
use crate::retry::{self, Policy, ROUTER};
use crate::router::{Refused, RouterStub};
use crate::status::{self, Operation};

const STDIN_WRITE: Operation = Operation::repeatable("TaskExecStdinWrite");
const STDIN_STREAM: Operation = Operation::repeatable("TaskExecStdinWriteStream");
const STDIN_STATUS: Operation = Operation::repeatable("TaskExecStdinStatus");
/// The size of a stream's pieces.
const PIECE: usize = 256 << 10;
/// The most that one single write carries.
const WRITE: usize = 16 << 20;
/// A stream is resumed nine times.
const RESUMES: Policy = Policy { retries: 9, ..ROUTER };

/// How far a command's input got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StdinStatus {
    /// Bytes accepted so far.
    pub accepted: u64,
    /// Whether the end was accepted; nothing more can be written.
    pub closed: bool,
}

impl Exec {
    /// Writes bytes that start at an offset, and the end if `end` is set.
    ///
    /// What lies before the bytes already accepted is skipped by the server, so that repeating a write is safe.
    ///
    /// # Errors
    /// [`ErrorKind::FailedPrecondition`] when the command has ended or closed its input.
    pub async fn write_stdin(&self, offset: u64, data: Bytes, end: bool) -> Result<()> {
        let mut offset = offset;
        let mut rest = data;
        loop {
            let piece = rest.split_to(rest.len().min(WRITE));
            let last = rest.is_empty();
            let length = piece.len() as u64;
            self.write_piece(offset, piece, end && last).await?;
            if last {
                return Ok(());
            }
            offset += length;
        }
    }

    async fn write_piece(&self, offset: u64, data: Bytes, eof: bool) -> Result<()> {
        if data.is_empty() && !eof {
            return Ok(());
        }
        let request = wire::TaskExecStdinWriteRequest {
            task_id: self.task_id(),
            exec_id: self.id.clone(),
            offset,
            data,
            eof,
        };
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_stdin_write(request).await };
        self.router.unary(STDIN_WRITE, request, send).await?;
        Ok(())
    }

    /// Says how far the input got; a stream that is still under way for this command is ended by it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when the command is unknown or its sandbox gone.
    pub async fn stdin_status(&self) -> Result<StdinStatus> {
        let request = wire::TaskExecStdinStatusRequest { task_id: self.task_id(), exec_id: self.id.clone() };
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_stdin_status(request).await };
        let reply = self.router.unary(STDIN_STATUS, request, send).await?.into_inner();
        Ok(StdinStatus { accepted: reply.num_bytes_written, closed: reply.closed })
    }

    /// Sends the whole input and its end as one stream, resumed where it broke.
    ///
    /// When the future is dropped the input stays open without an end.
    ///
    /// # Errors
    /// [`ErrorKind::FailedPrecondition`] when the command has ended or closed its input before the end.
    pub async fn stream_stdin(&self, data: &Bytes) -> Result<()> {
        let mut offset = 0;
        let (mut attempts, mut renewed) = (Attempts::default(), false);
        loop {
            let Refused { status, bearer } = match self.send_from(data, offset).await? {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if status.code() == Code::Unauthenticated && !renewed {
                renewed = true;
                self.router.renew(&bearer).await?;
            } else {
                renewed = false;
                pause(&mut attempts, &status).await?;
            }
            let reached = self.stdin_status().await?;
            if reached.closed {
                return if reached.accepted == data.len() as u64 { Ok(()) } else { Err(closed_early()) };
            }
            offset = reached.accepted;
        }
    }

    async fn send_from(&self, data: &Bytes, offset: u64) -> Result<Result<(), Refused>> {
        let at = usize::try_from(offset).ok().filter(|at| *at <= data.len());
        let Some(at) = at else {
            return Err(Error::unexpected(format!("the server took {offset} bytes of {}", data.len())));
        };
        let messages =
            tokio_stream::iter(stream_messages(self.task_id(), self.id.clone(), data.slice(at..), offset));
        let send =
            |mut stub: RouterStub, request| async move { stub.task_exec_stdin_write_stream(request).await };
        let reply = self.router.upload(messages, send).await?;
        Ok(reply.map(|wire::TaskExecStdinWriteStreamResponse {}| ()))
    }
}

fn stream_messages(
    task_id: String,
    exec_id: String,
    rest: Bytes,
    offset: u64,
) -> impl Iterator<Item = wire::TaskExecStdinWriteStreamRequest> + Send + 'static {
    let start = Payload::Start(wire::TaskExecStdinWriteStreamStart { task_id, exec_id, offset });
    let pieces = rest.len().div_ceil(PIECE);
    let data =
        (0..pieces).map(move |n| Payload::Data(rest.slice(n * PIECE..rest.len().min((n + 1) * PIECE))));
    let end = Payload::End(wire::TaskExecStdinWriteStreamEnd {});
    std::iter::once(start)
        .chain(data)
        .chain(std::iter::once(end))
        .map(|payload| wire::TaskExecStdinWriteStreamRequest { payload: Some(payload) })
}

async fn pause(attempts: &mut Attempts, status: &Status) -> Result<()> {
    match retry::next_pause(&RESUMES, None, attempts, status) {
        Some(pause) => {
            sleep(pause).await;
            Ok(())
        }
        None => Err(status::error(STDIN_STREAM, status)),
    }
}

fn closed_early() -> Error {
    Error::new(ErrorKind::FailedPrecondition, "the command closed its input early").during(STDIN_STREAM.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_start_pieces_and_end() {
        let data = Bytes::from(vec![7; PIECE + 1]);
        let payloads: Vec<_> =
            stream_messages("ta".into(), "ex".into(), data, 3).map(|m| m.payload.unwrap()).collect();
        assert!(matches!(&payloads[0], Payload::Start(start) if start.offset == 3));
        assert!(matches!(&payloads[1], Payload::Data(data) if data.len() == PIECE));
        assert!(matches!(&payloads[2], Payload::Data(data) if data.len() == 1));
        assert!(matches!(&payloads[3], Payload::End(_)));
        assert_eq!(stream_messages("ta".into(), "ex".into(), Bytes::new(), 0).count(), 2);
    }
}
