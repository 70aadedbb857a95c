//! Removal of folders in two steps: a rename that is done or not done, then the deletion, which the next user of the store
//! finishes after a crash.

use super::Store;
use crate::{
    error::{Error, Result},
    id,
};
use std::{
    ffi::{CString, OsStr},
    fs::{self, File},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

impl Store {
    /// Takes a folder out of its place at once and deletes it; a missing one is success. Says how many bytes it took.
    pub(crate) fn discard(&self, path: &Path) -> Result<u64> {
        let (trash, name) = (self.dir.join("trash"), id::random_trash_name());
        let doomed = trash.join(&name);
        match fs::rename(path, &doomed) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
            result => result.map_err(|e| Error::io(format!("cannot remove {}", path.display()), e))?,
        }
        let bytes = disk_usage(&doomed);
        delete(&trash, OsStr::new(&name))?;
        Ok(bytes)
    }

    /// Deletes what is in the trash; what somebody else deletes at the same time is fine.
    pub(crate) fn empty_trash(&self) -> Result<()> {
        let trash = self.dir.join("trash");
        let entries =
            fs::read_dir(&trash).map_err(|e| Error::io(format!("cannot list {}", trash.display()), e))?;
        for entry in entries.flatten() {
            if let Err(error) = delete(&trash, &entry.file_name())
                && entry.path().exists()
            {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn delete(trash: &Path, name: &OsStr) -> Result<()> {
    let delete = || openlattice_images::remove_tree(File::open(trash)?, &CString::new(name.as_bytes())?);
    delete().map_err(|e| Error::io(format!("cannot delete {} in {}", name.display(), trash.display()), e))
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
