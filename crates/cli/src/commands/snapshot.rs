//! `lattice snapshot`.

use clap::Args;
use openlattice::{SandboxId, SnapshotSpec};

use super::exec::SandboxIdArgument;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Keep a node's file system as an image, and print the image's id
///
/// Commands in the node run on; they are held for the time of the copy only.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  image=$(lattice snapshot sb-0123)
  lattice run --image $image -- ls /work")]
pub(crate) struct Snapshot {
    /// The node
    id: SandboxIdArgument,
    /// Print the whole reference as JSON instead of the image's id
    #[arg(long)]
    json: bool,
}

impl Snapshot {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let made = provider.snapshot(&SandboxId::new(self.id), SnapshotSpec::default()).await?;
        if self.json { output::print_json(&made) } else { output::print_line(&made.external_id) }
    }
}
