//! Input of a command: a spool that callers append to by offset and that the agent pumps.

use super::{folder, signal::require_started, spool::Window, start, state};
use crate::{
    agent::Refusal,
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    exec::StdinState,
    id::{ExecId, SandboxId},
    lifecycle::wait::Over,
    watch::Watch,
};
use rustix::{
    fs::{FallocateFlags, FlockOperation},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Marks in the folder that no more input comes.
const EOF: &str = "stdin.eof";

/// Names the offset at which a command has been known not to read on: whoever writes does not wait for it once more.
const STALLED: &str = "stdin.stalled";
/// How often a command that does not read is looked at, in case its end tells nobody.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes that an agent may have handed over and not yet taken off the disk.
const SLACK: u64 = 1 << 20;

/// Accepts input, once the command has read enough of what came before. Each try is in a task of its own, so that a dropped future does
/// not leave bytes that the agent was not told of; dropped while it waits, nothing was accepted.
pub(crate) async fn write(
    engine: &Engine,
    id: &SandboxId,
    exec: &ExecId,
    offset: u64,
    data: &[u8],
    eof: bool,
) -> Result<StdinState> {
    let data: Arc<[u8]> = data.into();
    let mut wait: Option<Wait> = None;
    loop {
        if let Some(wait) = &mut wait {
            wait.changes.mark_seen();
        }
        let (of, id_of, exec_of, data) = (engine.clone(), id.clone(), exec.clone(), Arc::clone(&data));
        let offer = async move { offer(&of, &id_of, &exec_of, offset, data, eof).await };
        let consumed = match engine.detached(offer).await? {
            Accepted::State(state) => return Ok(state),
            Accepted::Full { consumed } => consumed,
        };
        match &mut wait {
            Some(wait) => wait.room(engine, consumed).await?,
            // What changes from here on is seen; what changed before, by the next look.
            None => wait = Some(Wait::open(engine, id, exec, consumed).await?),
        }
    }
}

/// A wait for a command to read.
struct Wait {
    changes: Watch,
    over: Over,
    folder: PathBuf,
    /// How far it had read, and since when.
    stands: (u64, Instant),
    told: bool,
}

impl Wait {
    async fn open(engine: &Engine, id: &SandboxId, exec: &ExecId, consumed: u64) -> Result<Self> {
        let (id, exec) = (id.clone(), exec.clone());
        let open = move |inner: &Inner| {
            let row = inner.store.sandbox_row(&id)?;
            let (changes, over) = (folder::watch(inner, &id, &exec)?, Over::watch(inner, &row)?);
            let stands = (consumed, Instant::now());
            Ok(Self { changes, over, folder: folder::path(inner, &id, &exec), stands, told: false })
        };
        engine.blocking(open).await
    }

    /// Returns when another try is worth it. A command that has not read on for long is noted: it is not waited for below the quota.
    async fn room(&mut self, engine: &Engine, consumed: u64) -> Result<()> {
        let patience = engine.inner().config.reader_patience;
        if consumed != self.stands.0 {
            (self.stands, self.told) = ((consumed, Instant::now()), false);
        }
        if self.stands.1.elapsed() >= patience && !self.told {
            self.told = true;
            let mark = self.folder.join(STALLED);
            return engine
                .blocking(move |_| std::fs::write(mark, consumed.to_string()).map_err(failed))
                .await;
        }
        let left = patience.saturating_sub(self.stands.1.elapsed());
        let next = if self.told { LOOK_AGAIN } else { left.min(LOOK_AGAIN) };
        tokio::select! {
            () = self.changes.changed() => {}
            () = self.over.happened() => {}
            () = tokio::time::sleep(next) => {}
        }
        Ok(())
    }
}

/// What became of an offer.
enum Accepted {
    State(StdinState),
    /// Nothing: the command, which has read so far, must read first.
    Full {
        consumed: u64,
    },
}

async fn offer(
    engine: &Engine,
    id: &SandboxId,
    exec: &ExecId,
    offset: u64,
    data: Arc<[u8]>,
    eof: bool,
) -> Result<Accepted> {
    let ended = state::now(engine, id, exec).await?.end.is_some();
    let place = folder::path(engine.inner(), id, exec);
    let accept = async |by: Rule| {
        let (spool, name, data) = (place.clone(), exec.clone(), Arc::clone(&data));
        let offer = Offer { offset, data, eof, ended };
        engine.blocking(move |inner| accept(inner, &spool, &name, &offer, by)).await
    };
    let accepted = match accept(Rule::Waiting).await? {
        Accepted::Full { consumed } => {
            let handed = handed(engine, id, exec).await?;
            if handed <= consumed.saturating_add(SLACK) {
                return Ok(Accepted::Full { consumed });
            }
            // It reads, and its agent cannot take off the disk what was read.
            accept(Rule::Total).await?
        }
        accepted => accepted,
    };
    let Accepted::State(state) = accepted else { return Ok(accepted) };
    if !ended {
        let agent = engine.agent(id).await?;
        match agent.stdin(exec.as_str(), state.accepted, state.closed).await {
            Err(refusal) if refusal.is(Errno::SRCH) => {
                engine.blocking(move |_| forget(&place)).await?;
                return Err(closed(exec, "it has ended"));
            }
            told => told.map_err(|refusal| not_taken(exec, refusal))?,
        }
    }
    Ok(Accepted::State(state))
}

/// How many bytes a command was given.
async fn handed(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<u64> {
    let agent = engine.agent(id).await?;
    match agent.stdin_status(exec.as_str()).await {
        Ok((_, true)) => Err(closed(exec, "it closed its input")),
        asked => Ok(asked.map_err(|refusal| not_taken(exec, refusal))?.0),
    }
}

fn not_taken(exec: &ExecId, refusal: Refusal) -> Error {
    match refusal {
        refusal if refusal.is(Errno::SRCH) => closed(exec, "it has ended"),
        refusal if refusal.is(Errno::PIPE) => closed(exec, "it closed its input"),
        refusal => start::refused("cannot hand over input", refusal),
    }
}

/// Takes input off the disk that came after its command's end, when its agent has no eye on the spool any more; offsets stay.
fn forget(folder: &Path) -> Result<()> {
    let spool = OpenOptions::new().write(true).open(folder.join("stdin")).map_err(failed)?;
    let length = spool.metadata().map_err(failed)?.len();
    let holes = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(&spool, holes, 0, length) {
        // Empty, or on a file system without holes, where it stays until the folder goes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) | Ok(()) => Ok(()),
        Err(errno) => Err(failed(errno.into())),
    }
}

struct Offer {
    offset: u64,
    data: Arc<[u8]>,
    eof: bool,
    ended: bool,
}

/// What is bounded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The bytes that wait to be read.
    Waiting,
    /// All bytes, where what was read stays on the disk.
    Total,
}

/// Appends what is new of an offer, under the spool's lock.
fn accept(inner: &Inner, folder: &Path, exec: &ExecId, offer: &Offer, by: Rule) -> Result<Accepted> {
    let spool = open_spool(folder, exec)?;
    rustix::fs::flock(&spool, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
    let now = read_state(folder, &spool)?;
    let fresh = fresh_bytes(offer, now.accepted)?;
    let adds = !fresh.is_empty() || (offer.eof && !now.closed);
    if adds && (now.closed || offer.ended) {
        return Err(closed(exec, if now.closed { "its input is closed" } else { "it has ended" }));
    }
    let (all, quota) = (now.accepted + fresh.len() as u64, inner.config.output_quota);
    if fresh.len() as u64 > quota || (by == Rule::Total && all > quota) {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("input of the command {exec} past {quota} bytes: use a file instead"),
        ));
    }
    if by == Rule::Waiting && !fresh.is_empty() {
        let consumed = consumed(&spool, now.accepted, Window::of(&inner.config).hold.min(quota));
        if !has_room(inner, folder, now.accepted - consumed, consumed, all) {
            return Ok(Accepted::Full { consumed });
        }
    }
    spool.write_all_at(fresh, now.accepted).map_err(failed)?;
    if offer.eof && !now.closed {
        File::create(folder.join(EOF)).map_err(failed)?;
    }
    Ok(Accepted::State(StdinState { accepted: all, closed: now.closed || offer.eof }))
}

