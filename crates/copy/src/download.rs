//! Out of a sandbox. What a sandbox says of its files may be hostile: names are checked, and nothing of it leads anywhere on this machine.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use openlattice::{
    Bytes, ComputeProvider, Error, ErrorKind, FileContent, FileInfo, FileKind, FileTime, Node, NodeFiles,
    Result, Subject,
};

use crate::local::{Local, Meta, SET_ID, Writing};
use crate::report::{CopyOptions, CopyReport, Count, SkipReason};
use crate::sandbox::{files_of, stat_through_links};
use crate::{OPERATION, check_bounds};

/// Copies what is in a directory of a sandbox to a local directory, which is made if it is missing; its parent must be there. Links
/// at the end of both paths are followed. What is there already stays: only regular files are replaced, all else that has the name of
/// something copied is left alone, and that left out. Set-id bits are left out.
///
/// When the future is dropped or fails, what was copied by then is complete, and no file is there in part.
///
/// # Errors
/// `Unsupported` where the provider has no files; `NotFound`, `PermissionDenied` and `FailedPrecondition` about a path of the sandbox
/// (subject `Path`) or a local one (context `localPath`); `ResourceExhausted` where there is no space; `Internal` for a sandbox that
/// names a file with a slash or `..`; `ResourceExhausted` for a tree of more than 256 levels or a million entries; and those of
/// [`Files`](openlattice::Files).
pub async fn download<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    path: impl AsRef<Path> + Send,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let byte_names = node.provider().capabilities().files.byte_names;
    copy(files_of(node)?, byte_names, path.as_ref(), local, options).await
}

async fn copy(
    files: NodeFiles,
    byte_names: bool,
    path: &Path,
    local: &Path,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let (path, found) = stat_through_links(&files, path).await?;
    if found.kind != FileKind::Directory {
        let text = format!("{path:?} is no directory");
        return Err(Error::new(ErrorKind::FailedPrecondition, OPERATION, text).with_subject(Subject::Path));
    }
    let root = Local::make(local).await?;
    let count = Count::new(options);
    count.add(|report| report.directories += 1);
    let mut download = Download { files, byte_names, root, count, metas: Vec::new(), links: Vec::new() };
    download.note(PathBuf::new(), &found);
    download.tree(&path, options.at_once).await?;
    download.finish().await?;
    Ok(download.count.report())
}

struct Download {
    files: NodeFiles,
    byte_names: bool,
    root: Local,
    count: Count,
    /// Modes and times of directories, set when they are full.
    metas: Vec<(PathBuf, Meta)>,
    /// Links, made when nothing is written any more.
    links: Vec<Link>,
}

struct Link {
    folder: PathBuf,
    name: OsString,
    target: OsString,
    modified: FileTime,
    path: PathBuf,
}

/// A directory that is yet to be copied.
struct Folder {
    path: PathBuf,
    local: PathBuf,
    depth: usize,
}

/// A file that is yet to be copied.
struct Item {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    meta: Meta,
}

impl Download {
    /// Notes mode and time of a directory.
    fn note(&mut self, local: PathBuf, found: &FileInfo) {
        let meta = meta_of(found);
        self.count.add(|report| report.set_id_dropped += u64::from(meta.mode & SET_ID != 0));
        self.metas.push((local, meta));
    }

