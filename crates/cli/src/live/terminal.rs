//! Our own terminal, when the command gets one too.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, OwnedFd};

use clap::Args;
use openlattice::{PtySize, Stdin};
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{self, SignalKind};

use crate::failure::{Failure, Result};

/// The size where ours has none to tell.
const USUAL: PtySize = PtySize { rows: 24, cols: 80 };

/// How a command is tied to our streams.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StreamsArguments {
    /// Give the command a terminal; with -i every key goes to the command
    ///
    /// All of its output is then on standard output. The size is that of our terminal, and its changes are passed on where the
    /// provider can.
    #[arg(short = 't', long)]
    tty: bool,
    /// Forward standard input; without it the command reads the end of file
    #[arg(short = 'i', long)]
    interactive: bool,
}

impl StreamsArguments {
    /// Takes what the command shall have; refuses -it where standard input is no terminal.
    pub(crate) fn take(self) -> Result<Streams> {
        if self.tty && self.interactive && !io::stdin().is_terminal() {
            return Err(Failure::invalid(
                "-it: standard input is not a terminal\nhint: use -i alone to forward it",
            ));
        }
        let caught = |()| unix::signal(SignalKind::window_change());
        let changes = self.tty.then_some(()).map(caught).transpose();
        let changes = changes.map_err(|error| Failure::from_io("catch signals", error))?;
        Ok(Streams { input: self.interactive, changes })
    }
}

/// What a command has of our streams.
#[derive(Debug)]
pub(crate) struct Streams {
    /// Whether our standard input is forwarded.
    pub(super) input: bool,
    /// Changes of size, where the command has a terminal.
    changes: Option<unix::Signal>,
}

impl Streams {
    /// What the command reads.
    pub(crate) fn stdin(&self) -> Stdin {
        if self.input { Stdin::Open } else { Stdin::Closed }
    }

    /// The size of its terminal, if it has one.
    pub(crate) fn size(&self) -> Option<PtySize> {
        self.changes.as_ref().map(|_| size())
    }

    /// Passes every key on as it is, until the guard is dropped; nothing without a terminal and input.
    pub(super) fn raw(&self) -> Result<Option<Raw>> {
        if !self.input || self.changes.is_none() {
            return Ok(None);
        }
        let ours = io::stdin().as_fd().try_clone_to_owned();
        let raw = ours.and_then(Raw::enter);
        raw.map(Some).map_err(|error| Failure::from_io("change the mode of the terminal", error))
    }

    /// Waits for another size of the terminal, for ever without one. Cancel-safe.
    pub(super) async fn resized(&mut self) -> PtySize {
        match &mut self.changes {
            Some(changes) => changes.recv().await,
            None => std::future::pending().await,
        };
        size()
    }
}

/// The size of our terminal now, of whichever stream is one.
fn size() -> PtySize {
    let sizes = [
        termios::tcgetwinsize(io::stdin()),
        termios::tcgetwinsize(io::stdout()),
        termios::tcgetwinsize(io::stderr()),
    ];
    let told = sizes.into_iter().flatten().find(|size| size.ws_row > 0 && size.ws_col > 0);
    told.map_or(USUAL, |size| PtySize { rows: size.ws_row, cols: size.ws_col })
}

/// A terminal that is raw as long as this lives.
#[derive(Debug)]
pub(super) struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    fn enter(terminal: OwnedFd) -> io::Result<Self> {
        let before = termios::tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        // From here on it is put back whatever happens, a panic included.
        let guard = Self { terminal, before };
        termios::tcsetattr(&guard.terminal, OptionalActions::Now, &raw)?;
        Ok(guard)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // At once: output that nobody reads must not hold it up. A terminal that is gone needs no putting back.
        let _gone = termios::tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    #[test]
    fn m12_a_panic_leaves_no_raw_terminal() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let cooked = || termios::tcgetattr(&line).unwrap().local_modes.contains(LocalModes::ICANON);
        let ours = line.try_clone().unwrap();
        let panicked = std::panic::catch_unwind(|| {
            let _raw = Raw::enter(ours).unwrap();
            assert!(cooked(), "it is raw, so this panics");
        });
        assert!(panicked.is_err() && cooked());
    }
}
