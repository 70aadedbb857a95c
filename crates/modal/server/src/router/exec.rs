//! Start, wait and poll of a command.

use super::{exec_id, files, main_container};
use crate::{
    control::{Reply, env::EnvSources},
    shared::Shared,
    status,
    terminal::Terminal,
    trailers::{END, Trailers},
};
use openlattice_engine::{ExecEnd, ExecId, ExecSpec, ExecState, OutputStream, SandboxId};
use openlattice_modal_proto::task_command_router as proto;
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

/// Signal that stands for a kill of ours.
const SIGKILL: i32 = 9;

/// How a command ended, as the wire tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

pub(super) async fn start(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecStartRequest>,
) -> Reply<proto::TaskExecStartResponse> {
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let request = request.into_inner();
    let id = exec_id(&request.exec_id)?;
    main_container(&request.container_id)?;
    if request.command_args.first().is_some_and(|program| program == files::PROGRAM) {
        files::start(shared, sandbox, id, &request).await?;
    } else {
        let spec = spec(shared, id, request).await?;
        shared.engine.exec(&sandbox, spec).await.map_err(status::from_engine)?;
    }
    Ok(Response::new(proto::TaskExecStartResponse {}))
}

/// Every field of a start but `runtime_debug`, which asks for logs of a runtime that is not here.
async fn spec(shared: &Shared, id: ExecId, request: proto::TaskExecStartRequest) -> Result<ExecSpec, Status> {
    let stdout = request.stdout_config();
    let stderr = request.stderr_config();
    if request.command_args.is_empty() {
        return Err(Status::invalid_argument("command_args is empty; name a program"));
    }
    let (size, kind) = match Terminal::read(request.pty_info)? {
        Some(Terminal { size, env }) => (Some(size), env),
        None => Default::default(),
    };
    let sources = EnvSources {
        secret_ids: request.secret_ids,
        maps: vec![kind, request.env],
        sources: request.secret_sources,
    };
    let mut spec = ExecSpec::default();
    spec.id = Some(id);
    spec.argv = request.command_args;
    spec.env = sources.resolve(shared).await?;
    spec.workdir = workdir(request.workdir)?;
    spec.timeout = request.timeout_secs.filter(|secs| *secs > 0).map(|secs| Duration::from_secs(secs.into()));
    spec.stdin = true;
    spec.terminal = size;
    spec.discard_stdout = stdout == proto::TaskExecStdoutConfig::Devnull;
    spec.discard_stderr = stderr == proto::TaskExecStderrConfig::Devnull;
    spec.merge_stderr = stderr == proto::TaskExecStderrConfig::Stdout;
    Ok(spec)
}

fn workdir(path: Option<String>) -> Result<Option<String>, Status> {
    match path.filter(|path| !path.is_empty()) {
        Some(path) if !path.starts_with('/') => {
            Err(Status::invalid_argument(format!("workdir {path:?} must be absolute")))
        }
        other => Ok(other),
    }
}

/// Holds the call until the command has ended or the caller's deadline passes; clients ask again then.
pub(super) async fn wait(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecWaitRequest>,
) -> Reply<proto::TaskExecWaitResponse> {
    use proto::task_exec_wait_response::ExitStatus;
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let id = exec_id(&request.get_ref().exec_id)?;
    let (exit, trailers) = match shared.file_execs.find(&sandbox, &id).await? {
        Some(exec) => (shared.hold(exec.ended()).await?, Trailers::default()),
        None => {
            let state =
                shared.hold(shared.engine.exec_wait(&sandbox, &id)).await?.map_err(status::from_engine)?;
            let exit =
                exit(&state).ok_or_else(|| Status::internal("the engine's wait ended before the command"))?;
            (exit, trailers(&state))
        }
    };
    let exit_status = Some(match exit {
        Exit::Code(code) => ExitStatus::Code(code),
        Exit::Signal(signal) => ExitStatus::Signal(signal),
    });
    Ok(trailers.on(proto::TaskExecWaitResponse { exit_status }))
}

pub(super) async fn poll(
    shared: &Arc<Shared>,
    request: Request<proto::TaskExecPollRequest>,
) -> Reply<proto::TaskExecPollResponse> {
    use proto::task_exec_poll_response::ExitStatus;
    let sandbox = Shared::task(&request, &request.get_ref().task_id)?;
    let id = exec_id(&request.get_ref().exec_id)?;
    let (exit, trailers) = match shared.file_execs.find(&sandbox, &id).await? {
        Some(exec) => (exec.exit(), Trailers::default()),
        None => {
            let state = shared.engine.exec_state(&sandbox, &id).await.map_err(status::from_engine)?;
            (exit(&state), trailers(&state))
        }
    };
    let exit_status = exit.map(|exit| match exit {
        Exit::Code(code) => ExitStatus::Code(code),
        Exit::Signal(signal) => ExitStatus::Signal(signal),
    });
    Ok(trailers.on(proto::TaskExecPollResponse { exit_status }))
}

/// The exit of a command; a kill by its timeout is a kill, whatever the program made of it.
fn exit(state: &ExecState) -> Option<Exit> {
    match state.end? {
        _ if state.timed_out => Some(Exit::Signal(SIGKILL)),
        ExecEnd::Exited(code) => Some(Exit::Code(code)),
        ExecEnd::Signaled(signal) => Some(Exit::Signal(signal)),
        ExecEnd::SandboxEnded => Some(Exit::Signal(SIGKILL)),
    }
}

/// What the exit alone cannot tell.
fn trailers(state: &ExecState) -> Trailers {
    let trailers = Trailers::default();
    if state.timed_out {
        trailers.add(END, "timeout");
    } else if state.out_of_memory {
        trailers.add(END, "oom");
    } else if state.end == Some(ExecEnd::SandboxEnded) {
        trailers.add(END, "sandbox-ended");
    }
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        trailers.tell_dropped(state, stream);
    }
    trailers
}

/// Waits a little for the end of a command that takes no more input, so that its exit can be seen by then.
pub(super) async fn settle(shared: &Shared, sandbox: &SandboxId, id: &ExecId) {
    const PATIENCE: Duration = Duration::from_millis(500);
    if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, shared.engine.exec_wait(sandbox, id)).await {
        tracing::debug!(%error, "command not seen to end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_directories_are_absolute() {
        assert_eq!(workdir(Some(String::new())).unwrap(), None);
        assert_eq!(workdir(Some("/a".into())).unwrap().as_deref(), Some("/a"));
        assert!(workdir(Some("a".into())).is_err());
    }
}
