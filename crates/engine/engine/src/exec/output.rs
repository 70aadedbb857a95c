//! Reading a command's output, live and by offset.

use super::{folder, spool::Spool, state};
use crate::{
    engine::{Engine, Inner},
    error::Result,
    exec::{OutputStream, status::Status},
    id::{ExecId, SandboxId},
    lifecycle::wait::Over,
    watch::Watch,
};
use bytes::Bytes;
use std::{fmt, fs::File, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Longest piece: measured best between 64 and 256 KiB.
const PIECE: u64 = 256 << 10;

/// From this length on, a piece that is not full is part of a flow.
const FLOW: u64 = 32 << 10;
/// How long a flow collects before the next look. Without it a fast reader is woken for each of the agent's writes, which
/// costs both ends more than the copying.
const COLLECT: Duration = Duration::from_millis(1);

/// Reads one output stream from an offset, live, to its end.
pub struct OutputReader {
    engine: Engine,
    source: Arc<Source>,
    changes: Watch,
    over: Over,
    offset: u64,
    /// When the next look is worth it, after a piece of a flow that has caught up with the command.
    next_look: Option<Instant>,
}

struct Source {
    id: SandboxId,
    stream: OutputStream,
    spool: Spool,
    status: File,
}

enum Piece {
    Bytes(Bytes),
    Nothing,
    End,
}

impl fmt::Debug for OutputReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Source { id, stream, .. } = &*self.source;
        f.debug_struct("OutputReader")
            .field("id", id)
            .field("stream", stream)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl OutputReader {
    pub(crate) async fn open(
        engine: &Engine,
        id: &SandboxId,
        exec: &ExecId,
        stream: OutputStream,
        offset: u64,
    ) -> Result<Self> {
        let (id, exec) = (id.clone(), exec.clone());
        let (source, changes, over) =
            engine.blocking(move |inner| Source::open(inner, id, &exec, stream, offset)).await?;
        Ok(Self { engine: engine.clone(), source: Arc::new(source), changes, over, offset, next_look: None })
    }

    /// The next bytes (1 to 256 KiB), `None` at the end: the command has ended and everything was read. Waits while there is nothing.
    /// What a process that outlives its command writes later is in no stream. Cancel-safe: a dropped future loses no bytes.
    ///
    /// # Errors
    /// Those of reading the spool; the next call tries again at the same offset.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if let Some(at) = self.next_look {
            sleep_until(at).await;
            self.next_look = None;
        }
        loop {
            self.changes.mark_seen();
            let (source, offset) = (Arc::clone(&self.source), self.offset);
            match self.engine.blocking(move |inner| source.read(inner, offset)).await? {
                Piece::Bytes(bytes) => {
                    self.offset += bytes.len() as u64;
                    let flows = (FLOW..PIECE).contains(&(bytes.len() as u64));
                    self.next_look = flows.then(|| Instant::now() + COLLECT);
                    return Ok(Some(bytes));
                }
                Piece::End => return Ok(None),
                Piece::Nothing => {}
            }
            tokio::select! {
                () = self.changes.changed() => {}
                () = self.over.happened() => {}
            }
        }
    }

    /// Offset of the byte that comes next.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl Source {
    fn open(
        inner: &Inner,
        id: SandboxId,
        exec: &ExecId,
        stream: OutputStream,
        offset: u64,
    ) -> Result<(Self, Watch, Over)> {
        let row = inner.store.sandbox_row(&id)?;
        let path = folder::path(inner, &id, exec);
        let spool = Spool::open(&path, exec, stream, offset, &inner.config)?;
        let status = folder::open(&path, "status", exec)?;
        let (changes, over) = (folder::watch(inner, &id, exec)?, Over::watch(inner, &row)?);
        Ok((Self { id, stream, spool, status }, changes, over))
    }

    fn read(&self, inner: &Inner, offset: u64) -> Result<Piece> {
        // The status before the spool: what it calls final is in the spool then.
        let length = self.final_length()?;
        let limit = length.map_or(PIECE, |length| PIECE.min(length.saturating_sub(offset)));
        let size = self.spool.size()?;
        if length.is_none() {
            self.spool.reached(offset, size);
        }
        let bytes = self.spool.read(offset, limit.min(size.saturating_sub(offset)))?;
        if !bytes.is_empty() {
            return Ok(Piece::Bytes(bytes));
        }
        if length.is_some() {
            return Ok(Piece::End);
        }
        self.read_of_ended(inner, offset)
    }

    /// Nothing there and no final status: either the command is silent, or its sandbox has ended and the spool is all there is.
    fn read_of_ended(&self, inner: &Inner, offset: u64) -> Result<Piece> {
        if state::ended_at(inner, &self.id)?.is_none() {
            return Ok(Piece::Nothing);
        }
        let length = self.final_length()?.unwrap_or(u64::MAX);
        let limit = PIECE.min(length.min(self.spool.size()?).saturating_sub(offset));
        let bytes = self.spool.read(offset, limit)?;
        Ok(if bytes.is_empty() { Piece::End } else { Piece::Bytes(bytes) })
    }

    fn final_length(&self) -> Result<Option<u64>> {
        Ok(Status::read(&self.status)?.filter(Status::is_final).map(|status| status.length(self.stream)))
    }
}
