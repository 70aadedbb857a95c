//! Our standard input to a command.

use std::io::{self, Read};
use std::os::fd::AsFd;

use openlattice::{Bytes, ErrorKind, ExecSession};
use rustix::event::PollFlags;
use tokio::sync::mpsc;

use crate::failure::{Failure, Result};
use crate::output;

/// Forwards standard input until its end, then announces that; returns early when the command takes no more.
pub(super) async fn forward(session: &dyn ExecSession) -> Result<()> {
    let mut pieces = read_in_thread();
    let mut offset = 0;
    while let Some(piece) = pieces.recv().await {
        let piece = piece.map_err(|error| Failure::from_io("read standard input", error))?;
        let length = piece.len() as u64;
        match session.write_stdin(offset, piece).await {
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => return Ok(()),
            written => written?,
        }
        offset += length;
    }
    Ok(session.close_stdin().await?)
}

/// Reads in a thread of its own: a read from a terminal cannot be given up, and a task of the runtime that waits in one
/// would hold up the end of the program.
fn read_in_thread() -> mpsc::Receiver<io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let piece = match io::stdin().lock().read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Somebody has set it non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match output::wait(io::stdin().as_fd(), PollFlags::IN) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            };
            let last = piece.is_err();
            if sender.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    receiver
}
