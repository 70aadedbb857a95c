//! `lattice create`.

use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::failure::Result;
use crate::node_arguments::{NodeArguments, whole_seconds};
use crate::{output, provision, pull, value};

/// Create a sandbox and print its ID
///
/// CMD is its main process: the ID is printed as soon as it runs, and the sandbox ends when it does. Without CMD the sandbox runs until
/// `lattice rm` or until its lifetime ends. The command that an image sets as its own is not run. With --setup, CMD runs once and is
/// waited for before the ID is printed; if it fails, there is no sandbox.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  id=$(lattice create --memory 1g --lifetime 1h --setup -- mkdir -p /work)
  lattice exec $id -- ls -d /work
  lattice create --name web -p 8080:80 -- python3 -m http.server 80
  lattice create --provider modal --image python:3.12-slim --gpu A100:2 --secret my-tokens --tag job=17")]
pub(crate) struct Create {
    #[command(flatten)]
    node: NodeArguments,
    /// Lifetime, for example 1h [default: 24h]
    #[arg(long, alias = "timeout", value_name = "TIME", value_parser = value::duration)]
    lifetime: Option<Duration>,
    /// End it after this time without a running command, for example 10m
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    idle: Option<Duration>,
    /// Run CMD once and wait for it, in place of a main process
    #[arg(long, requires = "command")]
    setup: bool,
    /// Main process; the sandbox ends when it does
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Create {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let mut spec = self.node.spec()?;
        spec.duration.max_seconds = self.lifetime.map(whole_seconds);
        spec.duration.idle_seconds = self.idle.map(whole_seconds);
        match self.setup {
            true => spec.runtime.command = self.command,
            false => spec.runtime.main = self.command,
        }
        let provider = context.announced_provider().await?;
        pull::pull_missing(context, spec.runtime.image.as_deref()).await?;
        let info = provision::provision(&*provider, spec).await?;
        output::print_line(info.id.as_str())
    }
}
