//! The terminal of a command.

use super::{TerminalSize, folder, signal::require_started, start, state};
use crate::{
    agent::Refusal,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{ExecId, SandboxId},
};
use rustix::io::Errno;

/// Changes its size.
pub(crate) async fn resize(engine: &Engine, id: &SandboxId, exec: &ExecId, size: TerminalSize) -> Result<()> {
    if state::now(engine, id, exec).await?.end.is_some() {
        return Err(precondition(exec, "has ended"));
    }
    require_started(&folder::path(engine.inner(), id, exec), exec)?;
    let agent = engine.agent(id).await?;
    agent.resize(exec.as_str(), size).await.map_err(|refusal| refused(exec, refusal))
}

fn refused(exec: &ExecId, refusal: Refusal) -> Error {
    if refusal.is(Errno::SRCH) {
        return precondition(exec, "has ended");
    }
    if refusal.is(Errno::NOTTY) {
        return precondition(exec, "has no terminal");
    }
    if refusal.is(Errno::NOSYS) {
        return too_old().with_source(refusal);
    }
    start::refused("cannot change the size of the terminal", refusal)
}

fn precondition(exec: &ExecId, why: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, format!("the command {exec} {why}"))
}

/// The error of a terminal in a sandbox whose agent knows none.
pub(super) fn too_old() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the sandbox was made by an older version, which gives no terminals: make a new one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m12_each_refusal_of_an_agent_has_its_kind() {
        let kind = |errno| refused(&ExecId::random(), Refusal::Agent { errno, stage: 1 }).kind();
        assert_eq!(kind(Errno::SRCH), ErrorKind::FailedPrecondition);
        assert_eq!(kind(Errno::NOTTY), ErrorKind::FailedPrecondition);
        assert_eq!(kind(Errno::NOSYS), ErrorKind::Unsupported);
        assert_eq!(kind(Errno::IO), ErrorKind::Internal);
    }
}
