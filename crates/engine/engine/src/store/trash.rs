//! Removal of folders in two steps: a rename that is done or not done, then the deletion, which the next user of the store
//! finishes after a crash.

use super::Store;
use crate::{
    error::{Error, Result},
    id::{self, SandboxId},
};
use rustix::{fs::FlockOperation, io::Errno};
use std::{
    ffi::CString,
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

impl Store {
    /// Takes a folder out of its place at once and deletes it; a missing one is success.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        self.take_out(path)?.map_or(Ok(()), |doomed| delete(&doomed, FlockOperation::LockExclusive))
    }

    /// As [`discard`](Self::discard), and says how many bytes it took, for which it looks at every file once more.
    pub(crate) fn discard_measured(&self, path: &Path) -> Result<u64> {
        self.take_out(path)?.map_or(Ok(0), |doomed| delete_measured(&doomed))
    }

    /// Discards the folder of a sandbox that has no row. In a transaction, so that nobody can insert the row meanwhile.
    pub(crate) fn discard_unknown(&self, id: &SandboxId) -> Result<u64> {
        let doomed = self.write(|db| {
            let known = db.prepare_cached("SELECT 1 FROM sandboxes WHERE id = ?1")?.exists([id.as_str()])?;
            if known { Ok(None) } else { self.take_out(&self.sandbox_dir(id)) }
        })?;
        doomed.map_or(Ok(0), |doomed| delete_measured(&doomed))
    }

    /// Moves something into the trash; `None` when it is not there.
    fn take_out(&self, path: &Path) -> Result<Option<PathBuf>> {
        let doomed = self.dir.join("trash").join(id::random_trash_name());
        match fs::rename(path, &doomed) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("cannot remove {}", path.display()), e)),
            Ok(()) => Ok(Some(doomed)),
        }
    }

    /// Deletes what is in the trash, except what somebody is deleting.
    pub(crate) fn empty_trash(&self) -> Result<()> {
        let trash = self.dir.join("trash");
        let entries =
            fs::read_dir(&trash).map_err(|e| Error::io(format!("cannot list {}", trash.display()), e))?;
        for entry in entries.flatten() {
            delete(&entry.path(), FlockOperation::NonBlockingLockExclusive)?;
        }
        Ok(())
    }
}

fn delete_measured(doomed: &Path) -> Result<u64> {
    let bytes = disk_usage(doomed);
    delete(doomed, FlockOperation::LockExclusive)?;
    Ok(bytes)
}

/// Deletes one folder of the trash, alone: two that delete the same would each miss what the other has taken.
fn delete(doomed: &Path, lock: FlockOperation) -> Result<()> {
    let delete = || {
        let folder = match File::open(doomed) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        match rustix::fs::flock(&folder, lock) {
            Err(Errno::WOULDBLOCK) => return Ok(()),
            locked => locked?,
        }
        let (trash, name) = (doomed.parent().unwrap_or(doomed), doomed.file_name().unwrap_or_default());
        openlattice_images::remove_tree(File::open(trash)?, &CString::new(name.as_bytes())?)
    };
    delete().map_err(|e| Error::io(format!("cannot delete {}", doomed.display()), e))
}

/// Bytes on disk below `path`, hard links counted as often as they occur. An estimate: what cannot be examined counts nothing.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let (mut bytes, mut pending) = (0, vec![path.to_owned()]);
    while let Some(path) = pending.pop() {
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        bytes += metadata.blocks() * 512;
        if metadata.is_dir()
            && let Ok(entries) = fs::read_dir(&path)
        {
            pending.extend(entries.flatten().map(|entry| entry.path()));
        }
    }
    bytes
}
