//! Into a node.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openlattice::{
    Bytes, ComputeProvider, Error, ErrorKind, FileCapabilities, FileContent, FileKind, Node, NodeFiles,
    Result, Subject, WriteOptions, async_trait,
};

use crate::local::{Entry, Kind, Local, Reading};
use crate::report::{CopyOptions, CopyReport, Count, SkipReason};
use crate::{OPERATION, check_bounds, commands, is_plain, join};

/// Modes that files and directories have in a node without being asked for.
const USUAL: (u32, u32) = (0o644, 0o755);

/// Copies a local directory, with all that is in it, to a path in a node, where it is made with its parents. What is there already
/// stays, and files and links of the same name are replaced.
///
/// When the future is dropped or fails, what was copied by then is complete, and no file is there in part.
///
/// # Errors
/// `Unsupported` where the provider has no files; `NotFound`, `PermissionDenied` and `FailedPrecondition` about a local path
/// (context `localPath`) or one of the node (subject `Path`); `ResourceExhausted` for a tree of more than 256 levels or a million
/// entries; and those of [`Files`](openlattice::Files).
pub async fn upload<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    local: &Path,
    path: &str,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let files = files_of(node)?;
    let root = Local::open(local).await?;
    let count = Count::new(options);
    let offers = node.provider().capabilities().files.clone();
    let mut upload =
        Upload { node, files, root, count, offers, fresh: false, modes: Vec::new(), links: Vec::new() };
    upload.begin(path).await?;
    upload.tree(path, options.at_once).await?;
    upload.finish().await?;
    Ok(upload.count.report())
}

struct Upload<'a, P: ComputeProvider + ?Sized> {
    node: &'a Node<P>,
    files: NodeFiles,
    root: Local,
    count: Count,
    offers: FileCapabilities,
    /// Whether there was nothing at the target before, so that the usual modes need not be set.
    fresh: bool,
    /// Modes to be set when everything is there, parents before what is below them.
    modes: Vec<(String, u32, bool)>,
    /// Links to be made when everything is there: path and target.
    links: Vec<(String, String)>,
}

/// A directory that is yet to be copied.
struct Folder {
    local: PathBuf,
    path: String,
    depth: usize,
}

/// A file that is yet to be copied.
struct Item {
    folder: PathBuf,
    name: OsString,
    path: String,
}

