//! Takes back a creation that failed or that nobody waits for any more.

use crate::{
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    lifecycle::settle,
};
use std::sync::Arc;

/// Owns a sandbox that is being made. Dropped before [`Self::keep`], it removes everything of it, row included.
#[derive(Debug)]
pub(crate) struct Unfinished {
    engine: Engine,
    id: SandboxId,
    armed: bool,
}

impl Unfinished {
    /// Takes charge of the sandbox of a row that was just inserted.
    pub(crate) fn new(engine: &Engine, id: &SandboxId) -> Self {
        Self { engine: engine.clone(), id: id.clone(), armed: true }
    }

    /// It is finished and somebody knows of it.
    pub(crate) fn keep(mut self) {
        self.armed = false;
    }

    /// Removes it now, and says when that fails.
    pub(crate) async fn undo(mut self) -> Result<()> {
        self.armed = false;
        let id = self.id.clone();
        self.engine.blocking(move |inner| undo(inner, &id)).await
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (inner, id) = (Arc::clone(self.engine.inner()), self.id.clone());
        // A thread of its own: a drop must not block, and the runtime may be shutting down. Where none can be had, or this process
        // ends first, `gc` or the next user of the store finds the row.
        let thread = std::thread::Builder::new().name("lattice-undo".to_owned());
        drop(thread.spawn(move || drop(undo(&inner, &id))));
    }
}

fn undo(inner: &Inner, id: &SandboxId) -> Result<()> {
    let row = match inner.store.sandbox_row(id) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        row => row?,
    };
    inner.store.set_doomed(id)?;
    settle::kill(inner, &row)?;
    inner.store.discard(&inner.store.sandbox_dir(id))?;
    inner.store.delete_sandbox(id)
}

/// Adds to the error of a creation that its undoing failed, too.
pub(crate) fn undone(cause: Error, undoing: Result<()>) -> Error {
    match undoing {
        Ok(()) => cause,
        Err(second) => {
            Error::new(cause.kind(), format!("{cause}; and what was made of it is left for gc ({second})"))
                .with_source(cause)
        }
    }
}
