//! The engine's descriptions as the contract's.

use openlattice::{
    EndReason, ExecEnd, ExecStatus, ExitStatus, SandboxEnd, SandboxId, SandboxInfo, SandboxState, Signal,
};
use openlattice_engine as engine;

use crate::note::Note;
use crate::{owner, pending};

/// Describes a sandbox.
pub(crate) fn sandbox(info: engine::SandboxInfo) -> SandboxInfo {
    let owner = Note::read(&info.note).owner.filter(|_| info.owned);
    let (state, end, ended_at) = match &info.state {
        engine::SandboxState::Ended(end) => {
            (SandboxState::Terminated, Some(sandbox_end(end)), Some(end.at.into()))
        }
        engine::SandboxState::Creating => (SandboxState::Starting, None, None),
        engine::SandboxState::Ending => (SandboxState::Ending, None, None),
        _ if owner.as_ref().is_some_and(|owner| !owner::is_alive(owner))
            || pending::is_abandoned(&info.tags) =>
        {
            (SandboxState::Abandoned, None, None)
        }
        _ => (SandboxState::Running, None, None),
    };
    SandboxInfo {
        end,
        created_at: Some(info.created_at.into()),
        expires_at: info.expires_at.filter(|_| ended_at.is_none()).map(Into::into),
        ended_at,
        image: Some(info.image_name),
        name: info.name,
        tags: pending::without_mark(&info.tags),
        owner,
        ..SandboxInfo::new(SandboxId::new(info.id.as_str()), state)
    }
}

fn sandbox_end(end: &engine::SandboxEnd) -> SandboxEnd {
    use engine::EndReason as From;
    let (reason, exit) = match end.reason {
        From::Exited(code) => (EndReason::Exited, Some(ExitStatus::Code(code))),
        From::Signaled(number) => (EndReason::Exited, Some(signal(number))),
        From::OutOfMemory => (EndReason::OutOfMemory, None),
        From::TimedOut => (EndReason::TimedOut, None),
        From::Idle => (EndReason::IdleTimedOut, None),
        From::Terminated => (EndReason::Destroyed, None),
        From::Lost => (EndReason::Lost, None),
        _ => (EndReason::Unknown, None),
    };
    SandboxEnd { reason, exit }
}

/// Describes how a command ended; nothing while it runs.
pub(crate) fn exec_status(state: &engine::ExecState) -> Option<ExecStatus> {
    let (exit, own) = match state.end? {
        engine::ExecEnd::Exited(code) => (ExitStatus::Code(code), ExecEnd::Exited),
        engine::ExecEnd::Signaled(number) => (signal(number), ExecEnd::Signalled),
        engine::ExecEnd::SandboxEnded => (ExitStatus::Signal(Signal::KILL), ExecEnd::SandboxEnded),
    };
    let reason = match (state.timed_out, state.out_of_memory) {
        (true, _) => ExecEnd::TimedOut,
        (_, true) => ExecEnd::OutOfMemory,
        _ => own,
    };
    Some(ExecStatus { exit, reason })
}

/// A signal by its number; a number that no signal has is taken for a kill.
fn signal(number: i32) -> ExitStatus {
    ExitStatus::Signal(Signal::new(number).unwrap_or(Signal::KILL))
}
