//! A command that runs, with our own streams and signals tied to it.

mod input;
mod pump;
mod signals;
mod terminal;

use std::time::{Duration, Instant};

use openlattice::{ExecCapabilities, ExecSession, ExecStatus, OutputStream, Signal};

pub(crate) use signals::Signals;
pub(crate) use terminal::{Terminal, TerminalArguments};

use crate::failure::Result;
use crate::output;
use pump::Pumped;
use terminal::Event;

/// A second interrupt within this time is meant for us and not for the command.
const TWICE: Duration = Duration::from_secs(2);

/// How following a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The command ended, and its whole output was passed on.
    Status(ExecStatus),
    /// A signal told us to stop; the command may still run.
    Interrupted(Signal),
    /// Nobody reads our output any more; the command may still run.
    BrokenPipe,
}

/// Passes output on as it comes, forwards standard input and interrupts, until the command has ended.
///
/// The first interrupt goes to the command where the provider can send signals; a second one within two seconds, and any
/// other signal, ends the following. With a terminal, keys are the command's as they are, Ctrl-C too, and its changes of
/// size are passed on where the provider can; it is as it was again when this returns.
pub(crate) async fn follow(
    session: &dyn ExecSession,
    signals: &mut Signals,
    mut terminal: Option<Terminal>,
    offer: &ExecCapabilities,
) -> Result<Ending> {
    let _raw = terminal.as_ref().map(Terminal::raw).transpose()?;
    let finished = finish(session);
    let fed = input::forward(session);
    tokio::pin!(finished, fed);
    let (mut feeding, mut last): (bool, Option<Instant>) = (true, None);
    loop {
        tokio::select! {
            ending = &mut finished => return ending,
            done = &mut fed, if feeding => {
                done?;
                feeding = false;
            }
            signal = signals.next() => {
                let again = last.replace(Instant::now()).is_some_and(|before| before.elapsed() < TWICE);
                if signal != Signal::INT || again || !offer.signals {
                    return Ok(Ending::Interrupted(signal));
                }
                session.kill(Signal::INT).await?;
            }
            event = terminal::next(&mut terminal) => match event {
                Event::Signal(signal) => return Ok(Ending::Interrupted(signal)),
                Event::Resized(size) if offer.pty_resize => session.resize(size).await?,
                Event::Resized(_) => {}
            }
        }
    }
}

async fn finish(session: &dyn ExecSession) -> Result<Ending> {
    let stdout = pump::stdout(session.output(OutputStream::Stdout, 0));
    let stderr = pump::stderr(session.output(OutputStream::Stderr, 0));
    let waited = async { Ok::<_, crate::failure::Failure>(session.wait().await?) };
    let pumped = async {
        // A reader that is gone is known before the command ends, which may be never.
        tokio::try_join!(stop_at_broken_pipe(stdout), stop_at_broken_pipe(stderr), async {
            waited.await.map_err(Stop::Failed)
        })
    };
    match pumped.await {
        Ok((stdout, stderr, status)) => {
            say_what_was_dropped("stdout", stdout);
            say_what_was_dropped("stderr", stderr);
            Ok(Ending::Status(status))
        }
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
) -> std::result::Result<Option<u64>, Stop> {
    match pump.await {
        Ok(Pumped::Whole { dropped_from }) => Ok(dropped_from),
        Ok(Pumped::BrokenPipe) => Err(Stop::BrokenPipe),
        Err(failure) => Err(Stop::Failed(failure)),
    }
}

fn say_what_was_dropped(stream: &str, dropped_from: Option<u64>) {
    if let Some(offset) = dropped_from {
        output::complain(&format!("{stream} from byte {offset} on was dropped at the output quota"));
    }
}
