//! Whether a command runs, and how it ended.

use super::folder;
use crate::{
    engine::{Engine, Inner},
    error::{ErrorKind, Result},
    exec::{ExecState, status::Status},
    id::{ExecId, SandboxId},
    lifecycle::wait::Over,
    sandbox::SandboxState,
    watch::Watch,
};
use std::{fs::File, sync::Arc, time::SystemTime};

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
    let (mut changes, mut over, status) = engine.blocking(move |inner| watch(inner, &name, &command)).await?;
    loop {
        changes.mark_seen();
        let (id, exec, status) = (id.clone(), exec.clone(), Arc::clone(&status));
        let state = engine.blocking(move |inner| look(inner, &id, &exec, &status)).await?;
        if state.end.is_some() {
            return Ok(state);
        }
        tokio::select! {
            () = changes.changed() => {}
            () = over.happened() => {}
        }
    }
}

/// The usual end, which its agent has recorded. One small file that was just written: read where we are, since the way to a
/// thread that may block and back costs more than the reading.
fn recorded(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Option<ExecState> {
    let status = Status::open(&folder::path(inner, id, exec)).ok().flatten()?;
    status.is_final().then(|| status.state(None))
}

/// Watches a command. Its status is open from here on, so that its end can be told when its sandbox is removed meanwhile.
fn watch(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<(Watch, Over, Arc<File>)> {
    let row = inner.store.sandbox_row(id)?;
    let changes = folder::watch(inner, id, exec)?;
    let over = Over::watch(inner, &row)?;
    Ok((changes, over, Arc::new(folder::open(&folder::path(inner, id, exec), "status", exec)?)))
}

fn read(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
    if let Some(ended) = recorded(inner, id, exec) {
        return Ok(ended);
    }
    look(inner, id, exec, &folder::open(&folder::path(inner, id, exec), "status", exec)?)
}

fn look(inner: &Inner, id: &SandboxId, exec: &ExecId, status: &File) -> Result<ExecState> {
    // The row first: what an agent recorded before its end is read after it.
    let over = ended_at(inner, id)?;
    let status = Status::read(status)?.ok_or_else(|| folder::unknown(exec))?;
    Ok(if status.is_final() { status.state(None) } else { status.state(over) })
}

/// When a sandbox ended; `None` while it lives. One that is known no more was removed, so it has ended by now.
pub(super) fn ended_at(inner: &Inner, id: &SandboxId) -> Result<Option<SystemTime>> {
    match inner.row(id).map(|row| row.info.state) {
        Ok(SandboxState::Ended(end)) => Ok(Some(end.at)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(SystemTime::now())),
        Err(error) => Err(error),
    }
}
