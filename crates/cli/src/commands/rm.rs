//! `lattice rm`.

use clap::Args;
use openlattice::{ComputeProvider, ErrorKind, SandboxId};
use openlattice_local::Removal;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, resolve};

/// Stop and remove sandboxes
///
/// Each word is printed once nothing is left of its sandbox: files, output and result. One that had ended before is success. A failure does not keep the others
/// alive; a sandbox that does not exist is one (exit code 3).
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice rm sb-0123 web
  lattice ps --json | jq -r '.[].id' | xargs -r lattice rm --ignore")]
pub(crate) struct Rm {
    /// The sandboxes: their IDs, names, or beginnings of their IDs
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
    /// Succeed for a sandbox that does not exist
    #[arg(long)]
    ignore: bool,
}

impl Rm {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let mut last: Option<Failure> = None;
        for word in &self.sandboxes {
            match remove(&*provider, word).await {
                Ok(()) => output::print_line(word)?,
                Err(failure) if self.ignore && failure.kind() == ErrorKind::NotFound => {}
                Err(failure) => {
                    if let Some(failure) = last.replace(failure) {
                        output::complain(&failure.to_string());
                    }
                }
            }
        }
        last.map_or(Ok(()), Err)
    }
}

async fn remove(provider: &dyn ComputeProvider, word: &str) -> Result<()> {
    let found = resolve::known(provider, word).await?;
    remove_all(provider, &found.id).await
}

/// Ends a sandbox and removes all that the provider keeps of it: files, output and result.
pub(super) async fn remove_all(provider: &dyn ComputeProvider, id: &SandboxId) -> Result<()> {
    let Some(removal) = provider.extensions().get::<Removal>() else {
        return Ok(provider.destroy(id).await?);
    };
    match removal.remove(id).await {
        // Somebody else has removed it meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
