//! Brings a row up to date with what has really happened to its sandbox.

use crate::{
    cgroup, clock,
    engine::Inner,
    error::{Error, ErrorKind, Result},
    lifecycle::remove::free_files,
    protocol::{self, reason},
    sandbox::{EndReason, SandboxEnd, SandboxState},
    store::{self, Phase, SandboxRow},
    watch,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::FlockOperation,
    process::{Signal, pidfd_send_signal},
};
use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

/// Longest wait for the kernel to take apart what a dead agent leaves, by whoever asks for one sandbox.
pub(crate) const TEARDOWN: Duration = Duration::from_millis(500);

/// Returns `row` as it is now: an end that nobody has recorded is recorded, a creation whose creator is gone is undone, a freeze
/// whose snapshot is gone is lifted. Cheap for one that lives: one lock is tested. One that is not over within `patience` is
/// described as ending.
pub(crate) fn settle(inner: &Inner, mut row: SandboxRow, patience: Duration) -> Result<SandboxRow> {
    loop {
        let Some(silent) = unrecorded_end(inner, &row)? else { return Ok(row) };
        match end_judged(inner, &row, silent, patience)? {
            Some(ended) => {
                // What hinders it now hinders the next round less.
                drop(free_files(inner, &ended));
                return Ok(ended);
            }
            // It is not what was judged any more: judged anew.
            None => row = inner.store.sandbox_row(&row.info.id)?,
        }
    }
}

/// Why a row must be ended, unless its agent has recorded why; `None` for one that lives, is being made, or has ended.
fn unrecorded_end(inner: &Inner, row: &SandboxRow) -> Result<Option<EndReason>> {
    match row.phase {
        Phase::Ended => Ok(None),
        Phase::Creating if row.creator.is_gone() => Ok(Some(row.ending.unwrap_or(EndReason::Failed))),
        Phase::Creating => Ok(None),
        Phase::Running if inner.store.is_locked(&row.info.id)? => {
            thaw_if_left(inner, row)?;
            Ok(None)
        }
        Phase::Running => Ok(Some(row.ending.unwrap_or(EndReason::Lost))),
    }
}

/// Ends a sandbox that was judged by its row and describes it; `None` when the row is not what was judged any more, and then nothing was
/// done. The decision is written before anything is killed, so that no other process can have made something else of it meanwhile.
pub(crate) fn end_judged(
    inner: &Inner,
    judged: &SandboxRow,
    silent: EndReason,
    patience: Duration,
) -> Result<Option<SandboxRow>> {
    if judged.ending.is_none() && !inner.store.begin_end_of(judged, silent)? {
        return Ok(None);
    }
    finish_end(inner, judged, patience).map(Some)
}

/// Goes on with an end that was begun: makes sure that nothing runs, and records why it ended. Describes it as ending when something is
/// left after `patience`.
pub(crate) fn finish_end(inner: &Inner, row: &SandboxRow, patience: Duration) -> Result<SandboxRow> {
    let (store, id) = (&inner.store, &row.info.id);
    if !kill(inner, row, patience)? {
        return store.sandbox_row(id);
    }
    let now = match store.sandbox_row(id) {
        // Somebody was quicker and has removed it as well.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(ended(row, EndReason::Terminated)),
        now => now?,
    };
    let end = read_result(&store.sandbox_dir(id), row.info.created_at)
        .unwrap_or(SandboxEnd { reason: now.ending.unwrap_or(EndReason::Terminated), at: SystemTime::now() });
    if row.phase == Phase::Creating {
        store.discard(&store.sandbox_dir(id))?;
        store.set_folder_gone(id)?;
    }
    store.set_ended(id, &end)?;
    match store.sandbox_row(id) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ended(row, end.reason)),
        now => now,
    }
}

/// What is said of one that has ended and is known no more.
pub(crate) fn ended(row: &SandboxRow, reason: EndReason) -> SandboxRow {
    let mut row = SandboxRow { phase: Phase::Ended, folder: false, files: false, ..row.clone() };
    row.info.state = SandboxState::Ended(SandboxEnd { reason, at: SystemTime::now() });
    row
}

/// Kills the agent and with it everything in its pid namespace, waits until all of it is gone, and removes the control groups. False when
/// something is left after `patience`. Its end must have been begun.
pub(crate) fn kill(inner: &Inner, row: &SandboxRow, patience: Duration) -> Result<bool> {
    let (store, id) = (&inner.store, row.info.id.as_str());
    let limit = Instant::now() + patience;
    if let Some(pidfd) = row.agent.map(watch::open_agent).transpose()?.flatten() {
        // One that has ended since cannot be signalled; the wait below sees that.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        // After the kill, so that what was frozen (a v1 freezer holds back even SIGKILL) does not run again before it dies.
        cgroup::thaw(store.id(), id)?;
        if !wait_for_exit(&pidfd, patience)? {
            return Ok(false);
        }
    }
    cgroup::remove(store.id(), id, limit.saturating_duration_since(Instant::now()))
}

/// Waits until a process has ended; false when it has not within `limit`. For PID 1 of a pid namespace that is when every process of it
/// has been reaped (pid_namespaces(7)), which is later than the release of the locks it held.
pub(crate) fn wait_for_exit(pidfd: &OwnedFd, limit: Duration) -> Result<bool> {
    let timeout = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::io("cannot wait for the agent's end", e)),
            Ok(ready) => return Ok(ready > 0),
        }
    }
}

