//! Whether a command runs, and how it ended.

use super::folder;
use crate::{
    engine::{Engine, Inner},
    error::Result,
    exec::{ExecState, status::Status},
    id::{ExecId, SandboxId},
    lifecycle::wait::Over,
    sandbox::SandboxState,
    watch::Watch,
};
use std::time::SystemTime;

/// State now.
pub(crate) async fn now(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    let (id, exec) = (id.clone(), exec.clone());
    engine.blocking(move |inner| read(inner, &id, &exec)).await
}

/// Waits for its end.
pub(crate) async fn wait(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    // Short commands have often ended by now, all the more so when many run: nothing needs to be watched then.
    if let Some(ended) = recorded(engine.inner(), id, exec) {
        return Ok(ended);
    }
    let (name, command) = (id.clone(), exec.clone());
    let (mut changes, mut over, mut state) =
        engine.blocking(move |inner| watch(inner, &name, &command)).await?;
    while state.end.is_none() {
        tokio::select! {
            () = changes.changed() => {}
            () = over.happened() => {}
        }
        changes.mark_seen();
        if let Some(ended) = recorded(engine.inner(), id, exec) {
            return Ok(ended);
        }
        state = now(engine, id, exec).await?;
    }
    Ok(state)
}

/// The usual end, which its agent has recorded. One small file that was just written: read where we are, since the way to a
/// thread that may block and back costs more than the reading.
fn recorded(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Option<ExecState> {
    let status = Status::open(&folder::path(inner, id, exec)).ok().flatten()?;
    status.is_final().then(|| status.state(None))
}

/// Watches a command, then looks at it.
fn watch(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<(Watch, Over, ExecState)> {
    let row = inner.store.sandbox_row(id)?;
    let changes = folder::watch(inner, id, exec)?;
    let over = Over::watch(inner, &row)?;
    Ok((changes, over, read(inner, id, exec)?))
}

fn read(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    if let Some(ended) = recorded(inner, id, exec) {
        return Ok(ended);
    }
    let path = folder::path(inner, id, exec);
    let open = || Status::open(&path)?.ok_or_else(|| folder::unknown(exec));
    // The row first: what an agent recorded before its end is read after it.
    let over = ended_at(inner, id)?;
    Ok(open()?.state(over))
}

/// When a sandbox ended; `None` while it lives.
pub(super) fn ended_at(inner: &Inner, id: &SandboxId) -> Result<Option<SystemTime>> {
    match inner.row(id)?.info.state {
        SandboxState::Ended(end) => Ok(Some(end.at)),
        _ => Ok(None),
    }
}
