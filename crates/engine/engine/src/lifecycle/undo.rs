//! Takes back a creation that failed or that nobody waits for any more.

use crate::{
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    lifecycle::{settle, terminate::TEARDOWN},
    sandbox::EndReason,
    store::{Phase, SandboxRow},
};
use std::sync::Arc;

/// Owns a sandbox that is being made. Dropped before [`Self::keep`], it removes everything of it, row included.
#[derive(Debug)]
pub(crate) struct Unfinished {
    engine: Engine,
    row: SandboxRow,
    armed: bool,
}

impl Unfinished {
    /// Takes charge of the sandbox of a row that was just inserted.
    pub(crate) fn new(engine: &Engine, row: &SandboxRow) -> Self {
        Self { engine: engine.clone(), row: row.clone(), armed: true }
    }

    /// It is finished and somebody knows of it.
    pub(crate) fn keep(mut self) {
        self.armed = false;
    }

    /// Removes it now, and says when that fails.
    pub(crate) async fn undo(mut self) -> Result<()> {
        self.armed = false;
        let row = self.row.clone();
        self.engine.blocking(move |inner| undo(inner, &row)).await
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (inner, row) = (Arc::clone(self.engine.inner()), self.row.clone());
        // A thread of its own: a drop must not block, and the runtime may be shutting down. Where none can be had, or this process
        // ends first, `gc` or the next user of the store finds the row.
        let thread = std::thread::Builder::new().name("lattice-undo".to_owned());
        drop(thread.spawn(move || drop(undo(&inner, &row))));
    }
}

/// Takes back what the call that made `made` has done, unless another call has adopted it since.
fn undo(inner: &Inner, made: &SandboxRow) -> Result<()> {
    let id = &made.info.id;
    loop {
        let now = match inner.store.sandbox_row(id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            row => row?,
        };
        if now.info.birth != made.info.birth || now.phase == Phase::Ended {
            return Ok(());
        }
        if now.ending.is_some() || inner.store.begin_end_of(&now, EndReason::Failed)? {
            return remove(inner, &now);
        }
    }
}

/// Removes one whose end was begun, row and all. Where something in it does not die, its row stays, as one that is ending.
fn remove(inner: &Inner, row: &SandboxRow) -> Result<()> {
    let id = &row.info.id;
    if !settle::kill(inner, row, TEARDOWN)? {
        let message = format!("what was started in sandbox {id} does not die");
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
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
