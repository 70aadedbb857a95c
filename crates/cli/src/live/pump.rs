//! Output of a command to a stream of ours.

use std::io;

use openlattice::OutputReader;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::failure::{Failure, Result};

/// How a pump ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// All was written, up to where the provider dropped output, if it did.
    Whole { dropped_from: Option<u64> },
    /// Nobody reads our stream any more.
    BrokenPipe,
}

pub(super) async fn stdout(reader: Box<dyn OutputReader>) -> Result<Pumped> {
    pump(reader, tokio::io::stdout(), "write to standard output").await
}

pub(super) async fn stderr(reader: Box<dyn OutputReader>) -> Result<Pumped> {
    pump(reader, tokio::io::stderr(), "write to standard error").await
}

async fn pump(
    mut reader: Box<dyn OutputReader>,
    mut stream: impl AsyncWrite + Unpin,
    action: &str,
) -> Result<Pumped> {
    while let Some(chunk) = reader.next_chunk().await? {
        // Flushed at once: output is live, and a prompt has no line end.
        let written = match stream.write_all(&chunk.data).await {
            Ok(()) => stream.flush().await,
            failed => failed,
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Pumped::BrokenPipe),
            written => written.map_err(|error| Failure::from_io(action, error))?,
        }
    }
    Ok(Pumped::Whole { dropped_from: reader.dropped_from() })
}
