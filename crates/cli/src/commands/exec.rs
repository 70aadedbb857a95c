//! `lattice exec`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use openlattice::{ExecSpec, OnDrop, SandboxId, Signal};

use super::report::Report;
use crate::context::Context;
use crate::failure::Result;
use crate::live::{self, Ending, Signals, StreamsArguments};
use crate::variables::Variables;
use crate::{output, resolve, value};

/// Run a command in a running sandbox
///
/// Output is passed on as it comes, standard input with -i only. Signals go to the command: Ctrl-C, of which a second one within two
/// seconds kills it; TERM and HUP, after which it has 10 seconds to end before it is killed; and the others. The sandbox lives
/// on. With -it every key goes to the command. The protocol of `--provider modal` has no signals: the first one ends `lattice
/// exec`, and the command runs on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice exec -w /tmp --timeout 5s sb-0123 -- sh -c 'pwd; id -u'
  tar c src | lattice exec -i sb-0123 -- tar x -C /work
  lattice exec -it web -- bash")]
pub(crate) struct Exec {
    #[command(flatten)]
    streams: StreamsArguments,
    #[command(flatten)]
    variables: Variables,
    /// Working directory, absolute
    #[arg(short = 'w', long, value_name = "DIR")]
    workdir: Option<String>,
    /// Time after which the command is killed (exit code 124), such as 30s
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    timeout: Option<Duration>,
    /// File that gets how it ended, as JSON
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The sandbox: its ID, its name, or the beginning of its ID
    sandbox: String,
    /// The program and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Exec {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let mut sandbox = None;
        let outcome = self.outcome(context, &mut sandbox).await;
        Ok(Report::of(sandbox, &outcome).finish(self.result.as_deref(), self.timeout))
    }

    async fn outcome(&self, context: &Context, sandbox: &mut Option<SandboxId>) -> Result<Ending> {
        let streams = self.streams.take()?;
        let mut spec = ExecSpec::new(self.command.clone()).with_stdin(streams.stdin());
        spec.options.pty = streams.size();
        spec.options.env = self.variables.env()?;
        spec.options.secrets = self.variables.secrets();
        spec.options.cwd.clone_from(&self.workdir);
        if let Some(timeout) = self.timeout {
            spec = spec.with_timeout(timeout);
        }
        let mut signals = Signals::catch()?;
        let provider = context.provider().await?;
        let offer = &provider.capabilities().exec;
        if offer.kill_on_drop {
            spec.options.on_drop = OnDrop::Kill;
        }
        let id = resolve::living(&*provider, &self.sandbox).await?;
        let session = provider.exec(sandbox.insert(id), spec).await?;
        let ending = live::follow(session.as_ref(), &mut signals, streams, offer).await;
        // Not left to the drop of the session, for which the end of this process may leave no time.
        if !matches!(ending, Ok(Ending::Status(_))) {
            if offer.signals {
                session.kill(Signal::KILL).await?;
            } else {
                output::complain("the command runs on: this provider has no signals to end it");
            }
        }
        ending
    }
}
