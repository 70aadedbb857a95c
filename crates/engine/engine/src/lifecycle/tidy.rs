//! Rounds of clean-up in the background, while a front lives.

use crate::{config::GcSpec, engine::Inner, error::Result, lifecycle::gc};
use rustix::fs::FlockOperation;
use std::{
    sync::{
        Arc, OnceLock, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, SystemTime},
};

/// Between two rounds of a store, whoever makes them.
const INTERVAL: Duration = Duration::from_secs(60);
/// Held during a round; it was changed at the end of the last.
const MARK: &str = "sweep";

/// The thread that makes the rounds; it ends when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Tidier(OnceLock<Sender<()>>);

impl Tidier {
    /// Starts the thread, once. Without a thread to be had, other fronts and `gc` make the rounds.
    pub(crate) fn start(inner: &Arc<Inner>) {
        inner.tidier.0.get_or_init(|| {
            let ((sender, over), weak) = (mpsc::channel(), Arc::downgrade(inner));
            let thread = thread::Builder::new().name("lattice-tidy".to_owned());
            drop(thread.spawn(move || rounds(&weak, &over)));
            sender
        });
    }
}

fn rounds(inner: &Weak<Inner>, over: &Receiver<()>) {
    loop {
        // Nobody is there to be told of a failure: the next round tries again, and `gc` says what is wrong.
        match inner.upgrade() {
            Some(inner) => drop(round_if_due(&inner)),
            None => return,
        }
        if over.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Makes a round when the last one of the store, by any process, was long ago. One that is cut short by the end of its process is gone on
/// with by the next.
fn round_if_due(inner: &Inner) -> Result<()> {
    if !is_due(inner) {
        return Ok(());
    }
    let Some(mark) = inner.store.lock(MARK, FlockOperation::NonBlockingLockExclusive)? else { return Ok(()) };
    if !is_due(inner) {
        return Ok(());
    }
    let outcome = gc::round(inner, &GcSpec::default());
    // Also after a failure, which another try at once would only meet again.
    mark.set_modified(SystemTime::now())
        .map_err(|e| crate::error::Error::io("cannot note a round of clean-up", e))?;
    outcome.map(drop)
}

/// A store without a mark is new.
fn is_due(inner: &Inner) -> bool {
    let Ok(last) = inner.store.lock_file(MARK).metadata().and_then(|mark| mark.modified()) else {
        // Made now, for the next time.
        drop(inner.store.lock(MARK, FlockOperation::NonBlockingLockShared));
        return false;
    };
    // A time ahead of now is of a clock that was wrong.
    SystemTime::now().duration_since(last).is_ok_and(|age| age >= INTERVAL)
        || last > SystemTime::now() + INTERVAL
}
