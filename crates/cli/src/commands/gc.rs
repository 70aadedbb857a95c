//! `lattice gc`.

use clap::Args;
use openlattice::ComputeProvider;
use openlattice_local::LocalProvider;

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// End nodes whose owner is gone and remove what nothing uses
///
/// Removes the folders of ended nodes with their output, expired images, and what a crash left half made.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice gc")]
pub(crate) struct Gc {}

impl Gc {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = context.engine("gc").await?;
        let quota = openlattice_engine::EngineConfig::new(&context.state_dir).output_quota;
        let ended = LocalProvider::on(engine.clone(), quota).gc().await?.ended;
        // Once more, for the folders of what the first round ended.
        let swept = engine.gc().await?;
        for id in &ended {
            output::print_line(&format!("ended {id}"))?;
        }
        for id in &swept.removed {
            output::print_line(&format!("removed {id}"))?;
        }
        for id in &swept.images {
            output::print_line(&format!("removed {id}"))?;
        }
        Ok(())
    }
}
