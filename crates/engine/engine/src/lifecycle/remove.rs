//! What goes when a sandbox has ended: its files at once, its output after a while, all of it on request.

use crate::{
    engine::{Engine, Inner},
    error::{ErrorKind, Result},
    id::SandboxId,
    lifecycle::terminate,
    store::{LAYER_FOLDERS, Phase, SandboxRow},
};
use rustix::fs::FlockOperation;
use std::fs;

/// Ends it and removes all of it, its result too.
pub(crate) async fn remove(engine: &Engine, id: &SandboxId) -> Result<()> {
    let (engine, id) = (engine.clone(), id.clone());
    engine
        .clone()
        .detached(async move {
            terminate::end(&engine, &id).await?;
            engine.blocking(move |inner| remove_all(inner, &id).map(drop)).await
        })
        .await
}

/// Removes all of one that has ended and says how many bytes that gave back.
pub(super) fn remove_all(inner: &Inner, id: &SandboxId) -> Result<u64> {
    let bytes = remove_folder(inner, id)?;
    inner.store.forget(id)?;
    Ok(bytes)
}

/// Removes the folder of one that has ended and says how many bytes that gave back. Its row stays, so that its result stays known.
pub(super) fn remove_folder(inner: &Inner, id: &SandboxId) -> Result<u64> {
    // A snapshot that copies from the folder is waited for.
    let _lock = match inner.lock_snapshot(id, FlockOperation::LockExclusive) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        lock => lock?,
    };
    let bytes = inner.store.discard(&inner.store.sandbox_dir(id))?;
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
                let bytes = LAYER_FOLDERS.iter().map(|name| inner.store.discard(&dir.join(name))).sum();
                inner.store.set_files_gone(id)?;
                return bytes;
            }
        }
        Err(error) => return Err(error),
    }
    remove_folder(inner, id)
}
