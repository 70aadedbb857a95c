//! Signals to us.

use std::fs;
use std::future::poll_fn;
use std::task::Poll;

use openlattice::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::failure::{Failure, Result};

/// Those that every system has, with the numbers that they have in a sandbox, which is Linux.
const EVERYWHERE: [(fn() -> SignalKind, i32); 7] = [
    (SignalKind::hangup, 1),
    (SignalKind::interrupt, 2),
    (SignalKind::quit, 3),
    (SignalKind::user_defined1, 10),
    (SignalKind::user_defined2, 12),
    (SignalKind::alarm, 14),
    (SignalKind::terminate, 15),
];
/// The others of Linux that end a process that does not catch them, as signal(7) lists them. Not those by which the kernel tells
/// of a fault of our own, nor SIGPIPE, which is an error of the write here.
#[cfg(target_os = "linux")]
const LINUX: [i32; 9] = [5, 6, 16, 24, 26, 27, 29, 30, 31];
/// Signals of real time: below them are two of the C library's own; the last one cannot be caught here.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::Range<i32> = 34..64;
/// SIGXFSZ is about our own files: caught, the write fails and we can say so.
#[cfg(target_os = "linux")]
const FILE_TOO_LARGE: i32 = 25;

/// Everything that ends a process that does not catch it.
#[derive(Debug)]
pub(crate) struct Signals {
    caught: Vec<(Signal, unix::Signal)>,
    _dropped: Vec<unix::Signal>,
}

impl Signals {
    /// Catches them from now on. A hang-up that we were started to ignore, as nohup(1) does, stays ignored; interrupt and quit do
    /// not, because every shell without job control has its background jobs ignore them.
    pub(crate) fn catch() -> Result<Self> {
        let nohup = ignores_hangup();
        let known = EVERYWHERE.into_iter().map(|(kind, number)| (kind(), number));
        #[cfg(target_os = "linux")]
        let known = known.chain(LINUX.into_iter().chain(REAL_TIME).map(|n| (SignalKind::from_raw(n), n)));
        let caught = known
            .filter(|(_, number)| !(nohup && *number == Signal::HUP.number()))
            .map(|(kind, number)| Ok((Signal::new(number)?, catch(kind)?)))
            .collect::<Result<_>>()?;
        #[cfg(target_os = "linux")]
        let dropped = vec![catch(SignalKind::from_raw(FILE_TOO_LARGE))?];
        #[cfg(not(target_os = "linux"))]
        let dropped = Vec::new();
        Ok(Self { caught, _dropped: dropped })
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut streams = self.caught.iter_mut();
            let come =
                streams.find_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

fn catch(kind: SignalKind) -> Result<unix::Signal> {
    unix::signal(kind).map_err(|error| Failure::from_io("catch signals", error))
}

/// Whether the hang-up is ignored, as proc_pid_status(5) tells.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
