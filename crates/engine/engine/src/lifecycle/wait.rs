//! Waits for the end of a sandbox.

use crate::{
    engine::{Engine, Inner},
    error::Result,
    id::SandboxId,
    sandbox::SandboxInfo,
    store::{Phase, SandboxRow},
    watch::Watch,
};
use std::time::Duration;

/// How often one is looked at whose end cannot be watched: it is being made, or its agent is of another pid namespace.
const GLANCE: Duration = Duration::from_millis(100);

/// Waits until it has ended or `timeout` has passed.
pub(crate) async fn wait(engine: &Engine, id: &SandboxId, timeout: Option<Duration>) -> Result<SandboxInfo> {
    let Some(timeout) = timeout else { return until_ended(engine, id).await };
    match tokio::time::timeout(timeout, until_ended(engine, id)).await {
        Ok(info) => info,
        Err(_) => engine.row(id).await.map(|row| row.info),
    }
}

async fn until_ended(engine: &Engine, id: &SandboxId) -> Result<SandboxInfo> {
    loop {
        let row = engine.row(id).await?;
        if row.phase == Phase::Ended {
            return Ok(row.info);
        }
        Over::watch(engine.inner(), &row)?.happened().await;
    }
}

/// The end of a sandbox, to be waited for.
#[derive(Debug)]
pub(crate) struct Over(Option<Watch>);

impl Over {
    /// Watches the agent of a row.
    pub(crate) fn watch(inner: &Inner, row: &SandboxRow) -> Result<Self> {
        match row.agent {
            Some(agent) => Ok(Self(inner.watcher()?.agent(agent)?)),
            None => Ok(Self(None)),
        }
    }

    /// Returns when it may have ended: look again then. Cancel-safe.
    pub(crate) async fn happened(&mut self) {
        match &mut self.0 {
            Some(watch) => watch.changed().await,
            None => tokio::time::sleep(GLANCE).await,
        }
        self.0 = None;
    }
}
