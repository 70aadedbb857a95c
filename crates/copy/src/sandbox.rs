//! The sandbox's side: looking at paths, and making what a copy puts there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use openlattice::{
    ComputeProvider, Error, ErrorKind, FileCapabilities, FileContent, FileInfo, FileKind, FileTime, Node,
    NodeFiles, Result, Subject, WriteOptions,
};

use crate::local::Meta;
use crate::report::{CopyOptions, Count, SkipReason};
use crate::{OPERATION, commands, is_text};

/// Modes that files and directories have in a sandbox without being asked for.
const USUAL: (u32, u32) = (0o644, 0o755);
/// Links in a row that are followed.
const MAX_LINKS: usize = 40;

/// The sandbox's files.
pub(crate) fn files_of<P: ComputeProvider + ?Sized>(node: &Node<P>) -> Result<NodeFiles> {
    node.files().ok_or_else(|| Error::unsupported(OPERATION, "extensions.files"))
}

/// Describes a path of a sandbox, and what links at its end lead to where it is one: the path behind them, and what is there.
///
/// # Errors
/// Those of [`Files::stat`](openlattice::Files::stat): `NotFound` with subject `Path` for a link to nothing; `InvalidArgument` for
/// links that go round.
pub async fn stat_through_links(files: &NodeFiles, path: &Path) -> Result<(PathBuf, FileInfo)> {
    // Without dots and slashes at its end, which say no more than that links are followed.
    let mut path: PathBuf = path.components().collect();
    for _ in 0..MAX_LINKS {
        let found = files.stat(&path).await?;
        let target = found.os_symlink_target();
        let Some(target) = target.filter(|_| found.kind == FileKind::Symlink) else {
            return Ok((path, found));
        };
        // An absolute target replaces all before it.
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    let text = format!("the links at {path:?} go round");
    Err(Error::new(ErrorKind::InvalidArgument, OPERATION, text).with_subject(Subject::Path))
}

/// Whether a path was not found.
pub(crate) fn is_missing<T>(found: &Result<T>) -> bool {
    found.as_ref().is_err_and(|error| is_about_path(error, ErrorKind::NotFound))
}

fn is_about_path(error: &Error, kind: ErrorKind) -> bool {
    error.kind() == kind && error.subject() == Some(Subject::Path)
}

/// What is put into a sandbox. Modes, times and links come at the end: they could keep files from being written, or be changed by
/// that.
pub(crate) struct Sink<'a, P: ComputeProvider + ?Sized> {
    node: &'a Node<P>,
    pub(crate) files: NodeFiles,
    pub(crate) count: Count,
    offers: FileCapabilities,
    /// Whether there was nothing at the target before, so that the usual modes need not be set.
    fresh: bool,
    directories: Vec<(PathBuf, Meta)>,
    links: BTreeMap<PathBuf, Link>,
    /// What the provider cannot give a file when it is written.
    later: Vec<(PathBuf, Meta)>,
}

struct Link {
    target: OsString,
    modified: Option<FileTime>,
}

impl<'a, P: ComputeProvider + ?Sized> Sink<'a, P> {
    pub(crate) fn new(node: &'a Node<P>, options: &CopyOptions) -> Result<Self> {
        let (files, count) = (files_of(node)?, Count::new(options));
        let offers = node.provider().capabilities().files.clone();
        let (directories, links, later) = (Vec::new(), BTreeMap::new(), Vec::new());
        Ok(Self { node, files, count, offers, fresh: false, directories, links, later })
    }

    /// Whether the provider has such a name.
    pub(crate) fn takes(&self, name: &OsStr) -> bool {
        self.offers.byte_names || is_text(name)
    }

    /// Makes the directory that all else goes into.
    pub(crate) async fn begin(&mut self, path: &Path, meta: Meta) -> Result<()> {
        self.fresh = is_missing(&self.files.stat(path).await);
        self.files.mkdir(path).await?;
        self.directories.push((path.to_owned(), meta));
        self.count.add(|report| report.directories += 1);
        Ok(())
    }

    /// Makes a directory; whether there is one now.
    pub(crate) async fn directory(&mut self, path: &Path, meta: Meta, shown: &Path) -> Result<bool> {
        match self.files.mkdir(path).await {
            Err(error) if is_about_path(&error, ErrorKind::FailedPrecondition) => {
                self.count.skip(shown, SkipReason::InTheWay);
                return Ok(false);
            }
            made => made?,
        }
        self.links.remove(path);
        self.directories.push((path.to_owned(), meta));
        self.count.add(|report| report.directories += 1);
        Ok(true)
    }

    /// Sets mode and time of a directory that is there.
    pub(crate) fn describe(&mut self, path: &Path, meta: Meta) {
        self.directories.push((path.to_owned(), meta));
    }

    /// Writes a file, and counts it. What is no file and in its way is an error.
    pub(crate) async fn write(&self, path: &Path, meta: Meta, content: Box<dyn FileContent>) -> Result<()> {
        let options = WriteOptions {
            mode: self.offers.modes.then_some(meta.mode),
            modified_at: meta.modified.filter(|_| self.offers.times),
        };
        self.files.extension().write_stream(self.node.id(), path, content, options).await?;
        self.count.add(|report| report.files += 1);
        Ok(())
    }

