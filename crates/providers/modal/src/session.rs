//! A command that runs.

use openlattice::{
    Bytes, Error, ErrorKind, ExecId, ExecSession, ExecStatus, OutputReader, OutputStream, PtySize, Result,
    SandboxId, Signal, StdinStatus, Subject, async_trait,
};
use openlattice_modal_client as modal;

use crate::end::exec_status;
use crate::error::Attempt;
use crate::output::ModalReader;

/// Follows one command through its sandbox's command router. Dropping it detaches.
#[derive(Debug)]
pub(crate) struct ModalSession {
    exec: modal::Exec,
    sandbox_id: SandboxId,
    exec_id: ExecId,
}

impl ModalSession {
    pub(crate) fn new(exec: modal::Exec, sandbox_id: SandboxId, exec_id: ExecId) -> Self {
        Self { exec, sandbox_id, exec_id }
    }

    async fn status(&self, attempt: Attempt) -> Result<StdinStatus> {
        let status = self.exec.stdin_status().await.map_err(attempt.about(Subject::Exec))?;
        Ok(StdinStatus { accepted: status.accepted, closed: status.closed })
    }
}

#[async_trait]
impl ExecSession for ModalSession {
    fn sandbox_id(&self) -> &SandboxId {
        &self.sandbox_id
    }

    fn id(&self) -> &ExecId {
        &self.exec_id
    }

    fn output(&self, stream: OutputStream, offset: u64) -> Box<dyn OutputReader> {
        let stream = match stream {
            OutputStream::Stdout => modal::OutputStream::Stdout,
            OutputStream::Stderr => modal::OutputStream::Stderr,
        };
        Box::new(ModalReader::new(self.exec.output(stream, offset)))
    }

    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()> {
        self.exec.write_stdin(offset, data, false).await.map_err(Attempt("write stdin").about(Subject::Exec))
    }

    async fn close_stdin(&self) -> Result<()> {
        let attempt = Attempt("close stdin");
        let at = self.status(attempt).await?;
        if at.closed {
            return Ok(());
        }
        match self.exec.write_stdin(at.accepted, Bytes::new(), true).await {
            Ok(()) => Ok(()),
            // The command has ended meanwhile, or somebody else closed it.
            Err(error) if error.kind() == modal::ErrorKind::FailedPrecondition => Ok(()),
            Err(error) => Err(attempt.about(Subject::Exec)(error)),
        }
    }

    async fn stdin_status(&self) -> Result<StdinStatus> {
        self.status(Attempt("stdin status")).await
    }

    async fn wait(&self) -> Result<ExecStatus> {
        let end = self.exec.wait().await.map_err(|error| ended(Attempt("wait"), error))?;
        Ok(exec_status(&end))
    }

    async fn poll(&self) -> Result<Option<ExecStatus>> {
        let end = self.exec.poll().await.map_err(|error| ended(Attempt("poll"), error))?;
        Ok(end.as_ref().map(exec_status))
    }

    async fn kill(&self, _signal: Signal) -> Result<()> {
        Err(Error::unsupported("kill", "exec.signals"))
    }

    async fn resize(&self, _size: PtySize) -> Result<()> {
        Err(Error::unsupported("resize", "exec.ptyResize"))
    }
}

/// The command was there when the session began: if it is not there any more, its sandbox has ended.
fn ended(attempt: Attempt, error: modal::Error) -> Error {
    let error = attempt.about(Subject::Sandbox)(error);
    if error.kind() == ErrorKind::InvalidArgument { error.with_subject(Subject::Exec) } else { error }
}
