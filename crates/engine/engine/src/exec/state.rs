//! Whether a command runs, and how it ended.

use super::folder;
use crate::{
    engine::{Engine, Inner},
    error::Result,
    exec::{ExecState, status::Status},
    id::{ExecId, SandboxId},
    lifecycle::wait::Over,
    sandbox::SandboxState,
};
use std::time::SystemTime;

/// State now.
pub(crate) async fn now(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    let (id, exec) = (id.clone(), exec.clone());
    engine.blocking(move |inner| read(inner, &id, &exec)).await
}

/// Waits for its end.
pub(crate) async fn wait(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    let row = engine.row(id).await?;
    let path = folder::path(engine.inner(), id, exec);
    if !path.exists() {
        return Err(folder::unknown(exec));
    }
    let mut changes = engine.inner().watcher()?.folder(&path)?;
    let mut over = Over::watch(engine, &row)?;
    loop {
        changes.mark_seen();
        let state = now(engine, id, exec).await?;
        if state.end.is_some() {
            return Ok(state);
        }
        tokio::select! {
            () = changes.changed() => {}
            () = over.happened() => {}
        }
    }
}

fn read(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    let path = folder::path(inner, id, exec);
    let open = || Status::open(&path)?.ok_or_else(|| folder::unknown(exec));
    if let Ok(status) = open()
        && status.is_final()
    {
        return Ok(status.state(None));
    }
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
