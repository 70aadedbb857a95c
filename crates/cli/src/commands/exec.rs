//! `lattice exec`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use openlattice::{ExecSpec, OnDrop, SandboxId, Signal, Stdin};

use super::report::Report;
use crate::context::Context;
use crate::failure::Result;
use crate::live::{self, Ending, Signals, Terminal, TerminalArguments};
use crate::node_arguments::Variables;
use crate::value;

/// Run a command in a node that exists
///
/// Output is passed on as it comes, standard input is forwarded. The first Ctrl-C goes to the command, a second one within
/// two seconds kills it; the node lives on. At a terminal (-t) every Ctrl-C goes to the command.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice exec -w /tmp --timeout 5s sb-0123 -- sh -c 'pwd; id -u'
  lattice exec -it sb-0123 -- bash")]
pub(crate) struct Exec {
    #[command(flatten)]
    terminal: TerminalArguments,
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
    /// The node, as `create` or `ps` print it
    id: SandboxIdArgument,
    /// The program and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

/// An id as an argument.
pub(crate) type SandboxIdArgument = String;

impl Exec {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let id = SandboxId::new(self.id.as_str());
        let outcome = self.outcome(context, &id).await;
        Ok(Report::of(Some(id), &outcome).finish(self.result.as_deref(), self.timeout))
    }

    async fn outcome(&self, context: &Context, id: &SandboxId) -> Result<Ending> {
        let mut spec = ExecSpec::new(self.command.clone()).with_stdin(Stdin::Open);
        spec.options.env = self.variables.env()?;
        spec.options.secrets = self.variables.secrets();
        spec.options.cwd.clone_from(&self.workdir);
        if let Some(timeout) = self.timeout {
            spec = spec.with_timeout(timeout);
        }
        let mut signals = Signals::catch()?;
        let terminal = self.terminal.terminal()?;
        spec.options.pty = terminal.as_ref().map(Terminal::size);
        let provider = context.provider().await?;
        let offer = &provider.capabilities().exec;
        if offer.kill_on_drop {
            spec.options.on_drop = OnDrop::Kill;
        }
        let session = provider.exec(id, spec).await?;
        let ending = live::follow(session.as_ref(), &mut signals, terminal, offer).await;
        // Not left to the drop of the session, for which the end of this process may leave no time.
        if !matches!(ending, Ok(Ending::Status(_))) && offer.signals {
            session.kill(Signal::KILL).await?;
        }
        ending
    }
}
