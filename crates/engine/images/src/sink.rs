//! The folder of layers and the way a layer gets into it.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{FileError, failed};
use crate::layer::LayerId;
use crate::tree::{beneath, remove};

const TEMPORARY: &str = ".tmp-";
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder of layers, each a folder named by its [`LayerId`].
#[derive(Debug)]
pub struct LayerSink {
    path: PathBuf,
    folder: OwnedFd,
}

/// Whether a layer was new to the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The staged tree is the layer now.
    Fresh,
    /// The sink had a layer of that name already; the staged tree was discarded.
    Reused,
}

impl LayerSink {
    /// Opens the folder at `path`, making it (mode 0700) when it is missing.
    ///
    /// # Errors
    /// When it can be neither opened nor made.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("make layer folder", path))?;
        let folder = rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(failed("open", path))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// The folder of a layer, whether it exists or not.
    #[must_use]
    pub fn path(&self, id: &LayerId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Whether the layer is there, whole.
    #[must_use]
    pub fn contains(&self, id: &LayerId) -> bool {
        beneath::open_directory(&self.folder, id.as_str()).is_ok()
    }

    /// All whole layers, sorted by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<LayerId>, FileError> {
        let names = beneath::names(&self.folder).map_err(failed("list", &self.path))?;
        let mut ids: Vec<LayerId> =
            names.iter().filter_map(|name| name.to_str().ok()?.parse().ok()).collect();
        ids.sort();
        Ok(ids)
    }

    /// Starts a layer in a temporary folder that only this process uses.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn stage(&self) -> Result<StagedLayer, FileError> {
        loop {
            let name = format!("{TEMPORARY}{}", uuid::Uuid::new_v4().simple());
            if let Some(staged) = self.try_stage(&name).map_err(failed("make", self.path.join(&name)))? {
                return Ok(staged);
            }
        }
    }

    /// Nothing when a sweep came between the making of the folder and its lock.
    fn try_stage(&self, name: &str) -> io::Result<Option<StagedLayer>> {
        rustix::fs::mkdirat(&self.folder, name, Mode::RWXU)?;
        let Ok(outer) = beneath::open_directory(&self.folder, name) else { return Ok(None) };
        rustix::fs::flock(&outer, FlockOperation::LockExclusive)?;
        match rustix::fs::mkdirat(&outer, c"tree", Mode::from_raw_mode(0o755)) {
            Err(Errno::NOENT) => return Ok(None),
            result => result?,
        }
        let root = beneath::open_directory(&outer, c"tree")?;
        let folder = self.folder.try_clone()?;
        let path = self.path.join(name).join("tree");
        Ok(Some(StagedLayer { folder, name: name.to_owned(), outer, root, path }))
    }

    /// Takes an existing tree, which must be on the same file system, as a layer by renaming it.
    ///
    /// For the writable layer of a sandbox that has ended: nothing may hold a file of it open for writing. Data is on
    /// disk before the name appears. Overlay's own marks stay in it; they mean nothing in a lower layer.
    ///
    /// # Errors
    /// When it is on another file system, or the name is taken (`AlreadyExists`).
    pub fn adopt(&self, tree: &Path, id: &LayerId) -> Result<(), FileError> {
        let source = rustix::fs::open(tree, DIRECTORY, Mode::empty()).map_err(failed("open", tree))?;
        rustix::fs::syncfs(&source).map_err(failed("write to disk", tree))?;
        let target = id.as_str();
        rustix::fs::renameat_with(rustix::fs::CWD, tree, &self.folder, target, RenameFlags::NOREPLACE)
            .map_err(failed("move into place", tree))?;
        rustix::fs::fsync(&self.folder).map_err(failed("write to disk", &self.path))
    }

    /// Removes a layer; a missing one is success. A crash midway leaves only what [`Self::sweep`] removes.
    ///
    /// # Errors
    /// When a file of it cannot be removed.
    pub fn remove(&self, id: &LayerId) -> Result<(), FileError> {
        let doomed = format!("{TEMPORARY}{}", uuid::Uuid::new_v4().simple());
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.folder, id.as_str(), &self.folder, &doomed, flags) {
            Err(Errno::NOENT) => return Ok(()),
            result => result.map_err(failed("remove", self.path(id)))?,
        }
        self.remove_alone(&doomed).map_err(failed("remove", self.path(id)))
    }

    /// Removes the temporary folders that no living process works on and says how many there were.
    ///
    /// # Errors
    /// When one cannot be removed; the others are tried all the same.
    pub fn sweep(&self) -> Result<usize, FileError> {
        let (mut removed, mut first) = (0, None);
        for name in beneath::names(&self.folder).map_err(failed("list", &self.path))? {
            let Some(name) = name.to_str().ok().filter(|name| name.starts_with(TEMPORARY)) else { continue };
            match self.sweep_one(name) {
                Ok(gone) => removed += usize::from(gone),
                Err(error) => first = first.or(Some((name.to_owned(), error))),
            }
        }
        match first {
            Some((name, error)) => Err(failed("remove", self.path.join(name))(error)),
            None => Ok(removed),
        }
    }

    /// A file on the sink's file system that has no name and is gone when closed.
    pub(crate) fn unnamed_file(&self) -> Result<std::fs::File, FileError> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::openat(&self.folder, c".", flags, Mode::RUSR | Mode::WUSR)
            .map(std::fs::File::from)
            .map_err(failed("make a temporary file in", &self.path))
    }

    fn sweep_one(&self, name: &str) -> io::Result<bool> {
        let Ok(folder) = beneath::open_directory(&self.folder, name) else { return Ok(false) };
        match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(false),
            result => result?,
        }
        self.remove_temporary(name).map(|()| true)
    }

    /// Removes a temporary folder under its lock: a sweep of another process that takes the same files would make both fail.
    fn remove_alone(&self, name: &str) -> io::Result<()> {
        let folder = match beneath::open_directory(&self.folder, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
        self.remove_temporary(name)
    }

    fn remove_temporary(&self, name: &str) -> io::Result<()> {
        remove::remove_tree(&self.folder, &CString::new(name)?)
    }
}