/// How far a command has read, as its spool shows: what was read is off the disk. Not asked for while `few` were accepted.
fn consumed(spool: &File, accepted: u64, few: u64) -> u64 {
    if accepted < few {
        return 0;
    }
    openlattice_sys::data_from(spool.as_fd(), 0).map_or(0, |first| first.unwrap_or(accepted))
}

/// Whether more is taken beside the bytes that wait. A command that is known to have stopped reading there is not waited for below the quota.
fn has_room(inner: &Inner, folder: &Path, waiting: u64, consumed: u64, all: u64) -> bool {
    if all - consumed > inner.config.output_quota {
        return false;
    }
    let window = Window::of(&inner.config).hold;
    let stalled = || std::fs::read_to_string(folder.join(STALLED)).is_ok_and(|at| at == consumed.to_string());
    window == 0 || waiting < window || stalled()
}

/// The part of an offer that lies past what was accepted.
fn fresh_bytes(offer: &Offer, accepted: u64) -> Result<&[u8]> {
    if offer.data.is_empty() {
        return Ok(&[]);
    }
    let Some(known) = accepted.checked_sub(offer.offset) else {
        return Err(Error::invalid(format!(
            "input at offset {} leaves a gap: {accepted} bytes were accepted",
            offer.offset
        )));
    };
    let known = usize::try_from(known).unwrap_or(usize::MAX).min(offer.data.len());
    Ok(&offer.data[known..])
}

