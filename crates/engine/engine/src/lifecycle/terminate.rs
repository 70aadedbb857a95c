//! Ends a sandbox.

use crate::{
    agent::Agent,
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    lifecycle::settle,
    protocol::reason,
    sandbox::{EndReason, SandboxEnd, SandboxInfo, SandboxState},
    store::{Phase, SandboxRow},
};
use std::time::{Duration, SystemTime};

/// Longest wait for the agent's own end; then it is killed.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest wait for a creation in another process to notice that its sandbox is doomed.
const CREATION: Duration = Duration::from_secs(30);

/// Ends a sandbox and returns when nothing of it runs. The work goes on when the future is dropped.
pub(crate) async fn terminate(engine: &Engine, id: &SandboxId) -> Result<SandboxInfo> {
    let (engine, id) = (engine.clone(), id.clone());
    engine.clone().detached(async move { end(&engine, &id).await.map(|row| row.info) }).await
}

async fn end(engine: &Engine, id: &SandboxId) -> Result<SandboxRow> {
    let row = engine.row(id).await?;
    match row.phase() {
        Phase::Ended => Ok(row),
        Phase::Creating => abandon(engine, row).await,
        Phase::Running => end_running(engine, row).await,
    }
}

async fn end_running(engine: &Engine, row: SandboxRow) -> Result<SandboxRow> {
    let id = row.info.id.clone();
    engine.blocking(move |inner| inner.store.set_doomed(&id)).await?;
    let dir = engine.inner().store.sandbox_dir(&row.info.id);
    // Asked first, so that it records its result; whatever it answers or does not, it is waited for and killed below.
    let asked = tokio::time::timeout(PATIENCE, async {
        Ok::<_, Error>(Agent::connect(&dir).await?.terminate(reason::TERMINATED).await?)
    })
    .await;
    let patience = if matches!(asked, Ok(Ok(()))) { PATIENCE } else { Duration::ZERO };
    engine.blocking(move |inner| finish(inner, row, patience)).await
}

fn finish(inner: &Inner, row: SandboxRow, patience: Duration) -> Result<SandboxRow> {
    if let Some(pidfd) = row.agent.map(crate::watch::open_agent).transpose()?.flatten() {
        // Too slow is killed by `end`.
        drop(settle::wait_for_exit(&pidfd, patience));
    }
    settle::end(inner, row, EndReason::Terminated)
}

/// Ends one whose creator still works on it: the creator undoes it when it comes to its end.
async fn abandon(engine: &Engine, row: SandboxRow) -> Result<SandboxRow> {
    let id = row.info.id.clone();
    let doomed = id.clone();
    engine.blocking(move |inner| inner.store.set_doomed(&doomed)).await?;
    let gone = async {
        loop {
            match engine.row(&id).await {
                // Undone, row and all.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ended_before_it_ran(row)),
                Ok(now) if now.phase() == Phase::Creating => {}
                now => return now,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(CREATION, gone).await {
        Ok(Ok(row)) if row.phase() == Phase::Running => end_running(engine, row).await,
        Ok(row) => row,
        Err(_) => {
            Err(Error::new(ErrorKind::Internal, format!("sandbox {id} is still being made: try again")))
        }
    }
}

fn ended_before_it_ran(mut row: SandboxRow) -> SandboxRow {
    row.info.state = SandboxState::Ended(SandboxEnd { reason: EndReason::Terminated, at: SystemTime::now() });
    row
}
