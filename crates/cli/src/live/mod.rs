//! A command that runs, with our own streams and signals tied to it.

mod input;
mod passing;
mod pump;
mod signals;
mod terminal;

use openlattice::{Dropped, ExecCapabilities, ExecSession, ExecStatus, OutputStream, Signal};
use tokio::sync::Notify;

pub(crate) use signals::Signals;
pub(crate) use terminal::{Streams, StreamsArguments};

use crate::failure::Result;
use crate::output::Sink;
use passing::Passing;
use pump::Pumped;

/// How following a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The command ended, and its output was passed on.
    Status(Finished),
    /// A signal told us to stop; the command may still run.
    Interrupted(Signal),
    /// Nobody reads our output any more; the command may still run.
    BrokenPipe,
}

/// How a command ended, and what of its output never came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) status: ExecStatus,
    pub(crate) stdout: Option<Dropped>,
    pub(crate) stderr: Option<Dropped>,
}

/// Passes output on as it comes, forwards standard input where asked to, and signals, until the command has ended.
///
/// Signals go to the command where the provider can send them. The following ends at a second interrupt within two seconds, when
/// the command still runs some time after a request to end or a hang-up, and, where the provider cannot send any, at the first
/// signal. With a terminal and its input, keys are the command's as they are, Ctrl-C too; changes of size are passed on where
/// the provider can; the terminal is as it was again when this returns.
pub(crate) async fn follow(
    session: &dyn ExecSession,
    signals: &mut Signals,
    mut streams: Streams,
    offer: &ExecCapabilities,
) -> Result<Ending> {
    let _raw = streams.raw()?;
    let hung_up = Notify::new();
    let finished = finish(session, &hung_up);
    let fed = input::forward(session);
    tokio::pin!(finished, fed);
    let mut feeding = streams.input;
    let mut passing = Passing::new(offer.signals);
    loop {
        let signal = tokio::select! {
            ending = &mut finished => return ending,
            done = &mut fed, if feeding => {
                done?;
                feeding = false;
                continue;
            }
            size = streams.resized() => {
                if offer.pty_resize {
                    session.resize(size).await?;
                }
                continue;
            }
            signal = passing.grace_over() => return Ok(Ending::Interrupted(signal)),
            signal = signals.next() => signal,
            // The kernel sends it to the foreground alone; what else writes to a lost terminal is told here.
            () = hung_up.notified() => Signal::HUP,
        };
        if let Some(ours) = passing.on(session, signal).await? {
            return Ok(Ending::Interrupted(ours));
        }
    }
}

async fn finish(session: &dyn ExecSession, hung_up: &Notify) -> Result<Ending> {
    let stdout = pump::pump(session.output(OutputStream::Stdout, 0), Sink::Stdout, hung_up);
    let stderr = pump::pump(session.output(OutputStream::Stderr, 0), Sink::Stderr, hung_up);
    let waited = async { Ok::<_, crate::failure::Failure>(session.wait().await?) };
    let pumped = async {
        // A reader that is gone is known before the command ends, which may be never.
        tokio::try_join!(stop_at_broken_pipe(stdout), stop_at_broken_pipe(stderr), async {
            waited.await.map_err(Stop::Failed)
        })
    };
    match pumped.await {
        Ok((stdout, stderr, status)) => Ok(Ending::Status(Finished { status, stdout, stderr })),
        Err(Stop::BrokenPipe) => Ok(Ending::BrokenPipe),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Why the pumps stopped before the end.
enum Stop {
    BrokenPipe,
    Failed(crate::failure::Failure),
}

async fn stop_at_broken_pipe(
    pump: impl Future<Output = Result<Pumped>>,
) -> std::result::Result<Option<Dropped>, Stop> {
    match pump.await {
        Ok(Pumped::Whole { dropped }) => Ok(dropped),
        Ok(Pumped::BrokenPipe) => Err(Stop::BrokenPipe),
        Err(failure) => Err(Stop::Failed(failure)),
    }
}
