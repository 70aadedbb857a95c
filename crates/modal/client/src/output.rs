//! Reading output: live, complete, in order, resumed by offset when the connection breaks.

mod source;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::sleep;
use tonic::Code;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

use crate::error::Result;
use crate::headers::Attempts;
use crate::retry::{self, ROUTER};
use crate::router::{Lease, Refused, Router};
use crate::status;
use source::Chunks;

pub(crate) use source::Source;

/// The trailer in which our own server says how many bytes of a stream were dropped: `stdout=N`.
const DROPPED: &str = "x-openlattice-dropped";
/// The trailer in which it says why, where it was not the quota: `stdout=disk-full` or `stdout=file-limit`.
const DROP_REASON: &str = "x-openlattice-drop-reason";

/// One of the two outputs of a command or a main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output; with a terminal, all output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What of an output was dropped; all that came before was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The position of the first byte that was dropped.
    pub from: u64,
    /// How many bytes were.
    pub bytes: u64,
    /// Why.
    pub reason: DropReason,
}

/// Why output was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Nobody read it, and it reached the server's output quota.
    Quota,
    /// The server's disk was full.
    DiskFull,
    /// The file in which the server keeps it may not grow further.
    FileLimit,
}

/// A reader of one output. Several readers of the same output do not disturb each other.
pub struct Output {
    source: Source,
    stream: OutputStream,
    offset: u64,
    state: State,
    attempts: Attempts,
    renewed: bool,
    dropped: Option<Dropped>,
    missed: u64,
}

enum State {
    Closed,
    Open(Box<Open>),
    Finished,
}

struct Open {
    router: Arc<Router>,
    chunks: Chunks,
    bearer: MetadataValue<Ascii>,
    _lease: Lease,
}

impl Output {
    pub(crate) fn new(source: Source, stream: OutputStream, offset: u64) -> Self {
        let (attempts, state) = (Attempts::default(), State::Closed);
        Self { source, stream, offset, state, attempts, renewed: false, dropped: None, missed: 0 }
    }

    /// Gives the position of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives what was dropped, once the end has said so.
    #[must_use]
    pub fn dropped(&self) -> Option<Dropped> {
        self.dropped
    }

    /// Gives how many bytes the server no longer had when they were asked for; so many are missing in what was read.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
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
                State::Open(open) => match open.chunks.next().await {
                    Ok(Some(chunk)) => match chunk.after(self.offset) {
                        // An empty chunk carries nothing; the protocol forbids it, some servers send it.
                        (_, data) if data.is_empty() => continue,
                        (missed, data) => return Ok(Some(self.took(missed, data))),
                    },
                    Ok(None) => {
                        self.finish().await;
                        return Ok(None);
                    }
                    Err(status) => {
                        Some((Arc::clone(&open.router), Refused { status, bearer: open.bearer.clone() }))
                    }
                },
            };
            if let Some((router, refused)) = refused {
                self.state = State::Closed;
                self.recover(&router, refused).await?;
            }
        }
    }

    fn took(&mut self, missed: u64, data: Bytes) -> Bytes {
        self.missed += missed;
        self.offset += missed + data.len() as u64;
        self.attempts = Attempts::default();
        self.renewed = false;
        data
    }

    async fn open(&mut self) -> Result<Option<(Arc<Router>, Refused)>> {
        let router = self.source.router().await?;
        let bearer = router.bearer().await?;
        Ok(match self.source.open(&router, self.stream, self.offset).await? {
            Ok((chunks, lease)) => {
                self.state = State::Open(Box::new(Open { router, chunks, bearer, _lease: lease }));
                None
            }
            Err(refused) => Some((router, refused)),
        })
    }

    /// Reads the trailers of a stream that ended well.
    async fn finish(&mut self) {
        if let State::Open(open) = &mut self.state
            && let Ok(Some(trailers)) = open.chunks.trailers().await
        {
            // What was dropped lies after the last byte that was kept.
            self.dropped = dropped(&trailers, self.stream, self.offset);
        }
        self.state = State::Finished;
    }

    /// Renews a refused token once, pauses before another try, or gives up.
    async fn recover(&mut self, router: &Router, Refused { status, bearer }: Refused) -> Result<()> {
        if status.code() == Code::Unauthenticated && !self.renewed {
            self.renewed = true;
            return router.renew(&bearer).await;
        }
        match retry::next_pause(&ROUTER, router.throttle_cap(), &mut self.attempts, &status) {
            Some(pause) => {
                sleep(pause).await;
                Ok(())
            }
            None => {
                self.attempts = Attempts::default();
                Err(status::error(self.source.operation(), &status))
            }
        }
    }
}

/// Reads what of a stream that was kept up to `from` was dropped.
fn dropped(trailers: &MetadataMap, stream: OutputStream, from: u64) -> Option<Dropped> {
    let wanted = match stream {
        OutputStream::Stdout => "stdout",
        OutputStream::Stderr => "stderr",
    };
    let value = |name| {
        let values = trailers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.filter_map(|text| text.split_once('=')).find(|(of, _)| *of == wanted).map(|(_, value)| value)
    };
    let bytes = value(DROPPED)?.parse().ok().filter(|bytes| *bytes > 0)?;
    let reason = match value(DROP_REASON) {
        Some("disk-full") => DropReason::DiskFull,
        Some("file-limit") => DropReason::FileLimit,
        _ => DropReason::Quota,
    };
    Some(Dropped { from, bytes, reason })
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("source", &self.source)
            .field("stream", &self.stream)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}
