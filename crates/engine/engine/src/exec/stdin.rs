//! Input of a command: a spool that callers append to by offset and that the agent pumps.

use super::{folder, signal::require_started, start, state};
use crate::{
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    exec::StdinState,
    id::{ExecId, SandboxId},
};
use rustix::{
    fs::{FallocateFlags, FlockOperation},
    io::Errno,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// Marks in the folder that no more input comes.
const EOF: &str = "stdin.eof";

/// Accepts input; in a task of its own, so that a dropped future does not leave bytes that the agent was not told of.
pub(crate) async fn write(
    engine: &Engine,
    id: &SandboxId,
    exec: &ExecId,
    offset: u64,
    data: &[u8],
    eof: bool,
) -> Result<StdinState> {
    let (engine, id, exec, data) = (engine.clone(), id.clone(), exec.clone(), data.to_vec());
    engine.clone().detached(async move { offer(&engine, &id, &exec, offset, data, eof).await }).await
}

async fn offer(
    engine: &Engine,
    id: &SandboxId,
    exec: &ExecId,
    offset: u64,
    data: Vec<u8>,
    eof: bool,
) -> Result<StdinState> {
    let ended = state::now(engine, id, exec).await?.end.is_some();
    let place = folder::path(engine.inner(), id, exec);
    let (spool, name) = (place.clone(), exec.clone());
    let state = engine
        .blocking(move |inner| accept(inner, &spool, &name, Offer { offset, data, eof, ended }))
        .await?;
    if ended {
        return Ok(state);
    }
    let agent = engine.agent(id).await?;
    match agent.stdin(exec.as_str(), state.accepted, state.closed).await {
        Err(refusal) if refusal.is(Errno::SRCH) => {
            engine.blocking(move |_| forget(&place)).await?;
            Err(closed(exec, "it has ended"))
        }
        Err(refusal) if refusal.is(Errno::PIPE) => Err(closed(exec, "it closed its input")),
        result => result.map(|()| state).map_err(|refusal| start::refused("cannot hand over input", refusal)),
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
    data: Vec<u8>,
    eof: bool,
    ended: bool,
}

/// Appends what is new of an offer, under the spool's lock.
fn accept(inner: &Inner, folder: &Path, exec: &ExecId, offer: Offer) -> Result<StdinState> {
    let spool = open_spool(folder, exec)?;
    rustix::fs::flock(&spool, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
    let now = read_state(folder, &spool)?;
    let fresh = fresh_bytes(&offer, now.accepted)?;
    let adds = !fresh.is_empty() || (offer.eof && !now.closed);
    if adds && (now.closed || offer.ended) {
        return Err(closed(exec, if now.closed { "its input is closed" } else { "it has ended" }));
    }
    if now.accepted + fresh.len() as u64 > inner.config.output_quota {
        let quota = inner.config.output_quota;
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("input of the command {exec} past {quota} bytes: use a file instead"),
        ));
    }
    spool.write_all_at(fresh, now.accepted).map_err(failed)?;
    if offer.eof && !now.closed {
        File::create(folder.join(EOF)).map_err(failed)?;
    }
    Ok(StdinState { accepted: now.accepted + fresh.len() as u64, closed: now.closed || offer.eof })
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
        Offer { offset, data: data.as_bytes().to_vec(), eof: false, ended: false }
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
