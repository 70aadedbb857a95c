//! A command around a good one, broken in one chosen way.

use openlattice::{
    Bytes, Error, ErrorKind, ExecEnd, ExecId, ExecSession, ExecStatus, OutputChunk, OutputReader,
    OutputStream, PtySize, Result, SandboxId, Signal, StdinStatus, async_trait,
};

use crate::provider::Fault;

/// Breaks one promise of a good session.
#[derive(Debug)]
pub(crate) struct BrokenSession {
    pub(crate) inner: Box<dyn ExecSession>,
    pub(crate) fault: Fault,
}

/// Breaks one promise of a good reader.
#[derive(Debug)]
struct BrokenReader {
    inner: Box<dyn OutputReader>,
    silent: bool,
    lossy: bool,
}

#[async_trait]
impl OutputReader for BrokenReader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let next = self.inner.next_chunk().await?;
        if self.silent {
            return Ok(None);
        }
        Ok(next.map(|chunk| match self.lossy {
            true => {
                OutputChunk { data: Bytes::from(String::from_utf8_lossy(&chunk.data).into_owned()), ..chunk }
            }
            false => chunk,
        }))
    }

    fn dropped_from(&self) -> Option<u64> {
        self.inner.dropped_from()
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
        let offset = if self.fault == Fault::IgnoresOffset { 0 } else { offset };
        Box::new(BrokenReader {
            inner: self.inner.output(stream, offset),
            silent: self.fault == Fault::DropsStderr && stream == OutputStream::Stderr,
            lossy: self.fault == Fault::ReplacesBytes,
        })
    }

    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()> {
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
            (Fault::HidesTimeout, ExecEnd::TimedOut) => Ok(ExecStatus::signalled(Signal::KILL)),
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
        self.inner.resize(size).await
    }
}
