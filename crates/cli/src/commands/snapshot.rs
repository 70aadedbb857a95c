//! `lattice snapshot`.

use clap::Args;
use openlattice::SnapshotSpec;

use crate::context::Context;
use crate::failure::Result;
use crate::{output, resolve};

/// Save the file system of a sandbox as an image, and print the image's ID
///
/// Commands in the sandbox run on; they are held for the time of the copy only.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  image=$(lattice snapshot sb-0123)
  lattice run --image $image -- ls /work")]
pub(crate) struct Snapshot {
    /// The sandbox: its ID, its name, or the beginning of its ID
    sandbox: String,
    /// Print the whole reference as JSON instead of the image's id
    #[arg(long)]
    json: bool,
}

impl Snapshot {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let id = resolve::living(&*provider, &self.sandbox).await?;
        let made = provider.snapshot(&id, SnapshotSpec::default()).await?;
        if self.json { output::print_json(&made) } else { output::print_line(&made.external_id) }
    }
}
