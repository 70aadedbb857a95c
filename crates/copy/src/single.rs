//! Copies of single files.

use std::path::Path;

use openlattice::{ComputeProvider, Error, ErrorKind, Node, Result};

use crate::download::receive;
use crate::local::{Local, Meta, Writing};
use crate::report::{CopyOptions, CopyReport, Count};
use crate::sandbox::{Sink, files_of, stat_through_links};
use crate::upload::Counted;
use crate::{OPERATION, local_error};

/// Copies a local file to a path in a sandbox, where it replaces the file that has that name. A link at the end of either path is
/// followed.
///
/// # Errors
/// As [`upload`](crate::upload()); `FailedPrecondition` for a local path that is no regular file, and for a path of the sandbox that
/// is a directory, a device, a fifo or a socket.
pub async fn upload_file<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    local: &Path,
    path: impl AsRef<Path> + Send,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let asked = path.as_ref();
    // The caller's own path may be a link.
    let whole = local.canonicalize().map_err(|error| local_error("read", local, error))?;
    let (folder, name) = whole.parent().zip(whole.file_name()).ok_or_else(|| no_file(local))?;
    let found = Local::open(folder).await?.read(Path::new(""), name).await?;
    let (reading, meta) = found.ok_or_else(|| no_file(local))?;
    let mut sink = Sink::new(node, options)?;
    // What a link leads to is what gets mode and time.
    let through = stat_through_links(&sink.files, asked).await;
    let path = through.map_or_else(|_| asked.to_owned(), |(path, _)| path);
    sink.count.add(|report| report.bytes_found = reading.length());
    let content = Counted::new(reading, &sink.count);
    sink.write(&path, meta, content).await?;
    sink.written(path, meta);
    sink.finish().await?;
    Ok(sink.count.report())
}

/// Copies a file of a sandbox to a local path. A link at the end of either path is followed, on this machine also to where there is
/// nothing yet. A regular file is replaced; a device, a fifo or a socket that is there is written into, and so is what standard
/// output or error leads to where a link means that. Set-id bits are left out.
///
/// # Errors
/// As [`download`](crate::download()); `FailedPrecondition` where either path is a directory.
pub async fn download_file<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    path: impl AsRef<Path> + Send,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let files = files_of(node)?;
    let (path, found) = stat_through_links(&files, path.as_ref()).await?;
    let mut content = files.read_stream(&path).await?;
    // The first piece before anything local: it tells whether there is such a file.
    let first = content.next_chunk().await?;
    let count = Count::new(options);
    count.add(|report| report.bytes_found = found.size);
    let writing = Writing::begin(local).await?;
    let meta = Meta { mode: found.mode, modified: Some(found.modified_at) };
    receive(&mut *content, first, writing, meta, &count).await?;
    Ok(count.report())
}

fn no_file(local: &Path) -> Error {
    let text = format!("{} is no regular file", local.display());
    Error::new(ErrorKind::FailedPrecondition, OPERATION, text)
}