/// A snapshot that died while its sandbox was frozen must not leave it so.
fn thaw_if_left(inner: &Inner, row: &SandboxRow) -> Result<()> {
    if !row.frozen {
        return Ok(());
    }
    let operation = FlockOperation::NonBlockingLockExclusive;
    if let Some(_lock) = inner.lock_snapshot(&row.info.id, operation)? {
        cgroup::thaw(inner.store.id(), row.info.id.as_str())?;
        inner.store.set_frozen(&row.info.id, false)?;
    }
    Ok(())
}

/// What the agent has recorded. Its bytes are hostile: anything odd counts as nothing, and a time outside the sandbox's life is cut.
fn read_result(dir: &Path, created: SystemTime) -> Option<SandboxEnd> {
    let mut bytes = Vec::new();
    File::open(dir.join("result")).ok()?.take(64).read_to_end(&mut bytes).ok()?;
    let (reason, at) = parse_result(&bytes)?;
    Some(SandboxEnd { reason, at: at.clamp(created, SystemTime::now().max(created)) })
}

fn parse_result(bytes: &[u8]) -> Option<(EndReason, SystemTime)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if word(0)? != protocol::RESULT_MAGIC || word(4)? > protocol::VERSION {
        return None;
    }
    let code = word(12)?.cast_signed();
    let ended = u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?);
    let reason = match word(8)? {
        reason::EXITED => EndReason::Exited(code & 0xff),
        reason::SIGNALED => EndReason::Signaled(code),
        reason::TIMEOUT => EndReason::TimedOut,
        reason::IDLE => EndReason::Idle,
        reason::TERMINATED => EndReason::Terminated,
        reason::OOM => EndReason::OutOfMemory,
        _ => EndReason::Lost,
    };
    Some((reason, clock::from_ns(i64::try_from(ended).unwrap_or(i64::MAX))))
}

impl SandboxRow {
    /// Refuses what needs a living sandbox.
    pub(crate) fn require_running(&self) -> Result<()> {
        let state = match &self.info.state {
            SandboxState::Running => return Ok(()),
            SandboxState::Creating => "is still being created".to_owned(),
            SandboxState::Ending => "is ending".to_owned(),
            SandboxState::Ended(end) => format!("has ended ({:?})", end.reason),
        };
        let message = format!("sandbox {} {state}", self.info.id);
        Err(Error::new(crate::ErrorKind::FailedPrecondition, message))
    }
}

impl Inner {
    /// Locks a sandbox's file system: exclusively by the snapshot that freezes it, whose death can be told so, and by who removes it;
    /// shared by who changes it from outside. `None` when a non-blocking operation finds it taken, `NotFound` without a folder.
    pub(crate) fn lock_snapshot(
        &self,
        id: &crate::SandboxId,
        operation: FlockOperation,
    ) -> Result<Option<File>> {
        store::lock_at(&self.store.sandbox_dir(id).join("snapshot.lock"), operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Engine, EngineConfig, SandboxSpec, store::Process};

    /// The row of a process that has made a sandbox and is gone, as another process read it before the sandbox was ready.
    fn stale(row: &SandboxRow) -> SandboxRow {
        let gone = Process::parse("another-boot:1:1:1").unwrap();
        let mut stale = SandboxRow { phase: Phase::Creating, creator: gone, agent: None, ..row.clone() };
        stale.info.state = SandboxState::Creating;
        stale
    }

    #[tokio::test]
    async fn what_was_judged_on_an_older_row_is_judged_anew() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: sandboxes need root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(EngineConfig::new(dir.path())).await.unwrap();
        let id = engine.create(SandboxSpec::default()).await.unwrap().id;
        let inner = engine.inner();
        let row = inner.store.sandbox_row(&id).unwrap();
        assert_eq!(settle(inner, stale(&row), TEARDOWN).unwrap().info.state, SandboxState::Running);
        let gone = Process::parse("another-boot:1:1:1");
        for other in [SandboxRow { owner: gone, ..row.clone() }, SandboxRow { agent: None, ..row.clone() }] {
            assert!(end_judged(inner, &other, EndReason::Lost, TEARDOWN).unwrap().is_none());
        }
        assert!(inner.row(&id).unwrap().require_running().is_ok(), "it lives");
        let ended = end_judged(inner, &row, EndReason::Lost, Duration::from_secs(20)).unwrap().unwrap();
        assert_eq!(ended.phase, Phase::Ended);
        engine.remove(&id).await.unwrap();
    }

    fn record(magic: u32, version: u32, reason: u32, code: i32) -> Vec<u8> {
        let words = [magic, version, reason, code.cast_unsigned()];
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend(5_000_000_000_u64.to_le_bytes());
        bytes
    }

    #[test]
    fn a_result_is_read_as_written() {
        let (reason, at) = parse_result(&record(protocol::RESULT_MAGIC, 1, reason::EXITED, 7)).unwrap();
        assert_eq!(reason, EndReason::Exited(7));
        assert_eq!(at, clock::from_ns(5_000_000_000));
    }

    #[test]
    fn a_strange_result_is_none() {
        let good = record(protocol::RESULT_MAGIC, 1, reason::EXITED, 7);
        assert!(parse_result(&good[..23]).is_none());
        assert!(parse_result(&record(1, 1, reason::EXITED, 7)).is_none());
        assert!(
            parse_result(&record(protocol::RESULT_MAGIC, protocol::VERSION + 1, reason::EXITED, 7)).is_none()
        );
        assert_eq!(parse_result(&record(protocol::RESULT_MAGIC, 1, 99, 7)).unwrap().0, EndReason::Lost);
    }
}
