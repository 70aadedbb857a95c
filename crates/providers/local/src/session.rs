//! A command that runs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use openlattice::{
    Bytes, DropReason, Dropped, Error, ErrorKind, ExecId, ExecSession, ExecStatus, OutputChunk, OutputReader,
    OutputStream, PtySize, Result, SandboxId, Signal, StdinStatus, Subject, async_trait,
};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::exec::terminal_size;
use crate::info;

/// Follows one command through the engine.
pub(crate) struct LocalSession {
    engine: Engine,
    sandbox: engine::SandboxId,
    exec: engine::ExecId,
    sandbox_id: SandboxId,
    exec_id: ExecId,
    kill_on_drop: bool,
    /// Set once the end was seen, after which a drop has nothing to kill.
    ended: AtomicBool,
}

impl LocalSession {
    pub(crate) fn new(
        engine: Engine,
        sandbox: engine::SandboxId,
        exec: engine::ExecId,
        kill_on_drop: bool,
    ) -> Self {
        let (sandbox_id, exec_id) = (SandboxId::new(sandbox.as_str()), ExecId::new(exec.as_str()));
        Self { engine, sandbox, exec, sandbox_id, exec_id, kill_on_drop, ended: AtomicBool::new(false) }
    }

    /// Another session of the same command, whose drop does nothing.
    pub(crate) fn observer(&self) -> Self {
        Self::new(self.engine.clone(), self.sandbox.clone(), self.exec.clone(), false)
    }

    /// Translates a state, and notes the end.
    fn seen(&self, state: &engine::ExecState) -> Option<ExecStatus> {
        let status = info::exec_status(state);
        self.ended.fetch_or(status.is_some(), Ordering::Relaxed);
        status
    }
}

impl fmt::Debug for LocalSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSession")
            .field("sandbox", &self.sandbox)
            .field("exec", &self.exec)
            .finish_non_exhaustive()
    }
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        if !self.kill_on_drop || self.ended.load(Ordering::Relaxed) {
            return;
        }
        let (engine, sandbox, exec) = (self.engine.clone(), self.sandbox.clone(), self.exec.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let kill = async move { engine.signal(&sandbox, &exec, Signal::KILL.number()).await };
            drop(runtime.spawn(kill));
        }
    }
}

#[async_trait]
impl ExecSession for LocalSession {
    fn sandbox_id(&self) -> &SandboxId {
        &self.sandbox_id
    }

    fn id(&self) -> &ExecId {
        &self.exec_id
    }

    fn output(&self, stream: OutputStream, offset: u64) -> Box<dyn OutputReader> {
        Box::new(LocalReader {
            engine: self.engine.clone(),
            sandbox: self.sandbox.clone(),
            exec: self.exec.clone(),
            stream,
            offset,
            reader: None,
            dropped: None,
        })
    }

    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()> {
        let written = self.engine.write_stdin(&self.sandbox, &self.exec, offset, &data, false).await;
        written.map(drop).map_err(Attempt("write stdin").on(Subject::Exec))
    }

    async fn close_stdin(&self) -> Result<()> {
        let at = self.stdin_status().await?;
        if at.closed {
            return Ok(());
        }
        match self.engine.write_stdin(&self.sandbox, &self.exec, at.accepted, &[], true).await {
            Ok(_) => Ok(()),
            // The command has ended meanwhile, or somebody else closed it.
            Err(error) if error.kind() == engine::ErrorKind::FailedPrecondition => Ok(()),
            Err(error) => Err(Attempt("close stdin").on(Subject::Exec)(error)),
        }
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        let state = self.engine.stdin_state(&self.sandbox, &self.exec).await;
        let state = state.map_err(Attempt("stdin status").on(Subject::Exec))?;
        Ok(StdinStatus { accepted: state.accepted, closed: state.closed })
    }

    async fn wait(&self) -> Result<ExecStatus> {
        let attempt = Attempt("wait");
        let state =
            self.engine.exec_wait(&self.sandbox, &self.exec).await.map_err(attempt.on(Subject::Exec))?;
        let unended =
            || Error::new(ErrorKind::Internal, "wait", "the engine waited for a command that still runs");
        self.seen(&state).ok_or_else(unended)
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        let state = self.engine.exec_state(&self.sandbox, &self.exec).await;
        Ok(self.seen(&state.map_err(Attempt("poll").on(Subject::Exec))?))
    }

    async fn kill(&self, signal: Signal) -> Result<()> {
        match self.engine.signal(&self.sandbox, &self.exec, signal.number()).await {
            Ok(()) => Ok(()),
            // It has ended, or its sandbox has.
            Err(error) if error.kind() == engine::ErrorKind::FailedPrecondition => Ok(()),
            Err(error) => Err(Attempt("kill").on(Subject::Exec)(error)),
        }
    }

    async fn resize(&self, size: PtySize) -> Result<()> {
        size.check("resize", "size")?;
        match self.engine.resize(&self.sandbox, &self.exec, terminal_size(size)).await {
            // It has ended, or its sandbox has: there is nobody to tell.
            Err(error)
                if error.kind() == engine::ErrorKind::FailedPrecondition && self.poll().await?.is_some() =>
            {
                Ok(())
            }
            resized => resized.map_err(Attempt("resize").on(Subject::Exec)),
        }
    }
}

fn engine_stream(stream: OutputStream) -> engine::OutputStream {
    match stream {
        OutputStream::Stdout => engine::OutputStream::Stdout,
        OutputStream::Stderr => engine::OutputStream::Stderr,
    }
}

/// Reads one stream; the engine's reader is opened by the first read.
struct LocalReader {
    engine: Engine,
    sandbox: engine::SandboxId,
    exec: engine::ExecId,
    stream: OutputStream,
    offset: u64,
    reader: Option<engine::OutputReader>,
    dropped: Option<Dropped>,
}

impl LocalReader {
    async fn opened(&mut self) -> Result<&mut engine::OutputReader> {
        if self.reader.is_none() {
            let stream = engine_stream(self.stream);
            let reader = self.engine.output(&self.sandbox, &self.exec, stream, self.offset).await;
            self.reader = Some(reader.map_err(Attempt("read output").on(Subject::Exec))?);
        }
        Ok(self.reader.as_mut().expect("it was just opened"))
    }

    /// Asks, at the end of the stream, whether something of it was dropped.
    async fn note_drop(&mut self) -> Result<()> {
        let state = match self.engine.exec_state(&self.sandbox, &self.exec).await {
            // The sandbox was removed meanwhile, and with it what is known of the command.
            Err(error) if error.kind() == engine::ErrorKind::NotFound => return Ok(()),
            state => state.map_err(Attempt("read output").on(Subject::Exec))?,
        };
        self.dropped = state.dropped(engine_stream(self.stream)).map(|(bytes, reason)| Dropped {
            from: self.offset,
            bytes,
            reason: match reason {
                engine::DropReason::DiskFull => DropReason::DiskFull,
                engine::DropReason::FileLimit => DropReason::FileLimit,
                _ => DropReason::Quota,
            },
        });
        Ok(())
    }
}

impl fmt::Debug for LocalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalReader")
            .field("stream", &self.stream)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl OutputReader for LocalReader {
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>> {
        let next = self.opened().await?.next().await;
        match next.map_err(Attempt("read output").on(Subject::Exec))? {
            Some(data) => {
                let chunk = OutputChunk { offset: self.offset, data };
                self.offset = chunk.end();
                Ok(Some(chunk))
            }
            None => {
                self.note_drop().await?;
                Ok(None)
            }
        }
    }

    fn dropped(&self) -> Option<Dropped> {
        self.dropped
    }
}
