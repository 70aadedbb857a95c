//! `lattice create`.

use std::time::Duration;

use clap::Args;

use crate::context::Context;
use crate::failure::Result;
use crate::node_arguments::{NodeArguments, whole_seconds};
use crate::{output, pull, value};

/// Make a node that lives on, and print its id
///
/// With a command, it runs once in the new node before the id is printed; if it fails, there is no node. The node
/// ends by `lattice rm` or when its time is over.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  id=$(lattice create --memory 1g --timeout 1h -- mkdir -p /work)
  lattice exec $id -- ls -d /work
  lattice create --provider modal --image python:3.12-slim --gpu A100:2 --secret my-tokens --tag job=17")]
pub(crate) struct Create {
    #[command(flatten)]
    node: NodeArguments,
    /// Longest life of the node, such as 1h [default: 24 hours]
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    timeout: Option<Duration>,
    /// Initial command
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Create {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let mut spec = self.node.spec()?;
        spec.duration.max_seconds = self.timeout.map(whole_seconds);
        spec.runtime.command = self.command;
        let provider = context.provider().await?;
        pull::pull_missing(context, spec.runtime.image.as_deref()).await?;
        let info = provider.provision(spec).await?;
        for warning in &info.warnings {
            output::complain(warning);
        }
        output::print_line(info.id.as_str())
    }
}
