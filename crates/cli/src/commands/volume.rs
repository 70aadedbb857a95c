//! `lattice volume`.

use std::sync::Arc;

use clap::{Args, Subcommand};
use openlattice::{ErrorKind, VolumeInfo, Volumes};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output;

/// Create, list and remove volumes: directories that outlive sandboxes and that sandboxes share by name
///
/// `run -v` and `create -v` create one that is missing. A volume that a living sandbox has is not removed. Snapshots have nothing of a volume's content.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice volume create data
  lattice run -v data:/data -- sh -c 'date > /data/last'
  lattice run -v data:/data:ro -- cat /data/last
  lattice volume rm data")]
pub(crate) struct Volume {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an empty volume, and print its name
    Create {
        /// The name: 1 to 64 letters, digits, `-`, `_` and `.`
        name: String,
        /// As JSON, with id and time
        #[arg(long)]
        json: bool,
    },
    /// List volumes, newest first
    Ls {
        /// As a JSON list
        #[arg(long)]
        json: bool,
    },
    /// Remove volumes with all that is in them, and print the name of each
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// The names as a JSON list
        #[arg(long)]
        json: bool,
    },
}

impl Volume {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let volumes = provider.extensions().get::<dyn Volumes>().ok_or_else(|| {
            Failure::new(ErrorKind::Unsupported, format!("the provider {} keeps no volumes", provider.name()))
        })?;
        match self.action {
            Action::Create { name, json } => {
                let made = volumes.create(&name).await?;
                if json { output::print_json(&made) } else { output::print_line(&made.name) }
            }
            Action::Ls { json: true } => output::print_json(&volumes.list().await?),
            Action::Ls { json: false } => output::print(&table(&volumes.list().await?)),
            Action::Rm { names, json } => remove(&volumes, names, json).await,
        }
    }
}

/// Removes one after the other; a failure does not keep the others.
async fn remove(volumes: &Arc<dyn Volumes>, names: Vec<String>, json: bool) -> Result<()> {
    let (mut removed, mut last): (Vec<String>, Option<Failure>) = (Vec::new(), None);
    for name in names {
        match volumes.remove(&name).await {
            Ok(()) if json => removed.push(name),
            Ok(()) => output::print_line(&name)?,
            Err(error) => {
                if let Some(failure) = last.replace(error.into()) {
                    output::complain(&failure.to_string());
                }
            }
        }
    }
    if json {
        output::print_json(&removed)?;
    }
    last.map_or(Ok(()), Err)
}

fn table(volumes: &[VolumeInfo]) -> String {
    let heading = ["NAME", "CREATED", "ID"].map(str::to_owned);
    let rows = volumes.iter().map(|volume| {
        let created = volume.created_at.map(|at| at.to_string()).unwrap_or_default();
        [volume.name.clone(), created, volume.id.clone()]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}
