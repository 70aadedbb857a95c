//! Into a sandbox.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openlattice::{Bytes, ComputeProvider, FileContent, Node, Result, async_trait};

use crate::check_bounds;
use crate::local::{Entry, Kind, Local, Meta};
use crate::report::{CopyOptions, CopyReport, Count, SkipReason};
use crate::sandbox::Sink;

/// Copies what is in a local directory to a path in a sandbox, where a directory is made with its parents. What is there already
/// stays, and files and links of the same name are replaced.
///
/// When the future is dropped or fails, what was copied by then is complete, and no file is there in part.
///
/// # Errors
/// `Unsupported` where the provider has no files; `NotFound`, `PermissionDenied` and `FailedPrecondition` about a local path
/// (context `localPath`) or one of the sandbox (subject `Path`); `ResourceExhausted` for a tree of more than 256 levels or a million
/// entries, and where the sandbox has no space; and those of [`Files`](openlattice::Files).
pub async fn upload<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    local: &Path,
    path: impl AsRef<Path> + Send,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let path = path.as_ref();
    let mut upload = Upload { sink: Sink::new(node, options)?, root: Local::open(local).await? };
    let meta = upload.root.meta().await?;
    upload.sink.begin(path, meta).await?;
    upload.tree(path, options.at_once).await?;
    upload.sink.finish().await?;
    Ok(upload.sink.count.report())
}

struct Upload<'a, P: ComputeProvider + ?Sized> {
    sink: Sink<'a, P>,
    root: Local,
}

/// A directory that is yet to be copied.
struct Folder {
    local: PathBuf,
    path: PathBuf,
    depth: usize,
}

/// A file that is yet to be copied.
struct Item {
    folder: PathBuf,
    name: OsString,
    path: PathBuf,
}

impl<P: ComputeProvider + ?Sized> Upload<'_, P> {
    /// Copies what is below, so many files at once.
    async fn tree(&mut self, path: &Path, at_once: usize) -> Result<()> {
        let mut folders = vec![Folder { local: PathBuf::new(), path: path.to_owned(), depth: 0 }];
        let (mut items, mut entries) = (VecDeque::new(), 0);
        while let Some(folder) = folders.pop() {
            let listed = self.root.list(&folder.local).await?;
            entries += listed.len() as u64;
            check_bounds(folder.depth, entries, &folder.path)?;
            for entry in listed {
                self.sort(entry, &folder, &mut folders, &mut items).await?;
            }
            for (path, meta) in self.copy_all(&mut items, at_once).await? {
                self.sink.written(path, meta);
            }
        }
        Ok(())
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
        if !self.sink.takes(&entry.name) {
            self.sink.count.skip(&local, SkipReason::Name);
            return Ok(());
        }
        let path = folder.path.join(&entry.name);
        match entry.kind {
            Kind::File => {
                self.sink.count.add(|report| report.bytes_found += entry.size);
                items.push_back(Item { folder: folder.local.clone(), name: entry.name, path });
            }
            Kind::Directory => {
                if self.sink.directory(&path, entry.meta, &local).await? {
                    folders.push(Folder { local, path, depth: folder.depth + 1 });
                }
            }
            Kind::Link { target } => self.sink.link(path, target, entry.meta.modified),
            Kind::Other => self.sink.count.skip(&local, SkipReason::Kind),
        }
        Ok(())
    }

    /// Copies files; gives those that are there now.
    async fn copy_all(&self, items: &mut VecDeque<Item>, at_once: usize) -> Result<Vec<(PathBuf, Meta)>> {
        let (mut running, mut written) = (FuturesUnordered::new(), Vec::new());
        loop {
            while running.len() < at_once
                && let Some(item) = items.pop_front()
            {
                running.push(self.copy(item));
            }
            match running.next().await {
                Some(done) => written.extend(done?),
                None => return Ok(written),
            }
        }
    }

    async fn copy(&self, item: Item) -> Result<Option<(PathBuf, Meta)>> {
        let local = item.folder.join(&item.name);
        let Some((reading, meta)) = self.root.read(&item.folder, &item.name).await? else {
            self.sink.count.skip(&local, SkipReason::Kind);
            return Ok(None);
        };
        let content = Counted::new(reading, &self.sink.count);
        let written = self.sink.file(&item.path, meta, content, &local).await?;
        Ok(written.then_some((item.path, meta)))
    }
}

/// Content whose bytes are counted as they are taken.
#[derive(Debug)]
pub(crate) struct Counted<T> {
    inner: T,
    count: Count,
}

impl<T> Counted<T> {
    pub(crate) fn new(inner: T, count: &Count) -> Box<Self> {
        Box::new(Self { inner, count: count.clone() })
    }
}

#[async_trait]
impl<T: FileContent> FileContent for Counted<T> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let piece = self.inner.next_chunk().await?;
        if let Some(piece) = &piece {
            self.count.add(|report| report.bytes += piece.len() as u64);
        }
        Ok(piece)
    }
}
