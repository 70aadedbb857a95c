//! `lattice rm`.

use clap::Args;
use openlattice::SandboxId;

use super::exec::SandboxIdArgument;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output;

/// End nodes and all that runs in them
///
/// A node that has ended or that nobody knows is success. Each id is printed once its node has ended; a failure does not
/// keep the others alive.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice rm $(lattice ps --json | jq -r '.[].id')")]
pub(crate) struct Rm {
    /// The nodes
    #[arg(required = true, value_name = "ID")]
    ids: Vec<SandboxIdArgument>,
}

impl Rm {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let mut last: Option<Failure> = None;
        for id in &self.ids {
            match provider.destroy(&SandboxId::new(id.as_str())).await {
                Ok(()) => output::print_line(id)?,
                Err(error) => {
                    if let Some(failure) = last.replace(error.into()) {
                        output::complain(&failure.to_string());
                    }
                }
            }
        }
        last.map_or(Ok(()), Err)
    }
}
