//! Bounds how many requests of this engine an agent has before it at once.

use super::Agent;
use crate::{error::Result, id::SandboxId};
use std::{
    collections::HashMap,
    ops::Deref,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections to one agent at once. An agent is a single thread, which more would only keep from its work, and takes
/// 256 connections of all fronts together; what is over waits its turn.
const AT_ONCE: usize = 32;

/// Who is next, per sandbox.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<SandboxId, Arc<Semaphore>>>);

/// A connection to an agent, for one turn.
#[derive(Debug)]
pub(crate) struct Connected {
    agent: Agent,
    _turn: OwnedSemaphorePermit,
}

impl Deref for Connected {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl Turns {
    /// Connects to the agent of the sandbox whose folder is `dir`, once it is this call's turn. Cancel-safe; errors are those of
    /// [`Agent::connect`].
    pub(crate) async fn connect(&self, id: &SandboxId, dir: &Path) -> Result<Connected> {
        let turn = self.take(id).await;
        Ok(Connected { agent: Agent::connect(dir).await?, _turn: turn })
    }

    /// Waits for a turn, in order of asking. Dropping the permit ends the turn, dropping the future gives the place up.
    async fn take(&self, id: &SandboxId) -> OwnedSemaphorePermit {
        let semaphore = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody uses are dropped here, so that the map stays as small as the number of busy sandboxes.
            turns.retain(|known, turn| known == id || Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(id.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        semaphore.acquire_owned().await.expect("it is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task::Poll};

    #[tokio::test]
    async fn what_is_over_waits_and_idle_sandboxes_are_forgotten() {
        let (turns, busy, idle) = (Turns::default(), SandboxId::random(), SandboxId::random());
        drop(turns.take(&idle).await);
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.take(&busy).await);
        }
        assert_eq!(turns.0.lock().unwrap().len(), 1);
        let mut next = pin!(turns.take(&busy));
        let waits =
            std::future::poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await;
        assert!(waits);
        taken.pop();
        drop(next.await);
    }
}
