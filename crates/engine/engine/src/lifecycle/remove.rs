//! Removes a sandbox's folder.

use crate::{
    engine::{Engine, Inner},
    error::{ErrorKind, Result},
    id::SandboxId,
    lifecycle::terminate::terminate,
};
use rustix::fs::FlockOperation;

/// Ends it and removes its folder. Its row stays, so that its result stays known.
pub(crate) async fn remove(engine: &Engine, id: &SandboxId) -> Result<()> {
    terminate(engine, id).await?;
    let id = id.clone();
    engine.blocking(move |inner| remove_folder(inner, &id).map(|_bytes| ())).await
}

/// Removes the folder of one that has ended and says how many bytes that gave back.
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
