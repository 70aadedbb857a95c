//! `lattice cp`.

mod place;
mod progress;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use openlattice::{ComputeProviderExt, Error, ErrorKind, FileKind, Node, Subject};
use openlattice_copy::{CopyOptions, CopyReport, download, download_file, upload, upload_file};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output;
use place::{Place, join};
use progress::Progress;

/// Copy files and folders out of a node or into it
///
/// One side is ID:/path, the other a local path. A folder is copied with all that is in it. Where the target is an existing
/// folder, the copy goes into it under its own name. Links in a folder are copied as links; one that is named itself is
/// followed. Permissions are kept. Devices, fifos, sockets and names that are no text are left out; what was left out is
/// named, and the exit code says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice cp ./data.csv sb-0123:/work/
  lattice cp sb-0123:/work/results ./results
  lattice cp --json ./project sb-0123:/srv/ | jq .bytes")]
pub(crate) struct Cp {
    /// From where
    source: String,
    /// To where
    target: String,
    /// Copy folders too; they are copied with and without it
    #[arg(short = 'r', long)]
    recursive: bool,
    /// Print what was copied as JSON: files, directories, links, bytes, what was left out
    #[arg(long)]
    json: bool,
}

impl Cp {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (source, target) = (Place::parse(&self.source)?, Place::parse(&self.target)?);
        let provider = context.provider().await?;
        let (source, target) = (source.found(&*provider).await?, target.found(&*provider).await?);
        let progress = Progress::start(self.json);
        let report = match (source, target) {
            (Place::Node(id, path), Place::Local(local)) => {
                out(&provider.node(id), &path, &local, &progress.options()).await
            }
            (Place::Local(local), Place::Node(id, path)) => {
                into(&provider.node(id), &local, &path, &progress.options()).await
            }
            _ => Err(Failure::invalid("one side must be ID:/path and the other a local path")),
        };
        progress.end(report.as_ref().ok());
        finish(&report?, self.json)
    }
}

/// Says what was left out, which is a failure.
fn finish(report: &CopyReport, json: bool) -> Result<()> {
    if json {
        output::print_json(report)?;
    }
    for skipped in &report.skipped_paths {
        output::complain(&format!("{:?} was left out: {}", skipped.path, skipped.reason));
    }
    if report.modes_not_set > 0 {
        output::complain(&format!(
            "permissions of {} paths were not set: the node has no chmod",
            report.modes_not_set
        ));
    }
    match report.skipped {
        0 => Ok(()),
        left_out => {
            let text = format!("{left_out} entries were left out; all else was copied");
            Err(Failure::new(ErrorKind::FailedPrecondition, text))
        }
    }
}

async fn out(node: &Node, path: &str, local: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let files = node.files().ok_or_else(|| Error::unsupported("cp", "extensions.files"))?;
    let found = files.stat(path).await?;
    let target = if local.is_dir() { local.join(own_name(path)?) } else { local.to_owned() };
    if found.kind == FileKind::Directory {
        return Ok(download(node, path, &target, options).await?);
    }
    Ok(download_file(node, path, &target, options).await?)
}

async fn into(node: &Node, local: &Path, path: &str, options: &CopyOptions) -> Result<CopyReport> {
    let found = fs::metadata(local);
    let found = found.map_err(|error| Failure::from_io(&format!("read {}", local.display()), error))?;
    let target = if path.ends_with('/') || is_folder(node, path).await? {
        let name = local.canonicalize().ok();
        let name = name.as_deref().filter(|_| local.file_name().is_none()).unwrap_or(local).file_name();
        let name = name.and_then(|name| name.to_str());
        join(path, name.ok_or_else(|| Failure::invalid(format!("{} has no name in UTF-8", local.display())))?)
    } else {
        path.to_owned()
    };
    if found.is_dir() {
        return Ok(upload(node, local, &target, options).await?);
    }
    Ok(upload_file(node, local, &target, options).await?)
}

async fn is_folder(node: &Node, path: &str) -> Result<bool> {
    let files = node.files().ok_or_else(|| Error::unsupported("cp", "extensions.files"))?;
    match files.stat(path).await {
        Ok(found) => Ok(found.kind == FileKind::Directory),
        Err(error) if error.kind() == ErrorKind::NotFound && error.subject() == Some(Subject::Path) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// The last part of a path in a node, as the name of a local file.
fn own_name(path: &str) -> Result<PathBuf> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if matches!(name, "" | "." | "..") || name.contains('\0') {
        let text = format!("{name:?} is no name for a local file\nhint: name the target file");
        return Err(Failure::invalid(text));
    }
    Ok(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_is_the_last_part_of_its_path() {
        assert_eq!(own_name("/a/b/").unwrap(), Path::new("b"));
        for bad in ["/", "/a/..", "/."] {
            assert!(own_name(bad).is_err(), "{bad:?} was taken");
        }
    }
}
