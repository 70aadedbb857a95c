//! Output of a command to a stream of ours.

use std::io;

use openlattice::{Dropped, OutputReader};
use rustix::io::Errno;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use crate::failure::{Failure, Result};
use crate::output::Sink;

/// How a pump ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// All was written, up to where the provider dropped output, if it did.
    Whole { dropped: Option<Dropped> },
    /// Nobody reads our stream any more.
    BrokenPipe,
}

/// Writes what a reader has, each piece at once: output is live, and a prompt has no line end.
///
/// Output to a terminal that was lost is read on and thrown away, so that the command can end by itself; `hung_up` is told.
pub(super) async fn pump(mut reader: Box<dyn OutputReader>, sink: Sink, hung_up: &Notify) -> Result<Pumped> {
    // Asked now: a terminal that was lost says no.
    let (terminal, mut lost) = (sink.is_terminal(), false);
    while let Some(chunk) = reader.next_chunk().await? {
        if lost {
            continue;
        }
        let written = spawn_blocking(move || sink.write_all(&chunk.data));
        match written.await.map_err(io::Error::other).flatten() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Pumped::BrokenPipe),
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) && terminal => {
                lost = true;
                hung_up.notify_one();
            }
            written => written.map_err(|error| Failure::from_io(sink.action(), error))?,
        }
    }
    Ok(Pumped::Whole { dropped: reader.dropped() })
}
