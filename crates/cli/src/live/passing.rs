//! Signals to us, passed on to the command.

use std::time::{Duration, Instant};

use openlattice::{ExecSession, Signal};

use crate::failure::Result;

/// A second interrupt within this time is meant for us and not for the command.
const TWICE: Duration = Duration::from_secs(2);
/// How long a command may take to end after a request to end or a lost terminal, as `docker stop` has it.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// What was passed on so far.
#[derive(Debug)]
pub(super) struct Passing {
    /// Whether the provider can send signals at all.
    possible: bool,
    interrupted: Option<Instant>,
    /// Until when the command may take to end, and what asked for that.
    grace: Option<(Instant, Signal)>,
}

impl Passing {
    pub(super) fn new(possible: bool) -> Self {
        Self { possible, interrupted: None, grace: None }
    }

    /// Passes a signal on. Gives it back where it is meant for us: the second of two interrupts, and every one that the provider
    /// cannot send.
    pub(super) async fn on(&mut self, session: &dyn ExecSession, signal: Signal) -> Result<Option<Signal>> {
        let interrupt = signal == Signal::INT;
        let again =
            interrupt && self.interrupted.replace(Instant::now()).is_some_and(|at| at.elapsed() < TWICE);
        if again || !self.possible {
            return Ok(Some(signal));
        }
        session.kill(signal).await?;
        if matches!(signal, Signal::TERM | Signal::HUP) {
            self.grace.get_or_insert_with(|| (Instant::now() + GRACE, signal));
        }
        Ok(None)
    }

    /// Waits until the command has had its time, for ever if nothing asked it to end. Cancel-safe.
    pub(super) async fn grace_over(&self) -> Signal {
        match self.grace {
            Some((until, signal)) => {
                tokio::time::sleep_until(until.into()).await;
                signal
            }
            None => std::future::pending().await,
        }
    }
}
