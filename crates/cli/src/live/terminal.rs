//! Our own terminal, when the command gets one too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use clap::Args;
use openlattice::{PtySize, Signal};
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{self, SignalKind};

use crate::failure::{Failure, Result};

/// The size where ours has none to tell.
const USUAL: PtySize = PtySize { rows: 24, cols: 80 };

/// How a command is tied to our terminal.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TerminalArguments {
    /// Give the command a terminal like the one on our standard input, and every key to the command
    ///
    /// All of its output is then on standard output. The size is passed on, and its changes where the provider can.
    #[arg(short = 't', long)]
    tty: bool,
    /// Forward standard input, which is done without it too
    #[arg(short = 'i', long)]
    interactive: bool,
}

impl TerminalArguments {
    /// Takes our terminal if the command shall have one; refuses where there is none.
    pub(crate) fn terminal(self) -> Result<Option<Terminal>> {
        self.tty.then(Terminal::take).transpose()
    }
}

/// The terminal on our standard input.
#[derive(Debug)]
pub(crate) struct Terminal {
    changes: unix::Signal,
    quits: unix::Signal,
}

/// What happens at a terminal beside input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It has another size.
    Resized(PtySize),
    /// A signal told us to stop that would leave it raw.
    Signal(Signal),
}

impl Terminal {
    fn take() -> Result<Self> {
        if !termios::isatty(io::stdin()) {
            return Err(Failure::invalid(
                "-t: standard input is no terminal: run it from one, or leave -t out",
            ));
        }
        let catch = |kind| unix::signal(kind).map_err(|error| Failure::from_io("catch signals", error));
        Ok(Self { changes: catch(SignalKind::window_change())?, quits: catch(SignalKind::quit())? })
    }

    /// Its size now.
    pub(crate) fn size(&self) -> PtySize {
        match termios::tcgetwinsize(io::stdin()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                PtySize { rows: size.ws_row, cols: size.ws_col }
            }
            _ => USUAL,
        }
    }

    /// Passes every key on as it is, until the guard is dropped.
    pub(super) fn raw(&self) -> Result<Raw> {
        let ours = io::stdin().as_fd().try_clone_to_owned();
        ours.and_then(Raw::enter).map_err(|error| Failure::from_io("change the mode of the terminal", error))
    }

    /// Waits for the next event. Cancel-safe.
    async fn event(&mut self) -> Event {
        tokio::select! {
            _ = self.changes.recv() => Event::Resized(self.size()),
            _ = self.quits.recv() => Event::Signal(Signal::QUIT),
        }
    }
}

/// Waits for the next event of a terminal, for ever without one. Cancel-safe.
pub(super) async fn next(terminal: &mut Option<Terminal>) -> Event {
    match terminal {
        Some(terminal) => terminal.event().await,
        None => std::future::pending().await,
    }
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
