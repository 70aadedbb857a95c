//! Into a node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openlattice::{Bytes, ErrorKind, FileKind, Files, SandboxId, WriteOptions};

use super::place::join;
use crate::failure::{Failure, Result};
use crate::output;

/// Permission bits that a written file gets when none are asked for.
const USUAL_MODE: u32 = 0o644;

pub(super) async fn copy(files: &dyn Files, local: &Path, id: &SandboxId, path: &str) -> Result<()> {
    let found = fs::metadata(local).map_err(|error| failed("read", local, error))?;
    let into = path.ends_with('/') || is_folder(files, id, path).await?;
    let target = if into { join(path, own_name(local)?) } else { path.to_owned() };
    if found.is_dir() {
        copy_folder(files, local, id, &target).await
    } else {
        write(files, local, id, &target).await
    }
}

async fn is_folder(files: &dyn Files, id: &SandboxId, path: &str) -> Result<bool> {
    match files.stat(id, path).await {
        Ok(found) => Ok(found.kind == FileKind::Directory),
        Err(error)
            if error.kind() == ErrorKind::NotFound && error.subject() == Some(openlattice::Subject::Path) =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

async fn copy_folder(files: &dyn Files, local: &Path, id: &SandboxId, target: &str) -> Result<()> {
    let mut todo: Vec<(PathBuf, String)> = vec![(local.to_owned(), target.to_owned())];
    while let Some((folder, target)) = todo.pop() {
        files.mkdir(id, &target, true).await?;
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
                (false, _) => write(files, &path, id, &target).await?,
            }
        }
    }
    Ok(())
}

async fn write(files: &dyn Files, local: &Path, id: &SandboxId, target: &str) -> Result<()> {
    let content = Bytes::from(fs::read(local).map_err(|error| failed("read", local, error))?);
    let found = fs::metadata(local).map_err(|error| failed("read", local, error))?;
    let mode = found.permissions().mode() & 0o777;
    let options = WriteOptions { mode: Some(mode) };
    match files.write(id, target, content.clone(), options).await {
        Err(error) if error.kind() == ErrorKind::Unsupported && error.field() == Some("options.mode") => {}
        written => return Ok(written?),
    }
    files.write(id, target, content, WriteOptions::default()).await?;
    if mode != USUAL_MODE {
        output::complain(&format!("{target} has mode 644: this provider does not set modes"));
    }
    Ok(())
}

fn own_name(path: &Path) -> Result<&str> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| Failure::invalid(format!("{} has no name in UTF-8", path.display())))
}

fn failed(action: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::from_io(&format!("{action} {}", path.display()), error)
}