    /// Writes a file of many; what is in its way is counted and stays. Whether it is there now.
    pub(crate) async fn file(
        &self,
        path: &Path,
        meta: Meta,
        content: Box<dyn FileContent>,
        shown: &Path,
    ) -> Result<bool> {
        match self.write(path, meta, content).await {
            Err(error) if is_about_path(&error, ErrorKind::FailedPrecondition) => {
                self.count.skip(shown, SkipReason::InTheWay);
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }

    /// Notes what a written file is to be given yet; a link that was to be made there is none any more.
    pub(crate) fn written(&mut self, path: PathBuf, meta: Meta) {
        self.links.remove(&path);
        if !(self.offers.modes && self.offers.times) {
            self.later.push((path, meta));
        }
    }

    /// Notes a link.
    pub(crate) fn link(&mut self, path: PathBuf, target: OsString, modified: Option<FileTime>) {
        if self.takes(&target) {
            self.links.insert(path, Link { target, modified });
        } else {
            self.count.skip(&path, SkipReason::Name);
        }
    }

    /// Makes links and sets modes and times.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        let mut times: Vec<_> =
            links.iter().filter_map(|(path, link)| Some((path.clone(), link.modified?))).collect();
        if self.offers.symlinks {
            for (path, link) in links {
                self.make_link(&path, link).await?;
            }
        } else {
            times.retain({
                let made = self.link_by_command(links).await?;
                move |(path, _)| made.contains(path)
            });
        }
        // What is below before what is above it.
        self.directories.reverse();
        self.set_modes().await?;
        self.set_times(times).await
    }

    async fn set_modes(&self) -> Result<()> {
        if self.offers.modes {
            for (path, meta) in &self.directories {
                self.files.set_mode(path, meta.mode).await?;
            }
            return Ok(());
        }
        let of = |usual: u32, all: &[(PathBuf, Meta)]| -> Vec<_> {
            let needed = all.iter().filter(|(_, meta)| !(self.fresh && meta.mode == usual));
            needed.filter_map(|(path, meta)| Some((path.to_str()?.to_owned(), meta.mode))).collect()
        };
        let modes = [of(USUAL.0, &self.later), of(USUAL.1, &self.directories)].concat();
        let not_set = commands::set_modes(self.node, modes).await?;
        self.count.add(|report| report.modes_not_set += not_set);
        Ok(())
    }

    async fn set_times(&self, links: Vec<(PathBuf, FileTime)>) -> Result<()> {
        let of = |all: &[(PathBuf, Meta)]| -> Vec<_> {
            all.iter().filter_map(|(path, meta)| Some((path.clone(), meta.modified?))).collect()
        };
        let directories = of(&self.directories);
        if self.offers.times {
            // Links have theirs already.
            for (path, modified) in directories {
                self.files.set_modified(&path, modified).await?;
            }
            return Ok(());
        }
        let all = [of(&self.later), links, directories].concat().into_iter();
        let times = all.filter_map(|(path, time)| Some((path.into_os_string().into_string().ok()?, time)));
        let not_set = commands::set_times(self.node, times.collect()).await?;
        self.count.add(|report| report.times_not_set += not_set);
        Ok(())
    }

    /// Makes a link in place of a link or file that is there.
    async fn make_link(&self, path: &Path, link: Link) -> Result<()> {
        let made = match self.files.symlink(path, &link.target).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if !self.clear(path).await? {
                    return Ok(());
                }
                self.files.symlink(path, &link.target).await
            }
            // Archives may leave directories unsaid.
            Err(error) if is_about_path(&error, ErrorKind::NotFound) => {
                self.files.mkdir(path.parent().unwrap_or(path)).await?;
                self.files.symlink(path, &link.target).await
            }
            made => made,
        };
        made?;
        if let Some(modified) = link.modified.filter(|_| self.offers.times) {
            self.files.set_modified(path, modified).await?;
        }
        self.count.add(|report| report.links += 1);
        Ok(())
    }

    /// Gives the paths of the links that were made.
    async fn link_by_command(
        &self,
        links: BTreeMap<PathBuf, Link>,
    ) -> Result<std::collections::BTreeSet<PathBuf>> {
        let mut pairs = Vec::new();
        for (path, link) in links {
            if !self.fresh && !self.clear(&path).await? {
                continue;
            }
            let text = |name: OsString| name.into_string().ok();
            pairs.extend(text(path.into_os_string()).zip(text(link.target)));
        }
        let mut made: std::collections::BTreeSet<_> =
            pairs.iter().map(|(path, _)| PathBuf::from(path)).collect();
        for path in commands::make_links(self.node, pairs).await? {
            made.remove(Path::new(&path));
            self.count.skip(Path::new(&path), SkipReason::Link);
        }
        self.count.add(|report| report.links += made.len() as u64);
        Ok(made)
    }

    /// Removes a link or file, if one is there; whether nothing is in the way now.
    async fn clear(&self, path: &Path) -> Result<bool> {
        let found = self.files.stat(path).await;
        if is_missing(&found) {
            return Ok(true);
        }
        if !matches!(found?.kind, FileKind::File | FileKind::Symlink) {
            self.count.skip(path, SkipReason::InTheWay);
            return Ok(false);
        }
        self.files.remove(path).await?;
        Ok(true)
    }
}
