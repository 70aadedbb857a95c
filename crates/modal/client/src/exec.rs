//! Commands in a sandbox: started, followed, fed and awaited.

mod end;
mod spec;
mod stdin;

use std::sync::Arc;
use std::time::Duration;

use openlattice_modal_proto::task_command_router as wire;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::output::{Output, OutputStream, Source};
use crate::router::{Router, RouterStub};
use crate::sandbox::{secret_sources, whole_seconds};
use crate::status::Operation;

pub use end::{ExecEnd, ExecStatus, KillReason};
pub use spec::{ErrorOutput, ExecSpec, PtySize};
pub use stdin::StdinStatus;

/// Repeating a start by a caller who gave the id is harmless; without one each call has an id of its own.
const EXEC_START_AGAIN: Operation = Operation::repeatable("TaskExecStart");
const EXEC_START: Operation = Operation::creates("TaskExecStart");

/// A handle to one command. Cheap to clone; dropping it does nothing to the command.
#[derive(Debug, Clone)]
pub struct Exec {
    router: Arc<Router>,
    id: String,
    deadline: Option<Instant>,
}

impl Exec {
    pub(crate) fn new(router: Arc<Router>, id: &str, deadline: Option<Instant>) -> Self {
        Self { router, id: id.to_owned(), deadline }
    }

    /// Starts the command. The id in the request makes a repeated start harmless.
    pub(crate) async fn start(router: Arc<Router>, spec: &ExecSpec) -> Result<Self> {
        spec.check()?;
        let id = spec.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let request = start_request(router.task_id(), &id, spec);
        // The server counts from a moment after this one, so that what it kills is never seen before the deadline.
        let asked = Instant::now();
        let limit = spec.timeout.map(|limit| Duration::from_secs(whole_seconds(limit).into()));
        let send = |mut stub: RouterStub, request| async move { stub.task_exec_start(request).await };
        router.unary(start_operation(spec), request, send).await?;
        let deadline = limit.and_then(|limit| asked.checked_add(limit));
        Ok(Self { router, id, deadline })
    }

    /// Gives the command's id, by which it can be attached to again.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Gives the id of the sandbox that it runs in.
    #[must_use]
    pub fn sandbox_id(&self) -> &str {
        self.router.sandbox_id()
    }

    /// Opens one of the command's outputs at an offset in bytes; nothing is sent before the first read.
    #[must_use]
    pub fn output(&self, stream: OutputStream, offset: u64) -> Output {
        Output::new(Source::Command(self.clone()), stream, offset)
    }

    pub(crate) fn shared_router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }
}

fn start_operation(spec: &ExecSpec) -> Operation {
    if spec.id.is_some() { EXEC_START_AGAIN } else { EXEC_START }
}

fn start_request(task_id: &str, id: &str, spec: &ExecSpec) -> wire::TaskExecStartRequest {
    let stderr = match spec.stderr {
        ErrorOutput::Pipe => wire::TaskExecStderrConfig::Pipe,
        ErrorOutput::Discard => wire::TaskExecStderrConfig::Devnull,
    };
    let stdout = if spec.discard_stdout {
        wire::TaskExecStdoutConfig::Devnull
    } else {
        wire::TaskExecStdoutConfig::Pipe
    };
    wire::TaskExecStartRequest {
        task_id: task_id.to_owned(),
        exec_id: id.to_owned(),
        command_args: spec.argv.clone(),
        stdout_config: stdout.into(),
        stderr_config: stderr.into(),
        timeout_secs: spec.timeout.map(whole_seconds),
        workdir: spec.workdir.clone(),
        pty_info: spec.pty.map(spec::pty_info),
        secret_sources: secret_sources(&spec.secrets, &spec.env),
        ..Default::default()
    }
}

impl ExecSpec {
    fn check(&self) -> Result<()> {
        if self.argv.first().is_none_or(String::is_empty) {
            return Err(Error::invalid("an empty argument vector; name a program"));
        }
        if self.workdir.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Error::invalid(format!("working directory {:?} is not absolute", self.workdir)));
        }
        if self.timeout.is_some_and(|limit| limit.is_zero()) {
            return Err(Error::invalid("a timeout of 0; leave it out for none"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Retry;
    use crate::status;

    #[test]
    fn timeouts_are_rounded_up_to_seconds() {
        let spec = ExecSpec { timeout: Some(Duration::from_millis(1)), ..ExecSpec::new(["true"]) };
        assert_eq!(start_request("ta-1", "x", &spec).timeout_secs, Some(1));
        assert_eq!(start_request("ta-1", "x", &ExecSpec::new(["true"])).timeout_secs, None);
    }

    #[test]
    fn g3_only_a_start_with_an_id_of_the_caller_s_is_safe_to_repeat() {
        let named = ExecSpec { id: Some("my-id".to_owned()), ..ExecSpec::new(["true"]) };
        let retry = |spec: &ExecSpec| {
            status::error(start_operation(spec), &tonic::Status::unavailable("lost the reply")).retry()
        };
        assert_eq!(retry(&named), Retry::Safe);
        assert_eq!(retry(&ExecSpec::new(["true"])), Retry::Unknown);
    }

    #[test]
    fn both_streams_are_kept_apart() {
        let request = start_request("ta-1", "x", &ExecSpec::new(["true"]));
        assert_eq!(request.stdout_config(), wire::TaskExecStdoutConfig::Pipe);
        assert_eq!(request.stderr_config(), wire::TaskExecStderrConfig::Pipe);
    }

    #[test]
    fn what_cannot_run_is_refused_before_anything_is_sent() {
        assert!(ExecSpec::new(Vec::<String>::new()).check().is_err());
        assert!(ExecSpec::new([""]).check().is_err());
        assert!(ExecSpec { workdir: Some("tmp".to_owned()), ..ExecSpec::new(["true"]) }.check().is_err());
        assert!(ExecSpec { timeout: Some(Duration::ZERO), ..ExecSpec::new(["true"]) }.check().is_err());
    }
}
