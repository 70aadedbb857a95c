//! Out of a node. What a node says of its files may be hostile: names are checked, and nothing of it leads anywhere on this machine.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openlattice::{
    Bytes, ComputeProvider, Error, ErrorKind, FileContent, FileInfo, FileKind, Node, NodeFiles, Result,
    Subject,
};

use crate::local::{Local, Writing};
use crate::report::{CopyOptions, CopyReport, Count, SkipReason};
use crate::upload::files_of;
use crate::{OPERATION, check_bounds, is_plain, join};

/// Copies a directory of a node, with all that is in it, to a local directory, which is made if it is missing; its parent must be
/// there. What is there already stays, and files and links of the same name are replaced. Set-id bits are left out.
///
/// When the future is dropped or fails, what was copied by then is complete, and no file is there in part.
///
/// # Errors
/// `Unsupported` where the provider has no files; `NotFound`, `PermissionDenied` and `FailedPrecondition` about a path of the node
/// (subject `Path`) or a local one (context `localPath`), such as a link where a directory must be; `Internal` for a node that names
/// a file with a slash or `..`; `ResourceExhausted` for a tree of more than 256 levels or a million entries; and those of
/// [`Files`](openlattice::Files).
pub async fn download<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    path: &str,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport> {
    copy(files_of(node)?, path, local, options).await
}

async fn copy(files: NodeFiles, path: &str, local: &Path, options: &CopyOptions) -> Result<CopyReport> {
    let found = files.stat(path).await?;
    if found.kind != FileKind::Directory {
        let text = format!("{path:?} is no directory");
        return Err(Error::new(ErrorKind::FailedPrecondition, OPERATION, text).with_subject(Subject::Path));
    }
    let root = Local::make(local).await?;
    let count = Count::new(options);
    count.add(|report| report.directories += 1);
    let modes = vec![(PathBuf::new(), found.mode)];
    let mut download = Download { files, root, count, modes, links: Vec::new() };
    download.tree(path, options.at_once).await?;
    download.finish().await?;
    Ok(download.count.report())
}

struct Download {
    files: NodeFiles,
    root: Local,
    count: Count,
    /// Modes of directories, set when they are full.
    modes: Vec<(PathBuf, u32)>,
    /// Links, made when nothing is written any more.
    links: Vec<Link>,
}

struct Link {
    folder: PathBuf,
    name: String,
    target: String,
}

/// A directory that is yet to be copied.
struct Folder {
    path: String,
    local: PathBuf,
    depth: usize,
}

/// A file that is yet to be copied.
struct Item {
    path: String,
    folder: PathBuf,
    name: String,
    mode: u32,
}

impl Download {
    async fn tree(&mut self, path: &str, at_once: usize) -> Result<()> {
        let mut folders = vec![Folder { path: path.to_owned(), local: PathBuf::new(), depth: 0 }];
        let (mut items, mut entries) = (VecDeque::new(), 0);
        while let Some(folder) = folders.pop() {
            let listed = self.files.list(&folder.path).await?;
            entries += listed.len() as u64;
            check_bounds(folder.depth, entries, &folder.path)?;
            for entry in listed {
                self.sort(entry, &folder, &mut folders, &mut items).await?;
            }
            self.copy_all(&mut items, at_once).await?;
        }
        Ok(())
    }

    /// Puts an entry to those of its kind. Of what the node says, only the checked name counts; its path is not looked at.
    async fn sort(
        &mut self,
        entry: FileInfo,
        folder: &Folder,
        folders: &mut Vec<Folder>,
        items: &mut VecDeque<Item>,
    ) -> Result<()> {
        let name = checked(entry.name)?;
        let path = join(&folder.path, &name);
        if !is_plain(&name) {
            self.count.skip(path, SkipReason::Name);
            return Ok(());
        }
        match entry.kind {
            FileKind::File => {
                items.push_back(Item { path, folder: folder.local.clone(), name, mode: entry.mode });
            }
            FileKind::Directory => {
                self.root.make_directory(&folder.local, &name).await?;
                self.count.add(|report| report.directories += 1);
                let local = folder.local.join(&name);
                self.modes.push((local.clone(), entry.mode));
                folders.push(Folder { path, local, depth: folder.depth + 1 });
            }
            FileKind::Symlink => {
                let target = entry.symlink_target.filter(|target| !target.is_empty() && is_plain(target));
                match target {
                    Some(target) => self.links.push(Link { folder: folder.local.clone(), name, target }),
                    None => self.count.skip(path, SkipReason::Name),
                }
            }
            FileKind::Other => self.count.skip(path, SkipReason::Kind),
        }
        Ok(())
    }

    async fn copy_all(&self, items: &mut VecDeque<Item>, at_once: usize) -> Result<()> {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < at_once
                && let Some(item) = items.pop_front()
            {
                running.push(self.copy(item));
            }
            match running.next().await {
                Some(done) => done?,
                None => return Ok(()),
            }
        }
    }

    async fn copy(&self, item: Item) -> Result<()> {
        // The first piece before anything local: it tells whether there is such a file.
        let opened = async {
            let mut content = self.files.read_stream(&item.path).await?;
            let first = content.next_chunk().await?;
            Ok((content, first))
        };
        let (mut content, first) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return self.skip_unless_ours(item.path, error),
        };
        let writing = self.root.write(&item.folder, &item.name).await?;
        receive(&mut *content, first, writing, item.mode, &self.count).await
    }

    /// Leaves out what turned out to be no file: Modal's file tool shows every fifo and device as one.
    fn skip_unless_ours(&self, path: String, error: Error) -> Result<()> {
        let reason = match error.kind() {
            ErrorKind::NotFound => SkipReason::Gone,
            ErrorKind::Unsupported | ErrorKind::FailedPrecondition => SkipReason::Kind,
            _ => return Err(error),
        };
        if error.subject() != Some(Subject::Path) {
            return Err(error);
        }
        self.count.skip(path, reason);
        Ok(())
    }

    async fn finish(&mut self) -> Result<()> {
        for link in std::mem::take(&mut self.links) {
            self.root.link(&link.folder, &link.name, &link.target).await?;
            self.count.add(|report| report.links += 1);
        }
        for (folder, mode) in std::mem::take(&mut self.modes).into_iter().rev() {
            self.root.set_mode(&folder, mode).await?;
        }
        Ok(())
    }
}

/// Writes content, whose first piece has been read, to its end, and counts it.
pub(crate) async fn receive(
    content: &mut dyn FileContent,
    mut next: Option<Bytes>,
    mut writing: Writing,
    mode: u32,
    count: &Count,
) -> Result<()> {
    while let Some(piece) = next {
        let length = piece.len() as u64;
        writing = writing.append(piece).await?;
        count.add(|report| report.bytes += length);
        next = content.next_chunk().await?;
    }
    writing.finish(mode).await?;
    count.add(|report| report.files += 1);
    Ok(())
}

/// A name that cannot lead anywhere else.
fn checked(name: String) -> Result<String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        let text = format!("the node has a file named {name:?}, which no file can be");
        return Err(Error::new(ErrorKind::Internal, OPERATION, text));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
