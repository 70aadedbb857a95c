//! `lattice images`.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use openlattice::Timestamp;
use openlattice_engine::{Engine, ImageInfo, PullSpec, RegistryCredentials};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, pull};

/// Longest password or token; those of cloud registries have some kilobytes.
const MAX_PASSWORD: u64 = 64 << 10;

/// List, pull, import and remove images of the local store
///
/// An image without a name shows in brackets what it is: a snapshot, an earlier state of this machine's /usr (created when that
/// changed), or one whose name has moved on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice images pull python:3.12-slim
  echo \"$TOKEN\" | lattice images pull ghcr.io/owner/app:1 --username me --password-stdin
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
    /// Pull an image from its registry, keep it under its name, and print its id; layers that are there are not downloaded
    Pull {
        /// The image, such as python:3.12-slim or ghcr.io/owner/app@sha256:...
        name: String,
        /// User of the registry
        #[arg(long, requires = "password_stdin")]
        username: Option<String>,
        /// Read the password or token from standard input
        #[arg(long, requires = "username")]
        password_stdin: bool,
        /// Print what is known of the image, as JSON
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
            Action::Pull { name, username, json, .. } => {
                let mut spec = PullSpec::new(name);
                spec.credentials = username.map(credentials).transpose()?;
                let image = pull::pull(&engine, spec).await?;
                if json {
                    return output::print_json(&described(&image));
                }
                output::print_line(image.id.as_str())
            }
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

/// The user with the password that stands in standard input, without the end of its line.
fn credentials(username: String) -> Result<RegistryCredentials> {
    let mut password = String::new();
    let read = std::io::stdin().take(MAX_PASSWORD + 1).read_to_string(&mut password);
    read.map_err(|error| Failure::from_io("read the password from standard input", error))?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() || password.len() as u64 > MAX_PASSWORD {
        let text = format!("the password in standard input is empty, or longer than {MAX_PASSWORD} bytes");
        return Err(Failure::invalid(text));
    }
    Ok(RegistryCredentials { username, password })
}

async fn list(engine: &Engine, as_json: bool) -> Result<()> {
    let images = engine.images().await?;
    if as_json {
        return output::print_json(&images.iter().map(described).collect::<Vec<_>>());
    }
    let heading = ["ID", "NAME", "CREATED", "SIZE"].map(str::to_owned);
    let rows = images.iter().map(|image| {
        let created = Timestamp::from(image.created_at).to_string();
        [image.id.to_string(), name(image), created, size(image.size)]
    });
    output::print(&output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()))
}

/// Its names, or in brackets why it has none.
fn name(image: &ImageInfo) -> String {
    match &image.snapshot_of {
        _ if !image.names.is_empty() => image.names.join(", "),
        Some(sandbox) => format!("(snapshot of {sandbox})"),
        None if image.is_host => "(older state of host)".to_owned(),
        None => "(name moved to another image)".to_owned(),
    }
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
