//! Reading a command's output: live, complete, in order, resumed by offset when the connection breaks.

use std::fmt;

use bytes::Bytes;
use openlattice_modal_proto::task_command_router as wire;
use tokio::time::sleep;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status, Streaming};

use super::Exec;
use crate::error::Result;
use crate::headers::Attempts;
use crate::retry::{self, ROUTER};
use crate::router::{Lease, Refused, RouterStub};
use crate::status::{self, Operation};

const STDIO_READ: Operation = Operation::repeatable("TaskExecStdioRead");
/// The trailer in which our own server says how many bytes of a stream were dropped past its quota: `stdout=N`.
const DROPPED: &str = "x-openlattice-dropped";

/// One of a command's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output; with a terminal, all output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A reader of one output. Several readers of the same output do not disturb each other.
pub struct Output {
    exec: Exec,
    stream: OutputStream,
    offset: u64,
    state: State,
    attempts: Attempts,
    renewed: bool,
    dropped_from: Option<u64>,
}

enum State {
    Closed,
    Open(Box<Open>),
    Finished,
}

struct Open {
    chunks: Streaming<wire::TaskExecStdioReadResponse>,
    bearer: MetadataValue<Ascii>,
    _lease: Lease,
}

impl Output {
    pub(super) fn new(exec: Exec, stream: OutputStream, offset: u64) -> Self {
        let (attempts, state) = (Attempts::default(), State::Closed);
        Self { exec, stream, offset, state, attempts, renewed: false, dropped_from: None }
    }

    /// Gives the position of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives the offset from which output was dropped at the server's quota, once the end has said so.
    #[must_use]
    pub fn dropped_from(&self) -> Option<u64> {
        self.dropped_from
    }

    /// Waits for the next bytes; nothing means the end.
    ///
    /// A broken connection is opened again at the offset, ten times in a row at most; each chunk starts the count anew. Dropping the
    /// future loses nothing: the next call goes on at the same offset.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) when the connection did not come back; [`ErrorKind::NotFound`](crate::ErrorKind::NotFound)
    /// when the command is unknown or its sandbox gone.
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            let refused = match &mut self.state {
                State::Finished => return Ok(None),
                State::Closed => self.open().await?,
                State::Open(open) => match open.chunks.message().await {
                    // An empty chunk carries nothing; the protocol forbids it, some servers send it.
                    Ok(Some(chunk)) if chunk.data.is_empty() => continue,
                    Ok(Some(chunk)) => return Ok(Some(self.took(chunk.data))),
                    Ok(None) => {
                        self.finish().await;
                        return Ok(None);
                    }
                    Err(status) => Some(Refused { status, bearer: open.bearer.clone() }),
                },
            };
            if let Some(refused) = refused {
                self.state = State::Closed;
                self.recover(refused).await?;
            }
        }
    }

    fn took(&mut self, data: Bytes) -> Bytes {
        self.offset += data.len() as u64;
        self.attempts = Attempts::default();
        self.renewed = false;
        data
    }

    async fn open(&mut self) -> Result<Option<Refused>> {
        let fd = match self.stream {
            OutputStream::Stdout => wire::TaskExecStdioFileDescriptor::Stdout,
            OutputStream::Stderr => wire::TaskExecStdioFileDescriptor::Stderr,
        };
        let request = wire::TaskExecStdioReadRequest {
            task_id: self.exec.router().task_id().to_owned(),
            exec_id: self.exec.id().to_owned(),
            offset: self.offset,
            file_descriptor: fd.into(),
        };
        let bearer = self.exec.router().bearer().await?;
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_stdio_read(request).await };
        match self.exec.router().stream(request, send).await? {
            Ok((chunks, lease)) => {
                self.state = State::Open(Box::new(Open { chunks, bearer, _lease: lease }));
                Ok(None)
            }
            Err(refused) => Ok(Some(refused)),
        }
    }

    /// Reads the trailers of a stream that ended well.
    async fn finish(&mut self) {
        if let State::Open(open) = &mut self.state
            && let Ok(Some(trailers)) = open.chunks.trailers().await
        {
            // What was dropped lies after the last byte that was kept.
            self.dropped_from = dropped(&trailers, self.stream).map(|_| self.offset);
        }
        self.state = State::Finished;
    }

    /// Renews a refused token once, pauses before another try, or gives up.
    async fn recover(&mut self, Refused { status, bearer }: Refused) -> Result<()> {
        if status.code() == Code::Unauthenticated && !self.renewed {
            self.renewed = true;
            return self.exec.router().renew(&bearer).await;
        }
        match self.next_pause(&status) {
            Some(pause) => {
                sleep(pause).await;
                Ok(())
            }
            None => {
                self.attempts = Attempts::default();
                Err(status::error(STDIO_READ, &status))
            }
        }
    }

    fn next_pause(&mut self, status: &Status) -> Option<std::time::Duration> {
        let cap = self.exec.router().throttle_cap();
        retry::next_pause(&ROUTER, cap, &mut self.attempts, status)
    }
}

/// Reads how many bytes of a stream were dropped; nothing when none were.
fn dropped(trailers: &MetadataMap, stream: OutputStream) -> Option<u64> {
    let wanted = match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    };
    let values = trailers.get_all(DROPPED).into_iter().filter_map(|value| value.to_str().ok());
    let counts = values.filter_map(|text| text.split_once('='));
    let count = counts.filter(|(name, _)| *name == wanted).find_map(|(_, count)| count.parse().ok());
    count.filter(|count| *count > 0)
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("exec", &self.exec.id())
            .field("stream", &self.stream)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