/// How far input got.
pub(crate) async fn state(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<StdinState> {
    let ended = state::now(engine, id, exec).await?.end.is_some();
    let (place, exec) = (folder::path(engine.inner(), id, exec), exec.clone());
    let now = engine.blocking(move |_| read_state(&place, &open_spool(&place, &exec)?)).await?;
    Ok(StdinState { closed: now.closed || ended, ..now })
}

/// A command without a spool reads `/dev/null`.
fn open_spool(folder: &Path, exec: &ExecId) -> Result<File> {
    require_started(folder, exec)?;
    match OpenOptions::new().read(true).write(true).open(folder.join("stdin")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(closed(exec, "it was started without input")),
        spool => spool.map_err(failed),
    }
}

fn read_state(folder: &Path, spool: &File) -> Result<StdinState> {
    let accepted = spool.metadata().map_err(failed)?.len();
    Ok(StdinState { accepted, closed: folder.join(EOF).exists() })
}

fn closed(exec: &ExecId, why: &str) -> Error {
    Error::new(ErrorKind::FailedPrecondition, format!("the command {exec} takes no input: {why}"))
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot spool input", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g8_input_that_came_too_late_is_forgotten_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("stdin");
        std::fs::write(&spool, b"planted").unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(std::fs::read(&spool).unwrap(), [0; 7]);
        std::fs::write(&spool, b"").unwrap();
        forget(dir.path()).unwrap();
    }

    fn offer(offset: u64, data: &str) -> Offer {
        Offer { offset, data: data.as_bytes().into(), eof: false, ended: false }
    }

    #[test]
    fn what_was_accepted_is_skipped_and_a_gap_refused() {
        assert_eq!(fresh_bytes(&offer(0, "abc"), 0).unwrap(), b"abc");
        assert_eq!(fresh_bytes(&offer(0, "abc"), 2).unwrap(), b"c");
        assert_eq!(fresh_bytes(&offer(0, "abc"), 9).unwrap(), b"");
        assert_eq!(fresh_bytes(&offer(9, ""), 2).unwrap(), b"");
        assert_eq!(fresh_bytes(&offer(3, "d"), 2).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