impl<P: ComputeProvider + ?Sized> Upload<'_, P> {
    async fn begin(&mut self, path: &str) -> Result<()> {
        self.fresh = is_missing(&self.files.stat(path).await);
        self.files.mkdir(path).await?;
        let mode = self.root.mode().await?;
        self.modes.push((path.to_owned(), mode, true));
        self.count.add(|report| report.directories += 1);
        Ok(())
    }

    /// Copies what is below, so many files at once.
    async fn tree(&mut self, path: &str, at_once: usize) -> Result<()> {
        let mut folders = vec![Folder { local: PathBuf::new(), path: path.to_owned(), depth: 0 }];
        let (mut items, mut entries) = (VecDeque::new(), 0);
        loop {
            let Some(folder) = folders.pop() else { return Ok(()) };
            let listed = self.root.list(&folder.local).await?;
            entries += listed.len() as u64;
            check_bounds(folder.depth, entries, &folder.path)?;
            for entry in listed {
                self.sort(entry, &folder, &mut folders, &mut items).await?;
            }
            let done = self.copy_all(&mut items, at_once).await?;
            self.modes.extend(done.into_iter().map(|(path, mode)| (path, mode, false)));
        }
    }

    /// Puts an entry to those of its kind.
    async fn sort(
        &mut self,
        entry: Entry,
        folder: &Folder,
        folders: &mut Vec<Folder>,
        items: &mut VecDeque<Item>,
    ) -> Result<()> {
        let local = folder.local.join(&entry.name);
        let skip = |reason| self.count.skip(local.to_string_lossy().into_owned(), reason);
        let Some(name) = entry.name.to_str().filter(|name| is_plain(name)) else {
            skip(SkipReason::Name);
            return Ok(());
        };
        let path = join(&folder.path, name);
        match entry.kind {
            Kind::File => {
                items.push_back(Item { folder: folder.local.clone(), name: entry.name.clone(), path });
            }
            Kind::Directory { mode } => {
                self.files.mkdir(&path).await?;
                self.count.add(|report| report.directories += 1);
                self.modes.push((path.clone(), mode, true));
                folders.push(Folder { local, path, depth: folder.depth + 1 });
            }
            Kind::Link { target: Some(target) } if is_plain(&target) => self.links.push((path, target)),
            Kind::Link { .. } => skip(SkipReason::Name),
            Kind::Other => skip(SkipReason::Kind),
        }
        Ok(())
    }

    /// Copies files; gives those whose mode is yet to be set.
    async fn copy_all(&self, items: &mut VecDeque<Item>, at_once: usize) -> Result<Vec<(String, u32)>> {
        let (mut running, mut modes) = (FuturesUnordered::new(), Vec::new());
        loop {
            while running.len() < at_once
                && let Some(item) = items.pop_front()
            {
                running.push(self.copy(item));
            }
            match running.next().await {
                Some(done) => modes.extend(done?),
                None => return Ok(modes),
            }
        }
    }

    async fn copy(&self, item: Item) -> Result<Option<(String, u32)>> {
        let Some((reading, mode)) = self.root.read(&item.folder, &item.name).await? else {
            let local = item.folder.join(&item.name);
            self.count.skip(local.to_string_lossy().into_owned(), SkipReason::Kind);
            return Ok(None);
        };
        let sent = self.offers.modes.then_some(mode);
        send(self.node, &self.files, reading, &item.path, sent, &self.count).await?;
        Ok((!self.offers.modes).then_some((item.path, mode)))
    }

    /// Makes links and sets modes, which could keep files from being written before.
    async fn finish(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        if self.offers.symlinks {
            for (path, target) in links {
                self.link(&path, &target).await?;
                self.count.add(|report| report.links += 1);
            }
        } else {
            self.link_by_command(links).await?;
        }
        let modes = std::mem::take(&mut self.modes).into_iter().rev();
        if self.offers.modes {
            for (path, mode, _) in modes.filter(|(.., directory)| *directory) {
                self.files.set_mode(&path, mode).await?;
            }
            return Ok(());
        }
        let usual = |mode, directory| mode == if directory { USUAL.1 } else { USUAL.0 };
        let needed = modes.filter(|(_, mode, directory)| !(self.fresh && usual(*mode, *directory)));
        let not_set =
            commands::set_modes(self.node, needed.map(|(path, mode, _)| (path, mode)).collect()).await?;
        self.count.add(|report| report.modes_not_set += not_set);
        Ok(())
    }

    /// Makes a link in place of a link or file that is there.
    async fn link(&self, path: &str, target: &str) -> Result<()> {
        match self.files.symlink(path, target).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.clear(path).await?;
                self.files.symlink(path, target).await
            }
            made => made,
        }
    }

    async fn link_by_command(&self, links: Vec<(String, String)>) -> Result<()> {
        if !self.fresh {
            for (path, _) in &links {
                self.clear(path).await?;
            }
        }
        let all = links.len() as u64;
        let not_made = commands::make_links(self.node, links).await?;
        self.count.add(|report| report.links += all - not_made.len() as u64);
        not_made.into_iter().for_each(|path| self.count.skip(path, SkipReason::Link));
        Ok(())
    }

    /// Removes a link or file; a directory is in the way.
    async fn clear(&self, path: &str) -> Result<()> {
        let found = self.files.stat(path).await;
        if is_missing(&found) {
            return Ok(());
        }
        if found?.kind == FileKind::Directory {
            let text = format!("the directory {path:?} is in the way of a link");
            return Err(
                Error::new(ErrorKind::FailedPrecondition, OPERATION, text).with_subject(Subject::Path)
            );
        }
        self.files.remove(path).await
    }
}

/// Writes a local file to a path of the node, with a mode where one is given, and counts it.
pub(crate) async fn send<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    files: &NodeFiles,
    reading: Reading,
    path: &str,
    mode: Option<u32>,
    count: &Count,
) -> Result<()> {
    let content = Box::new(Counted { inner: reading, count: count.clone() });
    files.extension().write_stream(node.id(), path, content, WriteOptions { mode }).await?;
    count.add(|report| report.files += 1);
    Ok(())
}

/// The node's files.
pub(crate) fn files_of<P: ComputeProvider + ?Sized>(node: &Node<P>) -> Result<NodeFiles> {
    node.files().ok_or_else(|| Error::unsupported(OPERATION, "extensions.files"))
}

/// Whether a path was not found.
fn is_missing<T>(found: &Result<T>) -> bool {
    found
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound && error.subject() == Some(Subject::Path))
}

/// Content whose bytes are counted as they are taken.
#[derive(Debug)]
struct Counted {
    inner: Reading,
    count: Count,
}

#[async_trait]
impl FileContent for Counted {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let piece = self.inner.next_chunk().await?;
        if let Some(piece) = &piece {
            self.count.add(|report| report.bytes += piece.len() as u64);
        }
        Ok(piece)
    }
}
