//! `lattice cp`.

mod place;
mod progress;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use openlattice::{ComputeProviderExt, Error, ErrorKind, FileKind, Node, Subject};
use openlattice_copy::{
    CopyOptions, CopyReport, download, download_file, pack, stat_through_links, unpack, upload, upload_file,
};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, resolve};
use place::{Place, is_contents, name_of, says_folder};
use progress::Progress;

/// Copy files and folders out of a sandbox or into it
///
/// One side is ID:/path, the other a local path, or - for a tar archive on standard input or output. A folder is copied with all that
/// is in it. Where the target is an existing folder, the copy goes into it under its own name, and with /. at the end of the source
/// only the contents do. A target that ends with a slash must be a folder, and exist for a file.
///
/// Links in a folder are copied as links; one that is named itself, on either side, is followed. Permissions, times and holes are
/// kept; the set-id bits of what comes out of a sandbox are not. On this machine only regular files are replaced: a device or fifo
/// that is the target is written into, and inside of a folder it stays and is left out. Devices, fifos and sockets are left out. What
/// was left out is named, and the exit code says so.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice cp ./data.csv sb-0123:/work/
  lattice cp sb-0123:/work/results ./results
  lattice cp ./project/. sb-0123:/srv
  tar -c project | lattice cp - sb-0123:/srv
  lattice cp sb-0123:/srv/project - | tar -t
  lattice cp --json ./project sb-0123:/srv/ | jq .bytes")]
pub(crate) struct Cp {
    /// From where: ID:/path, a local path, or - for a tar archive on standard input
    source: OsString,
    /// To where: ID:/path, a local path, or - for a tar archive on standard output
    target: OsString,
    /// Copy folders too; they are copied with and without it
    #[arg(short = 'r', long)]
    recursive: bool,
    /// Print what was copied as JSON: files, directories, links, bytes, what was left out
    #[arg(long)]
    json: bool,
}

/// What is copied, between a sandbox and this machine.
enum Way {
    Out(PathBuf, PathBuf),
    Pack(PathBuf),
    Into(PathBuf, PathBuf),
    Unpack(PathBuf),
}

impl Cp {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let (source, target) = (Place::parse(&self.source)?, Place::parse(&self.target)?);
        if target == Place::Archive {
            self.check_output()?;
        }
        let (name, way) = match (source, target) {
            (Place::Sandbox(name, path), Place::Local(local)) => (name, Way::Out(path, local)),
            (Place::Sandbox(name, path), Place::Archive) => (name, Way::Pack(path)),
            (Place::Local(local), Place::Sandbox(name, path)) => (name, Way::Into(local, path)),
            (Place::Archive, Place::Sandbox(name, path)) => (name, Way::Unpack(path)),
            _ => {
                let text = "one side must be ID:/path and the other a local path or -";
                return Err(Failure::invalid(text));
            }
        };
        let provider = context.provider().await?;
        let node = provider.node(resolve::living(&*provider, &name).await?);
        let progress = Progress::start(self.json);
        let options = progress.options();
        let report = match &way {
            Way::Out(path, local) => out(&node, path, local, &options).await,
            Way::Pack(path) => pack_named(&node, path, &options).await,
            Way::Into(local, path) => into(&node, local, path, &options).await,
            Way::Unpack(path) => unpack(&node, stdin(), path, &options).await.map_err(Failure::from),
        };
        progress.end(report.as_ref().ok());
        finish(&report?, self.json)
    }

    fn check_output(&self) -> Result<()> {
        if self.json {
            return Err(Failure::invalid("--json and a tar archive cannot share standard output"));
        }
        if stdout().is_terminal() {
            let text = "a tar archive is not written to a terminal\nhint: redirect it, as in > x.tar, or pipe it to tar";
            return Err(Failure::invalid(text));
        }
        Ok(())
    }
}

