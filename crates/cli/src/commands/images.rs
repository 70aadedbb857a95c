//! `lattice images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use openlattice::Timestamp;
use openlattice_engine::{Engine, ImageInfo};
use serde_json::json;

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// List, import and remove images of the local store
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  docker save python:3.12-slim -o python.tar
  lattice images import python:3.12-slim python.tar
  lattice run --image python:3.12-slim -- python3 -c 'print(1)'")]
pub(crate) struct Images {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List images, newest first
    Ls {
        /// As a JSON list
        #[arg(long)]
        json: bool,
    },
    /// Import an OCI layout (folder or tar) or a `docker save` archive under a name, and print the image's id
    Import {
        /// The name; one that exists moves to the new image
        name: String,
        /// The archive
        file: PathBuf,
    },
    /// Remove images
    Rm {
        /// Names or ids
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
}

impl Images {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let engine = context.engine("images").await?;
        match self.action {
            Action::Ls { json } => list(&engine, json).await,
            Action::Import { name, file } => {
                let image = engine.import_image(&name, &file).await?;
                output::print_line(image.id.as_str())
            }
            Action::Rm { images } => {
                for image in &images {
                    engine.remove_image(image).await?;
                    output::print_line(image)?;
                }
                Ok(())
            }
        }
    }
}

async fn list(engine: &Engine, as_json: bool) -> Result<()> {
    let images = engine.images().await?;
    if as_json {
        return output::print_json(&images.iter().map(described).collect::<Vec<_>>());
    }
    let heading = ["ID", "NAME", "CREATED", "SIZE"].map(str::to_owned);
    let rows = images.iter().map(|image| {
        let created = Timestamp::from(image.created_at).to_string();
        [image.id.to_string(), image.names.join(", "), created, size(image.size)]
    });
    output::print(&output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()))
}

fn described(image: &ImageInfo) -> serde_json::Value {
    json!({
        "id": image.id.as_str(),
        "names": image.names,
        "createdAt": Timestamp::from(image.created_at),
        "size": image.size,
        "command": image.command,
        "workdir": image.workdir,
        "expiresAt": image.expires_at.map(Timestamp::from),
        "snapshotOf": image.snapshot_of.as_ref().map(|id| id.as_str()),
    })
}

/// Bytes in the largest unit that leaves a whole number.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [size(5), size(20 << 10), size(20 << 20), size(20 << 30)],
            ["5 B", "20 KiB", "20 MiB", "20 GiB"]
        );
    }
}