    async fn tree(&mut self, path: &Path, at_once: usize) -> Result<()> {
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

    /// Puts an entry to those of its kind. Of what the sandbox says, only the checked name counts; its path is not looked at.
    async fn sort(
        &mut self,
        entry: FileInfo,
        folder: &Folder,
        folders: &mut Vec<Folder>,
        items: &mut VecDeque<Item>,
    ) -> Result<()> {
        let name = checked(&entry)?;
        let path = folder.path.join(&name);
        if !is_exact(self.byte_names, &entry.name) {
            self.count.skip(&path, SkipReason::Name);
            return Ok(());
        }
        match entry.kind {
            FileKind::File => {
                self.count.add(|report| report.bytes_found += entry.size);
                items.push_back(Item { path, folder: folder.local.clone(), name, meta: meta_of(&entry) });
            }
            FileKind::Directory if self.root.make_directory(&folder.local, &name).await? => {
                self.count.add(|report| report.directories += 1);
                let local = folder.local.join(&name);
                self.note(local.clone(), &entry);
                folders.push(Folder { path, local, depth: folder.depth + 1 });
            }
            FileKind::Directory => self.count.skip(&path, SkipReason::InTheWay),
            FileKind::Symlink => self.sort_link(&entry, folder, name, path),
            FileKind::Other => self.count.skip(&path, SkipReason::Kind),
        }
        Ok(())
    }

    fn sort_link(&mut self, entry: &FileInfo, folder: &Folder, name: OsString, path: PathBuf) {
        let target = entry.os_symlink_target().filter(|target| {
            let bytes = target.as_encoded_bytes();
            !bytes.is_empty() && !bytes.contains(&0) && is_exact(self.byte_names, &target.to_string_lossy())
        });
        let Some(target) = target else { return self.count.skip(&path, SkipReason::Name) };
        let (folder, modified) = (folder.local.clone(), entry.modified_at);
        self.links.push(Link { folder, name, target, modified, path });
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
            Err(error) => return skip_unless_ours(&self.count, &item.path, error),
        };
        let Some(writing) = self.root.write(&item.folder, &item.name).await? else {
            self.count.skip(&item.path, SkipReason::InTheWay);
            return Ok(());
        };
        receive(&mut *content, first, writing, item.meta, &self.count).await
    }

    async fn finish(&mut self) -> Result<()> {
        for link in std::mem::take(&mut self.links) {
            if self.root.link(&link.folder, &link.name, &link.target, Some(link.modified)).await? {
                self.count.add(|report| report.links += 1);
            } else {
                self.count.skip(&link.path, SkipReason::InTheWay);
            }
        }
        // What is below before what is above it: that changes its time.
        for (folder, meta) in std::mem::take(&mut self.metas).into_iter().rev() {
            self.root.set_meta(&folder, meta).await?;
        }
        Ok(())
    }
}

/// Writes content, whose first piece has been read, to its end, and counts it.
pub(crate) async fn receive(
    content: &mut dyn FileContent,
    mut next: Option<Bytes>,
    mut writing: Writing,
    meta: Meta,
    count: &Count,
) -> Result<()> {
    while let Some(piece) = next {
        let length = piece.len() as u64;
        writing = writing.append(piece).await?;
        count.add(|report| report.bytes += length);
        next = content.next_chunk().await?;
    }
    writing.finish(meta).await?;
    count.add(|report| {
        report.files += 1;
        report.set_id_dropped += u64::from(meta.mode & SET_ID != 0);
    });
    Ok(())
}

/// Leaves out what turned out to be no file: Modal's file tool shows every fifo and device as one.
pub(crate) fn skip_unless_ours(count: &Count, path: &Path, error: Error) -> Result<()> {
    let reason = match error.kind() {
        ErrorKind::NotFound => SkipReason::Gone,
        ErrorKind::Unsupported | ErrorKind::FailedPrecondition => SkipReason::Kind,
        _ => return Err(error),
    };
    if error.subject() != Some(Subject::Path) {
        return Err(error);
    }
    count.skip(path, reason);
    Ok(())
}

/// What is kept of a file besides its content.
fn meta_of(found: &FileInfo) -> Meta {
    Meta { mode: found.mode & 0o7777, modified: Some(found.modified_at) }
}

/// Whether a name is the true one: a provider without other names than text shows them with replacement characters.
pub(crate) fn is_exact(byte_names: bool, shown: &str) -> bool {
    byte_names || !shown.contains(char::REPLACEMENT_CHARACTER)
}

/// A name that cannot lead anywhere else.
pub(crate) fn checked(entry: &FileInfo) -> Result<OsString> {
    let name = entry.os_name();
    let bytes = name.as_encoded_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
        let text = format!("the sandbox has a file named {name:?}, which no file can be");
        return Err(Error::new(ErrorKind::Internal, OPERATION, text));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;
