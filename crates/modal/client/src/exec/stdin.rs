//! Feeding a command: pieces by offset, or one stream that is resumed where it broke.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use openlattice_modal_proto::task_command_router as wire;
use openlattice_modal_proto::task_command_router::task_exec_stdin_write_stream_request::Payload;
use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt};
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
/// What one stream carries of input that is given by pieces.
const WINDOW: usize = 8 << 20;
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

    /// Sends all input and its end, in a task of its own: a command whose caller is gone must not wait for input for ever.
    ///
    /// A command that ended without reading its input has not failed, and neither has this. Dropping the future stops nothing.
    ///
    /// # Errors
    /// Those of [`write_stdin`](Self::write_stdin); [`ErrorKind::Cancelled`] when the runtime shuts down meanwhile.
    pub async fn give_stdin(&self, data: Bytes) -> Result<()> {
        let exec = self.clone();
        let sent = tokio::spawn(async move { exec.write_stdin(0, data, true).await }).await;
        match sent.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(Err(error)) if error.kind() == ErrorKind::FailedPrecondition => Ok(()),
            Ok(sent) => sent,
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => Err(Error::new(ErrorKind::Cancelled, "the runtime shuts down")),
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
        self.send_window(data, 0, true).await
    }

    /// Sends input that is given by pieces, and its end after the last one. At most 16 MiB are held: one stream's worth that can be
    /// sent again where it broke, and the next one.
    ///
    /// When the future is dropped the input stays open without an end.
    ///
    /// # Errors
    /// As [`stream_stdin`](Self::stream_stdin); [`ErrorKind::Local`] with the cause when the pieces end with an error, after which
    /// the input stays open without an end.
    pub async fn stream_stdin_from<S, E>(&self, mut pieces: S) -> Result<()>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let (mut data, mut last) = gather(&mut pieces).await?;
        let mut offset = 0;
        while !last {
            let ((), next) = tokio::try_join!(self.send_window(&data, offset, false), gather(&mut pieces))?;
            offset += data.len() as u64;
            (data, last) = next;
        }
        self.send_window(&data, offset, true).await
    }

    /// Sends bytes that start at an offset, and the end if `end` is set, as one stream that is resumed where it broke.
    async fn send_window(&self, data: &Bytes, start: u64, end: bool) -> Result<()> {
        let goal = start + data.len() as u64;
        let mut offset = start;
        let (mut attempts, mut renewed) = (Attempts::default(), false);
        loop {
            let refused = self.send_from(data, start, offset, end).await?.err();
            match refused {
                None if end => return Ok(()),
                // A stream without an end is answered, too, and how far it got is asked for.
                None => {}
                Some(Refused { status, bearer }) if status.code() == Code::Unauthenticated && !renewed => {
                    drop(status);
                    renewed = true;
                    self.router.renew(&bearer).await?;
                }
                Some(Refused { status, .. }) => {
                    renewed = false;
                    pause(self.router.throttle_cap(), &mut attempts, &status).await?;
                }
            }
            let reached = self.stdin_status().await?;
            match (reached.closed, reached.accepted == goal) {
                (true, true) if end => return Ok(()),
                (true, _) => return Err(closed_early()),
                (false, true) if !end => return Ok(()),
                (false, _) => offset = reached.accepted,
            }
        }
    }

    async fn send_from(
        &self,
        data: &Bytes,
        start: u64,
        offset: u64,
        end: bool,
    ) -> Result<Result<(), Refused>> {
        let at = offset.checked_sub(start).and_then(|at| usize::try_from(at).ok());
        let Some(at) = at.filter(|at| *at <= data.len()) else {
            let text = format!("the server took {offset} bytes of {}", start + data.len() as u64);
            return Err(Error::unexpected(text));
        };
        let messages = stream_messages(self.task_id(), self.id.clone(), data.slice(at..), offset, end);
        self.router.send_input(messages).await
    }
}

/// Takes pieces until there are enough for one stream; says whether they are the last ones.
async fn gather<S, E>(pieces: &mut S) -> Result<(Bytes, bool)>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut data = BytesMut::new();
    while data.len() < WINDOW {
        match pieces.next().await {
            Some(Ok(piece)) => data.extend_from_slice(&piece),
            Some(Err(error)) => return Err(Error::local("the content could not be read", error)),
            None => return Ok((data.freeze(), true)),
        }
    }
    Ok((data.freeze(), false))
}

fn stream_messages(
    task_id: String,
    exec_id: String,
    rest: Bytes,
    offset: u64,
    end: bool,
) -> impl Iterator<Item = wire::TaskExecStdinWriteStreamRequest> + Send + 'static {
    let start = Payload::Start(wire::TaskExecStdinWriteStreamStart { task_id, exec_id, offset });
    let pieces = rest.len().div_ceil(PIECE);
    let data =
        (0..pieces).map(move |n| Payload::Data(rest.slice(n * PIECE..rest.len().min((n + 1) * PIECE))));
    let end = end.then_some(Payload::End(wire::TaskExecStdinWriteStreamEnd {}));
    std::iter::once(start)
        .chain(data)
        .chain(end)
        .map(|payload| wire::TaskExecStdinWriteStreamRequest { payload: Some(payload) })
}

async fn pause(
    throttle_cap: Option<std::time::Duration>,
    attempts: &mut Attempts,
    status: &Status,
) -> Result<()> {
    match retry::next_pause(&RESUMES, throttle_cap, attempts, status) {
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
            stream_messages("ta".into(), "ex".into(), data, 3, true).map(|m| m.payload.unwrap()).collect();
        assert!(matches!(&payloads[0], Payload::Start(start) if start.offset == 3));
        assert!(matches!(&payloads[1], Payload::Data(data) if data.len() == PIECE));
        assert!(matches!(&payloads[2], Payload::Data(data) if data.len() == 1));
        assert!(matches!(&payloads[3], Payload::End(_)));
        assert_eq!(stream_messages("ta".into(), "ex".into(), Bytes::new(), 0, true).count(), 2);
        assert_eq!(stream_messages("ta".into(), "ex".into(), Bytes::new(), 0, false).count(), 1);
    }
}
