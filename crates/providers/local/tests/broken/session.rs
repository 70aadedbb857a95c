//! A command around a good one, broken in one chosen way.

use openlattice::{
    Bytes, Dropped, Error, ErrorKind, ExecEnd, ExecId, ExecSession, ExecStatus, OutputChunk, OutputReader,
    OutputStream, PtySize, Result, SandboxId, Signal, StdinStatus, async_trait,
};

use crate::fault::Fault;

/// Breaks one promise of a good session.
#[derive(Debug)]
pub(crate) struct BrokenSession {
    inner: Box<dyn ExecSession>,
    fault: Fault,
    /// How many bytes every reader leaves out.
    late: u64,
}

impl BrokenSession {
    /// Breaks the session of a command that was started.
    pub(crate) fn new(inner: Box<dyn ExecSession>, fault: Fault) -> Self {
        Self { inner, fault, late: 0 }
    }

    /// Breaks the session of a command that was attached to.
    pub(crate) fn attached(inner: Box<dyn ExecSession>, fault: Fault) -> Self {
        Self { inner, fault, late: u64::from(fault == Fault::AttachesTooLate) }
    }
}

/// Breaks one promise of a good reader.
#[derive(Debug)]
struct BrokenReader {
    inner: Box<dyn OutputReader>,
    fault: Fault,
    silent: bool,
    /// Whether a read has not come to its end.
    midway: bool,
}

impl BrokenReader {
    /// Reads, and loses what a read before had when it was dropped.
    async fn forgetful(&mut self) -> Result<Option<OutputChunk>> {
        if std::mem::replace(&mut self.midway, true) {
            self.inner.next_chunk().await?;
        }
        let next = self.inner.next_chunk().await?;
        tokio::task::yield_now().await;
        self.midway = false;
        Ok(next)
    }
}

#[async_trait]
impl OutputReader for BrokenReader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let next = match self.fault {
            Fault::LosesDroppedReads => self.forgetful().await?,
            _ => self.inner.next_chunk().await?,
        };
        if self.silent {
            return Ok(None);
        }
        Ok(next.map(|chunk| match self.fault == Fault::ReplacesBytes {
            true => {
                OutputChunk { data: Bytes::from(String::from_utf8_lossy(&chunk.data).into_owned()), ..chunk }
            }
            false => chunk,
        }))
    }

    fn dropped(&self) -> Option<Dropped> {
        self.inner.dropped()
    }
}

#[async_trait]
impl ExecSession for BrokenSession {
    fn sandbox_id(&self) -> &SandboxId {
        self.inner.sandbox_id()
    }

    fn id(&self) -> &ExecId {
        self.inner.id()
    }

    fn output(&self, stream: OutputStream, offset: u64) -> Box<dyn OutputReader> {
        let offset = if self.fault == Fault::IgnoresOffset { 0 } else { offset + self.late };
        Box::new(BrokenReader {
            inner: self.inner.output(stream, offset),
            silent: self.fault == Fault::DropsStderr && stream == OutputStream::Stderr,
            fault: self.fault,
            midway: false,
        })
    }

    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()> {
        let offset = match self.fault {
            Fault::DoublesInput => self.inner.stdin_status().await?.accepted,
            _ => offset,
        };
        self.inner.write_stdin(offset, data).await
    }

    async fn close_stdin(&self) -> Result<()> {
        self.inner.close_stdin().await
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        self.inner.stdin_status().await
    }

    async fn wait(&self) -> Result<ExecStatus> {
        let status = self.inner.wait().await?;
        match (self.fault, status.reason) {
            (Fault::HidesTimeout, ExecEnd::TimedOut) | (Fault::HidesMemoryKill, ExecEnd::OutOfMemory) => {
                Ok(ExecStatus::signalled(Signal::KILL))
            }
            (Fault::HidesSandboxEnd, ExecEnd::SandboxEnded) => Ok(ExecStatus::exited(137)),
            (Fault::ExitBecomesError, ExecEnd::Exited) if !status.is_success() => {
                Err(Error::new(ErrorKind::Internal, "wait", status.exit.to_string()))
            }
            _ => Ok(status),
        }
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        self.inner.poll().await
    }

    async fn kill(&self, signal: Signal) -> Result<()> {
        self.inner.kill(signal).await
    }

    async fn resize(&self, size: PtySize) -> Result<()> {
        if self.fault == Fault::IgnoresResize {
            return Ok(());
        }
        self.inner.resize(size).await
    }
}
