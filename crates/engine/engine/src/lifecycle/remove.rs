//! What goes when a sandbox has ended: its files at once, its output after a while, all of it on request.

use crate::{
    engine::{Engine, Inner},
    error::{ErrorKind, Result},
    id::SandboxId,
    lifecycle::{settle, terminate},
    sandbox::EndReason,
    store::{LAYER_FOLDERS, Phase, SandboxRow},
};
use rustix::fs::FlockOperation;
use std::fs::{self, File};

/// Ends it and removes all of it, its result too.
pub(crate) async fn remove(engine: &Engine, id: &SandboxId) -> Result<()> {
    let (tasks, engine, id) = (engine, engine.clone(), id.clone());
    let remove = async move {
        let row = engine.row(&id).await?;
        match row.phase {
            // Its result is not wanted, so its agent is not asked for one.
            Phase::Running => engine.blocking(move |inner| kill_and_remove(inner, &row)).await,
            Phase::Creating => {
                terminate::end(&engine, &id).await?;
                engine.blocking(move |inner| remove_all(inner, &id).map(drop)).await
            }
            Phase::Ended => engine.blocking(move |inner| remove_all(inner, &id).map(drop)).await,
        }
    };
    tasks.detached(remove).await
}

/// Ends one that takes commands and removes all of it. Cut short, it is one whose end was begun, or that is gone.
fn kill_and_remove(inner: &Inner, row: &SandboxRow) -> Result<()> {
    let id = &row.info.id;
    match inner.store.begin_end(id, EndReason::Terminated) {
        // Nothing can be written down before something is removed, and what is asked for by its id depends on nothing that is written.
        Err(error) if error.kind() == ErrorKind::ResourceExhausted => {}
        begun => begun?,
    }
    if !settle::kill(inner, row, terminate::TEARDOWN)? {
        return Err(terminate::still_there(inner, row));
    }
    let _lock = lock(inner, id)?;
    inner.store.discard(&inner.store.sandbox_dir(id))?;
    inner.store.delete_sandbox(id)
}

/// Waits for a snapshot that copies from the folder; nothing where there is no folder.
fn lock(inner: &Inner, id: &SandboxId) -> Result<Option<File>> {
    match inner.lock_snapshot(id, FlockOperation::LockExclusive) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        lock => lock,
    }
}

/// Removes all of one that has ended and says how many bytes that gave back.
pub(super) fn remove_all(inner: &Inner, id: &SandboxId) -> Result<u64> {
    let bytes = remove_folder(inner, id)?;
    inner.store.forget(id)?;
    Ok(bytes)
}

/// Removes the folder of one that has ended and says how many bytes that gave back. Its row stays, so that its result stays known.
pub(super) fn remove_folder(inner: &Inner, id: &SandboxId) -> Result<u64> {
    let _lock = lock(inner, id)?;
    let bytes = inner.store.discard_measured(&inner.store.sandbox_dir(id))?;
    inner.store.set_folder_gone(id)?;
    Ok(bytes)
}

/// Frees the writable layer of one that has ended, unless it is to be kept, and says how many bytes that gave back. One that a snapshot
/// copies from is left to that snapshot; whatever is left is freed by the next round.
pub(crate) fn free_files(inner: &Inner, row: &SandboxRow) -> Result<u64> {
    let id = &row.info.id;
    if row.phase != Phase::Ended || !row.files || row.keep_files {
        return Ok(0);
    }
    let dir = inner.store.sandbox_dir(id);
    match inner.lock_snapshot(id, FlockOperation::NonBlockingLockExclusive) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Ok(None) => return Ok(0),
        Ok(Some(_lock)) => {
            // Without any output there is nothing to keep.
            let has_output = fs::read_dir(dir.join("execs")).is_ok_and(|mut execs| execs.next().is_some());
            if has_output {
                let bytes =
                    LAYER_FOLDERS.iter().map(|name| inner.store.discard_measured(&dir.join(name))).sum();
                inner.store.set_files_gone(id)?;
                return bytes;
            }
        }
        Err(error) => return Err(error),
    }
    remove_folder(inner, id)
}
