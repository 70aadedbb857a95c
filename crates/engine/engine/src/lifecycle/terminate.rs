//! Ends a sandbox.

use crate::{
    agent::Agent,
    cgroup,
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    lifecycle::{remove::free_files, settle},
    protocol::reason,
    sandbox::{EndReason, SandboxInfo},
    store::{self, Phase, SandboxRow},
};
use std::time::Duration;

/// Longest wait for the agent's own end; then it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Longest wait for what was killed.
pub(super) const TEARDOWN: Duration = Duration::from_secs(20);
/// Longest wait for a creation in another process to notice that its end was asked for.
const CREATION: Duration = Duration::from_secs(30);

/// Ends a sandbox and returns when nothing of it runs. The work goes on when the future is dropped.
pub(crate) async fn terminate(engine: &Engine, id: &SandboxId) -> Result<SandboxInfo> {
    let (engine_of_task, engine, id) = (engine.clone(), engine.clone(), id.clone());
    let end = async move {
        let row = end(&engine, &id).await?;
        engine
            .blocking(move |inner| {
                // It has ended, whatever hinders this; the next round goes on with it.
                drop(free_files(inner, &row));
                Ok(row.info)
            })
            .await
    };
    engine_of_task.detached(end).await
}

/// Ends one that nobody has adopted since a call made it.
pub(crate) async fn take_back(engine: &Engine, made: &SandboxInfo) -> Result<()> {
    let (engine, id, birth) = (engine.clone(), made.id.clone(), made.birth);
    let begin = move |inner: &Inner| loop {
        let row = inner.row(&id)?;
        if row.phase != Phase::Running || row.info.birth != birth {
            return Ok(None);
        }
        if inner.store.begin_end_of(&row, EndReason::Terminated)? {
            return Ok(Some(row));
        }
    };
    engine
        .clone()
        .detached(async move {
            match engine.blocking(begin).await {
                Ok(Some(row)) => end_begun(&engine, row).await.map(drop),
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        })
        .await
}

/// Ends one and returns its row as it is then; its files are there still.
pub(super) async fn end(engine: &Engine, id: &SandboxId) -> Result<SandboxRow> {
    let row = engine.row(id).await?;
    if row.phase == Phase::Ended {
        return Ok(row);
    }
    let asked = id.clone();
    engine.blocking(move |inner| inner.store.begin_end(&asked, EndReason::Terminated)).await?;
    match row.phase {
        Phase::Creating => abandon(engine, row).await,
        _ => end_begun(engine, row).await,
    }
}

/// Ends one that took commands and whose end was begun: its agent is asked, then killed.
async fn end_begun(engine: &Engine, row: SandboxRow) -> Result<SandboxRow> {
    let dir = engine.inner().store.sandbox_dir(&row.info.id);
    // Asked first, so that it records its result; whatever it answers or does not, it is waited for and killed below.
    let asked = tokio::time::timeout(GRACE, async {
        Ok::<_, Error>(Agent::connect(&dir).await?.terminate(reason::TERMINATED).await?)
    })
    .await;
    let grace = if matches!(asked, Ok(Ok(()))) { GRACE } else { Duration::ZERO };
    engine.blocking(move |inner| finish(inner, &row, grace)).await
}

fn finish(inner: &Inner, row: &SandboxRow, grace: Duration) -> Result<SandboxRow> {
    if let Some(pidfd) = row.agent.map(crate::watch::open_agent).transpose()?.flatten() {
        // One that is too slow is killed.
        settle::wait_for_exit(&pidfd, grace)?;
    }
    let ended = settle::finish_end(inner, row, TEARDOWN)?;
    if ended.phase == Phase::Ended { Ok(ended) } else { Err(still_there(inner, row)) }
}

/// Says what does not die.
pub(super) fn still_there(inner: &Inner, row: &SandboxRow) -> Error {
    let (store, id) = (inner.store.id(), &row.info.id);
    let members = cgroup::members(store, id.as_str()).unwrap_or_default();
    let agent = row.agent.map(|agent| agent.pid);
    let left: Vec<String> = members.into_iter().chain(agent).filter_map(store::describe_process).collect();
    let message = format!(
        "sandbox {id} is still ending: what was killed has not died within {} s ({}); it ends by itself when the kernel lets go of it",
        TEARDOWN.as_secs(),
        left.join(", ")
    );
    Error::new(ErrorKind::Unavailable, message)
}

/// Ends one whose creator still works on it: the creator undoes it when it comes to its end.
async fn abandon(engine: &Engine, row: SandboxRow) -> Result<SandboxRow> {
    let id = row.info.id.clone();
    let gone = async {
        loop {
            match engine.row(&id).await {
                // Undone, row and all.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(settle::ended(&row, EndReason::Terminated));
                }
                Ok(now) if now.phase == Phase::Creating => {}
                now => return now,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(CREATION, gone).await {
        // It was ready just before its end was begun.
        Ok(Ok(row)) if row.phase == Phase::Running => end_begun(engine, row).await,
        Ok(row) => row,
        Err(_) => {
            Err(Error::new(ErrorKind::Unavailable, format!("sandbox {id} is still being created: try again")))
        }
    }
}
