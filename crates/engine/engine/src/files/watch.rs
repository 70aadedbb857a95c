//! Following what happens to the files of a sandbox.

mod tree;
mod walk;

use super::{
    Files,
    open::{self, failed, kind, locate, split},
};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    lifecycle::wait::Over,
    watch::Change,
};
use rustix::fs::{FileType, inotify::WatchFlags};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};
use tree::Tree;
use walk::Walk;

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FileEventKind {
    /// It was opened, read, or closed after writing.
    Access,
    /// It came to be.
    Create,
    /// Its content or attributes changed, or [`Files::write`] replaced it.
    Modify,
    /// It was removed.
    Remove,
    /// It was renamed: old path, new path.
    Rename,
    /// It was renamed to somewhere that is not watched.
    RenameFrom,
    /// It was renamed from somewhere that is not watched.
    RenameTo,
    /// Changes at or below the path were lost, or cannot be watched: look there.
    Unknown,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEvent {
    /// What happened.
    pub kind: FileEventKind,
    /// The paths that it happened to, at least one. Names that are no text have replacement characters.
    pub paths: Vec<String>,
}

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchSpec {
    /// Directories below, too; links are not followed.
    pub recursive: bool,
    /// Kinds that are told; `None` for all. `Unknown` is told unless there are none at all.
    pub kinds: Option<BTreeSet<FileEventKind>>,
    /// When it ends.
    pub timeout: Option<Duration>,
}

impl WatchSpec {
    fn wants(&self, kind: FileEventKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| {
            kinds.contains(&kind) || (kind == FileEventKind::Unknown && !kinds.is_empty())
        })
    }

    fn flags(&self) -> WatchFlags {
        let always = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        if self.wants(FileEventKind::Access) {
            always | WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::CLOSE_WRITE
        } else {
            always
        }
    }
}

/// Follows changes until dropped. A file is watched through its directory, so that one that is replaced stays watched.
#[derive(Debug)]
pub struct FileWatch {
    engine: Engine,
    id: SandboxId,
    over: Over,
    deadline: Option<Instant>,
    changes: mpsc::Receiver<Change>,
    walk: Walk,
    tree: Tree,
}

impl Files {
    /// Watches a file, the entries of a directory, or all that is below it, from the return on. Within bounds: 8192 directories.
    ///
    /// # Errors
    /// As listed at [`Files`]; `ResourceExhausted` for too many directories.
    pub async fn watch(&self, path: impl AsRef<Path>, spec: WatchSpec) -> Result<FileWatch> {
        let asked = text(path.as_ref().to_owned())?;
        let row = self.engine.row(&self.id).await?;
        row.require_running()?;
        let over = Over::watch(self.engine.inner(), &row)?;
        let (following, changes) = self.engine.inner().watcher()?.follow();
        let deadline = spec.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let begin = move |root: OwnedFd| {
            let base = find_base(&root, &asked)?;
            let walk = Walk::new(root, base.folder, following, (spec.flags(), spec.recursive))?;
            let mut tree = Tree::new(&base.target, base.only, spec);
            tree.begin(walk.all_below()?);
            Ok((walk, tree))
        };
        let (walk, tree) = self.with_root(begin).await?;
        Ok(FileWatch {
            engine: self.engine.clone(),
            id: self.id.clone(),
            over,
            deadline,
            changes,
            walk,
            tree,
        })
    }
}

/// What is watched for `path`: what a link at its end leads to, and the directory and name where that is a file.
struct Base {
    target: String,
    folder: String,
    only: Option<OsString>,
}

fn find_base(root: &OwnedFd, path: &str) -> Result<Base> {
    let itself = locate(root, path, false)?;
    let target = match kind_of(&itself, path)? {
        FileType::Symlink => text(open::final_path(root, path.as_ref())?)?,
        _ => path.to_owned(),
    };
    let place = locate(root, &target, true)?;
    if !open::is_plain(&place)? {
        return Err(open::unsupported(path));
    }
    if kind_of(&place, path)? == FileType::Directory {
        return Ok(Base { folder: target.clone(), target, only: None });
    }
    let (folder, name) = split(Path::new(&target))?;
    Ok(Base { folder: text(folder.to_owned())?, only: Some(name.into()), target })
}

/// Events tell paths as text.
fn text(path: PathBuf) -> Result<String> {
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::invalid(format!("{path:?} is no text: watch a directory above it")))
}

fn kind_of(place: &OwnedFd, path: &str) -> Result<FileType> {
    rustix::fs::fstat(place).map(|stat| kind(&stat)).map_err(|e| failed("examine", path, e))
}

impl FileWatch {
    /// Waits for the next change; `None` at the timeout and after the watched directory itself has gone. Cancel-safe.
    ///
    /// # Errors
    /// `FailedPrecondition` when the sandbox has ended.
    pub async fn next(&mut self) -> Result<Option<FileEvent>> {
        loop {
            // New directories first: whatever happens in them before is seen late.
            if self.tree.has_unfollowed() {
                self.follow_new().await?;
                continue;
            }
            if let Some(event) = self.tree.pop() {
                return Ok(Some(event));
            }
            if self.tree.is_over() {
                return Ok(None);
            }
            tokio::select! {
                biased;
                () = until(self.deadline) => return Ok(None),
                () = self.over.happened() => self.require_running().await?,
                change = self.changes.recv() => self.take(change),
                () = until(self.tree.patience()) => {
                    let gone = self.tree.give_up_pairing();
                    self.forget(gone);
                }
            }
        }
    }

    fn take(&mut self, change: Option<Change>) {
        let Some(change) = change else { return self.tree.end() };
        if self.tree.may_be_nameless(&change).is_some_and(|path| !self.walk.has(&path)) {
            return;
        }
        let gone = self.tree.take(change);
        self.forget(gone);
        if self.changes.is_empty() && self.walk.following().take_lost() {
            let gone = self.tree.lost();
            self.forget(gone);
        }
    }

    fn forget(&self, gone: Vec<i32>) {
        gone.into_iter().for_each(|wd| self.walk.following().remove(wd));
    }

    async fn follow_new(&mut self) -> Result<()> {
        let (walk, start) = (self.walk.clone(), self.tree.unfollowed().to_vec());
        let walked = self.engine.blocking(move |_| Ok(walk.below(start))).await?;
        self.tree.followed(walked);
        Ok(())
    }

    async fn require_running(&mut self) -> Result<()> {
        let row = self.engine.row(&self.id).await?;
        row.require_running()?;
        self.over = Over::watch(self.engine.inner(), &row)?;
        Ok(())
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A directory below the watched one; empty for that itself.
type Below = PathBuf;

fn is_exhausted(error: &Error) -> bool {
    error.kind() == ErrorKind::ResourceExhausted
}
