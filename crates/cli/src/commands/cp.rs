//! `lattice cp`.

mod download;
mod place;
mod upload;

use std::sync::Arc;

use clap::Args;
use openlattice::{Error, Files};

use crate::context::Context;
use crate::failure::{Failure, Result};
use place::Place;

/// Copy files and folders out of a node or into it
///
/// One side is ID:/path, the other a local path. A folder is copied with all that is in it. Where the target is an existing
/// folder, the copy goes into it under its own name. Out of a node, links are copied as links; into a node, they are
/// followed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice cp ./data.csv sb-0123:/work/
  lattice cp sb-0123:/work/results ./results")]
pub(crate) struct Cp {
    /// From where
    source: String,
    /// To where
    target: String,
}

impl Cp {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (source, target) = (Place::parse(&self.source)?, Place::parse(&self.target)?);
        let provider = context.provider().await?;
        let files = provider.extensions().get::<dyn Files>();
        let files: Arc<dyn Files> = files.ok_or_else(|| Error::unsupported("cp", "extensions.files"))?;
        match (source, target) {
            (Place::Node(id, path), Place::Local(local)) => download::copy(&*files, &id, &path, &local).await,
            (Place::Local(local), Place::Node(id, path)) => {
                let node = upload::Node { provider: &*provider, files: &*files, id };
                upload::copy(&node, &local, &path).await
            }
            _ => Err(Failure::invalid("one side must be ID:/path and the other a local path")),
        }
    }
}
