//! Into a node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openlattice::{
    Bytes, Callbacks, ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, FileKind, Files, SandboxId,
    Subject, WriteOptions,
};

use super::place::join;
use crate::failure::{Failure, Result};
use crate::output;

/// Permission bits that a written file gets when none are asked for.
const USUAL_MODE: u32 = 0o644;

/// The node that is copied into.
pub(super) struct Node<'a> {
    pub(super) provider: &'a dyn ComputeProvider,
    pub(super) files: &'a dyn Files,
    pub(super) id: SandboxId,
}

pub(super) async fn copy(node: &Node<'_>, local: &Path, path: &str) -> Result<()> {
    let found = fs::metadata(local).map_err(|error| failed("read", local, error))?;
    let into = path.ends_with('/') || is_folder(node, path).await?;
    let target = if into { join(path, own_name(local)?) } else { path.to_owned() };
    if found.is_dir() { copy_folder(node, local, &target).await } else { write(node, local, &target).await }
}

async fn is_folder(node: &Node<'_>, path: &str) -> Result<bool> {
    match node.files.stat(&node.id, path).await {
        Ok(found) => Ok(found.kind == FileKind::Directory),
        Err(error) if error.kind() == ErrorKind::NotFound && error.subject() == Some(Subject::Path) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn copy_folder(node: &Node<'_>, local: &Path, target: &str) -> Result<()> {
    let mut todo: Vec<(PathBuf, String)> = vec![(local.to_owned(), target.to_owned())];
    while let Some((folder, target)) = todo.pop() {
        node.files.mkdir(&node.id, &target, true).await?;
        for entry in fs::read_dir(&folder).map_err(|error| failed("list", &folder, error))? {
            let path = entry.map_err(|error| failed("list", &folder, error))?.path();
            let target = join(&target, own_name(&path)?);
            let link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            match (path.is_dir(), link) {
                // Followed, it could lead back up and never end.
                (true, true) => {
                    let text =
                        format!("{} is a link to a folder\nhint: copy that folder by itself", path.display());
                    return Err(Failure::new(ErrorKind::FailedPrecondition, text));
                }
                (true, false) => todo.push((path, target)),
                (false, _) => write(node, &path, &target).await?,
            }
        }
    }
    Ok(())
}

async fn write(node: &Node<'_>, local: &Path, target: &str) -> Result<()> {
    let content = Bytes::from(fs::read(local).map_err(|error| failed("read", local, error))?);
    let found = fs::metadata(local).map_err(|error| failed("read", local, error))?;
    let mode = found.permissions().mode() & 0o777;
    let options = WriteOptions { mode: Some(mode) };
    match node.files.write(&node.id, target, content.clone(), options).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        written => return Ok(written?),
    }
    node.files.write(&node.id, target, content, WriteOptions::default()).await?;
    if mode != USUAL_MODE && !set_mode(node, target, mode).await? {
        output::complain(&format!("{target} does not have mode {mode:o}: the node has no chmod"));
    }
    Ok(())
}

/// Sets a mode with the node's own program, where the provider writes files without one.
async fn set_mode(node: &Node<'_>, target: &str, mode: u32) -> Result<bool> {
    let command = ExecSpec::new(["chmod".to_owned(), format!("{mode:o}"), target.to_owned()]);
    match node.provider.run(&node.id, command, Callbacks::none()).await {
        Ok(result) => Ok(result.is_success()),
        Err(error) if error.subject() == Some(Subject::Program) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn own_name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure::invalid(format!("{} has no name in UTF-8", path.display())))
}

fn failed(action: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::from_io(&format!("{action} {}", path.display()), error)
}
