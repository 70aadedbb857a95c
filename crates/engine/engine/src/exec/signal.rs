//! Signals to a command.

use super::{folder, start};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    exec::{state, status::Status},
    id::{ExecId, SandboxId},
};

const SIGKILL: i32 = 9;
/// Highest signal number (signal(7), SIGRTMAX).
const LAST: i32 = 64;

/// Sends a signal.
pub(crate) async fn send(engine: &Engine, id: &SandboxId, exec: &ExecId, signal: i32) -> Result<()> {
    if !(1..=LAST).contains(&signal) {
        return Err(Error::invalid(format!("{signal} is no signal number: they are 1 to {LAST}")));
    }
    if state::now(engine, id, exec).await?.end.is_some() {
        return Err(ended(exec));
    }
    let agent = engine.agent(id).await?;
    match agent.signal(exec.as_str(), signal.cast_unsigned(), signal == SIGKILL).await {
        Err(refusal) if refusal.is(rustix::io::Errno::SRCH) => Err(ended(exec)),
        result => result.map_err(|refusal| start::refused("cannot signal the command", refusal)),
    }
}

fn ended(exec: &ExecId) -> Error {
    Error::new(ErrorKind::FailedPrecondition, format!("the command {exec} has ended"))
}

/// Refuses a command that was never started.
pub(super) fn require_started(path: &std::path::Path, exec: &ExecId) -> Result<Status> {
    Status::open(path)?.ok_or_else(|| folder::unknown(exec))
}