/// Says what was left out, which is a failure, and what was not kept.
fn finish(report: &CopyReport, json: bool) -> Result<()> {
    if json {
        output::print_json(report)?;
    }
    for skipped in &report.skipped_paths {
        output::complain(&format!("{:?} was left out: {}", skipped.path, skipped.reason));
    }
    let not_kept = [
        (report.modes_not_set, "permissions were not set: the sandbox has no chmod for them"),
        (report.times_not_set, "times were not set: the sandbox has no touch for them"),
        (report.set_id_dropped, "set-id bits were dropped: they would give away your rights on this machine"),
    ];
    for (count, text) in not_kept.into_iter().filter(|(count, _)| *count > 0) {
        output::complain(&format!("{count} paths: {text}"));
    }
    match report.skipped {
        0 => Ok(()),
        left_out => {
            let text = format!("{left_out} entries were left out; all else was copied");
            Err(Failure::new(ErrorKind::FailedPrecondition, text))
        }
    }
}

async fn pack_named(node: &Node, path: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let name = if is_contents(path) { PathBuf::from(".") } else { own_name(path)? };
    Ok(pack(node, path, name, output::Sink::Stdout, options).await?)
}

async fn out(node: &Node, path: &Path, local: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let files = node.files().ok_or_else(|| Error::unsupported("cp", "extensions.files"))?;
    let folder = stat_through_links(&files, path).await?.1.kind == FileKind::Directory;
    if says_folder(path) && !folder {
        return Err(no_folder(&path.display()).into());
    }
    let into = local.is_dir();
    if says_folder(local) && !into && (!folder || local.exists()) {
        return Err(missing_folder(local, local.exists()));
    }
    let target = if into && !is_contents(path) { local.join(own_name(path)?) } else { local.to_owned() };
    if folder {
        return Ok(download(node, path, &target, options).await?);
    }
    Ok(download_file(node, path, &target, options).await?)
}

async fn into(node: &Node, local: &Path, path: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let found = fs::metadata(local);
    let found = found.map_err(|error| Failure::from_io(&format!("read {}", local.display()), error))?;
    let files = node.files().ok_or_else(|| Error::unsupported("cp", "extensions.files"))?;
    let there = match stat_through_links(&files, path).await {
        Ok((_, there)) => Some(there.kind),
        Err(error) if error.kind() == ErrorKind::NotFound && error.subject() == Some(Subject::Path) => None,
        Err(error) => return Err(error.into()),
    };
    let into = there == Some(FileKind::Directory);
    if says_folder(path) && !into && (!found.is_dir() || there.is_some()) {
        return Err(missing_folder(path, there.is_some()));
    }
    let contents = found.is_dir() && is_contents(local);
    let target = if into && !contents { path.join(local_name(local)?) } else { path.to_owned() };
    if found.is_dir() {
        return Ok(upload(node, local, &target, options).await?);
    }
    Ok(upload_file(node, local, &target, options).await?)
}

fn no_folder(path: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::FailedPrecondition, "cp", format!("{path} is not a folder"))
        .with_subject(Subject::Path)
}

/// A target that is called a folder and is none.
fn missing_folder(path: &Path, exists: bool) -> Failure {
    if exists {
        return no_folder(&path.display()).into();
    }
    let text =
        format!("the folder {} was not found\nhint: make it first, or leave the slash out", path.display());
    Failure::new(ErrorKind::NotFound, text)
}

/// The name that a local file or folder has in a folder of the sandbox.
fn local_name(local: &Path) -> Result<OsString> {
    if let Some(name) = name_of(local) {
        return Ok(name.to_owned());
    }
    let whole = local.canonicalize().ok();
    let name = whole.as_deref().and_then(Path::file_name).map(OsStr::to_owned);
    name.ok_or_else(|| {
        Failure::invalid(format!("{} has no name: end it with /. for its contents", local.display()))
    })
}

/// The last part of a path in a sandbox, as the name of a copy.
fn own_name(path: &Path) -> Result<PathBuf> {
    name_of(path).map(PathBuf::from).ok_or_else(|| {
        let text = format!(
            "{} does not end in a name\nhint: name the target, or end the source with /.",
            path.display()
        );
        Failure::invalid(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_is_the_last_part_of_its_path() {
        assert_eq!(own_name("/a/b/".as_ref()).unwrap(), Path::new("b"));
        for bad in ["/", "/a/..", "/a/."] {
            assert!(own_name(bad.as_ref()).is_err(), "{bad:?} was taken");
        }
    }
}