/// A layer being built; dropped without [`Self::publish`], it is removed.
#[derive(Debug)]
pub struct StagedLayer {
    folder: OwnedFd,
    name: String,
    /// Holds the lock that keeps a sweep away.
    outer: OwnedFd,
    root: OwnedFd,
    path: PathBuf,
}

impl StagedLayer {
    /// The root of the tree, empty at first, mode 0755, owned by the caller.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The path of the root of the tree.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A directory beside the tree, on the same file system, removed with the staging folder.
    pub(crate) fn link_pool(&self) -> Result<OwnedFd, FileError> {
        let make = || {
            match rustix::fs::mkdirat(&self.outer, c"links", Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            beneath::open_directory(&self.outer, c"links")
        };
        make().map_err(failed("make", self.path.with_file_name("links")))
    }

    /// Writes the tree to disk and renames it to its place, in one step for every reader.
    ///
    /// # Errors
    /// When data cannot be written or the rename fails; the tree is removed then.
    pub fn publish(self, id: &LayerId) -> Result<Published, FileError> {
        rustix::fs::syncfs(&self.root).map_err(failed("write to disk", &self.path))?;
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.outer, c"tree", &self.folder, id.as_str(), flags) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Ok(Published::Reused),
            result => result.map_err(failed("move into place", &self.path))?,
        }
        rustix::fs::fsync(&self.folder).map_err(failed("write to disk", &self.path))?;
        Ok(Published::Fresh)
    }
}

impl Drop for StagedLayer {
    fn drop(&mut self) {
        if let Ok(name) = CString::new(self.name.as_str()) {
            // What cannot be removed now is removed by the next sweep.
            drop(remove::remove_tree(&self.folder, &name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sink() -> (tempfile::TempDir, LayerSink) {
        let dir = tempfile::tempdir().unwrap();
        let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
        (dir, sink)
    }

    #[test]
    fn a_layer_appears_whole_and_once() {
        let (_dir, sink) = sink();
        let id: LayerId = "sha256-aa".parse().unwrap();
        let staged = sink.stage().unwrap();
        fs::write(staged.path().join("f"), "1").unwrap();
        assert!(sink.list().unwrap().is_empty());
        assert_eq!(staged.publish(&id).unwrap(), Published::Fresh);
        assert_eq!(fs::read(sink.path(&id).join("f")).unwrap(), b"1");
        assert_eq!(sink.stage().unwrap().publish(&id).unwrap(), Published::Reused);
        assert_eq!(fs::read(sink.path(&id).join("f")).unwrap(), b"1");
        assert_eq!(sink.list().unwrap(), std::slice::from_ref(&id));
        sink.remove(&id).unwrap();
        sink.remove(&id).unwrap();
        assert!(!sink.contains(&id));
        assert_eq!(fs::read_dir(sink.path.clone()).unwrap().count(), 0);
    }

    #[test]
    fn a_sweep_spares_what_is_in_use() {
        let (_dir, sink) = sink();
        let staged = sink.stage().unwrap();
        fs::create_dir_all(sink.path.join(".tmp-left/tree/deep")).unwrap();
        assert_eq!(sink.sweep().unwrap(), 1);
        assert!(staged.path().exists());
        drop(staged);
        assert_eq!(fs::read_dir(sink.path.clone()).unwrap().count(), 0);
    }
}
