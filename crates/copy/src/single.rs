//! Copies of single files.

use std::path::Path;

use openlattice::{ComputeProvider, Error, ErrorKind, FileKind, Node, Result};

use crate::download::receive;
use crate::local::Local;
use crate::report::{CopyOptions, CopyReport, Count};
use crate::upload::{files_of, send};
use crate::{OPERATION, commands, local_error};

/// Copies a local file to a path in a node, where it replaces what has that name. A link at the end of either path is followed.
///
/// # Errors
/// As [`upload`](crate::upload()); `FailedPrecondition` for a local path that is no regular file.
pub async fn upload_file<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    local: &Path,
    path: &str,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let files = files_of(node)?;
    // The caller's own path may be a link.
    let whole = local.canonicalize().map_err(|error| local_error("read", local, error))?;
    let (folder, name) = split(&whole)?;
    let found = Local::open(folder).await?.read(Path::new(""), name).await?;
    let Some((reading, mode)) = found else {
        let text = format!("{} is no regular file", local.display());
        return Err(Error::new(ErrorKind::FailedPrecondition, OPERATION, text));
    };
    let count = Count::new(options);
    let modes = node.provider().capabilities().files.modes;
    send(node, &files, reading, path, modes.then_some(mode), &count).await?;
    // A file that is replaced may have any mode.
    if !modes && files.stat(path).await?.mode & 0o777 != mode {
        let not_set = commands::set_modes(node, vec![(path.to_owned(), mode)]).await?;
        count.add(|report| report.modes_not_set += not_set);
    }
    Ok(count.report())
}

/// Copies a file of a node to a local path, where it replaces what has that name, a link included. A link at the end of the node's
/// path is followed inside the node.
///
/// # Errors
/// As [`download`](crate::download()).
pub async fn download_file<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    path: &str,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let files = files_of(node)?;
    let found = files.stat(path).await?;
    let mode = if found.kind == FileKind::Symlink { 0o644 } else { found.mode };
    let mut content = files.read_stream(path).await?;
    // The first piece before anything local: it tells whether there is such a file.
    let first = content.next_chunk().await?;
    let (folder, name) = split(local)?;
    let name = name.to_str().ok_or_else(|| no_name(local))?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let count = Count::new(options);
    let writing = Local::open(folder).await?.write(Path::new(""), name).await?;
    receive(&mut *content, first, writing, mode, &count).await?;
    Ok(count.report())
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr)> {
    path.parent().zip(path.file_name()).ok_or_else(|| no_name(path))
}

fn no_name(path: &Path) -> Error {
    Error::invalid(OPERATION, "local", format_args!("{} has no name in UTF-8 at its end", path.display()))
}
