//! `lattice gc`.

use clap::Args;
use openlattice_local::LocalProvider;

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// End nodes whose owner is gone and remove what nothing uses
///
/// On the local store it also removes the folders of ended nodes with their output, expired images and nameless volumes, and what a crash left
/// half made.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice gc
  lattice gc --provider modal")]
pub(crate) struct Gc {}

impl Gc {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        if context.is_local() { local(context).await } else { elsewhere(context).await }
    }
}

async fn elsewhere(context: &Context) -> Result<()> {
    let report = context.provider().await?.gc().await?;
    report.ended.iter().try_for_each(|id| output::print_line(&format!("ended {id}")))
}

/// The engine's own round, which says more than the contract's.
async fn local(context: &Context) -> Result<()> {
    let engine = context.engine("gc").await?;
    let abandoned = LocalProvider::end_abandoned(&engine).await?;
    let report = engine.gc().await?;
    let ended = abandoned.iter().map(ToString::to_string).chain(report.ended.iter().map(ToString::to_string));
    for id in ended {
        output::print_line(&format!("ended {id}"))?;
    }
    let removed = report.removed.iter().map(ToString::to_string);
    let removed = removed.chain(report.images.iter().map(ToString::to_string));
    for id in removed.chain(report.volumes.iter().map(ToString::to_string)) {
        output::print_line(&format!("removed {id}"))?;
    }
    Ok(())
}
