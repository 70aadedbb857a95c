//! Writing files: whole or not at all.

use super::{
    mkdir::open_or_make,
    open::{failed, final_path, kind, split, unsupported},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id, idmap,
};
use bytes::Bytes;
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::fd::{AsRawFd, OwnedFd},
};

/// A file that becomes visible, in place of what its name means, when it is committed. It has no name before, so that a crash
/// leaves nothing (O_TMPFILE: overlayfs since Linux 6.1); where the file system has no such files, a hidden name, removed on drop.
#[derive(Debug)]
pub(super) struct Replacement {
    path: String,
    parent: OwnedFd,
    name: String,
    file: File,
    temporary: Option<String>,
    mode: Mode,
    owner: (u32, u32),
}

impl Replacement {
    /// Opens the place and judges what is there. Without `asked`, the mode is that of the replaced file.
    pub(super) fn begin(root: &OwnedFd, path: &str, asked: Option<u32>) -> Result<Self> {
        if path.ends_with('/') {
            return Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} names a directory")));
        }
        let target = final_path(root, path)?;
        let (folder, name) = split(&target)?;
        let parent = open_or_make(root, folder)?;
        let (kept, owner) = replaced(&parent, name, path)?;
        let mode = asked.map(permissions).transpose()?.unwrap_or(kept);
        let (file, temporary) = open_nameless(&parent).map_err(|e| failed("write", path, e))?;
        Ok(Self { path: path.to_owned(), name: name.to_owned(), parent, file, temporary, mode, owner })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(format!("cannot write {:?}", self.path), e))
    }

    pub(super) fn commit(mut self) -> Result<()> {
        self.place().map_err(|e| failed("write", &self.path, e))
    }

    fn place(&mut self) -> rustix::io::Result<()> {
        let (uid, gid) = self.owner;
        rustix::fs::fchown(&self.file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::fchmod(&self.file, self.mode)?;
        let temporary = match &self.temporary {
            Some(temporary) => temporary.clone(),
            // A new file gets its name in one step, so that whoever watches sees one file come to be.
            None => match self.link(&self.name) {
                Err(Errno::EXIST) => self.give_name()?,
                linked => return linked,
            },
        };
        rustix::fs::renameat(&self.parent, &temporary, &self.parent, &self.name)?;
        self.temporary = None;
        Ok(())
    }

    /// Links the file under a hidden name, from which it is renamed: a link cannot replace.
    fn give_name(&mut self) -> rustix::io::Result<String> {
        let name = hidden_name();
        self.link(&name)?;
        self.temporary = Some(name.clone());
        Ok(name)
    }

    fn link(&self, name: &str) -> rustix::io::Result<()> {
        let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, link, &self.parent, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            // Nobody is left to tell.
            let _ = rustix::fs::unlinkat(&self.parent, name, AtFlags::empty());
        }
    }
}

/// What names of files begin with that are not in place yet.
const HIDDEN: &str = ".lattice-";

fn hidden_name() -> String {
    format!("{HIDDEN}{}", id::random_trash_name())
}

/// Whether a name is one that files of ours have for a moment.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(HIDDEN.as_bytes())
}

/// Permission bits that a caller may ask for.
pub(super) fn permissions(mode: u32) -> Result<Mode> {
    if mode & !0o777 == 0 {
        return Ok(Mode::from_raw_mode(mode));
    }
    Err(Error::invalid(format!("mode {mode:o} has more than the permission bits: give at most 777")))
}

fn open_nameless(parent: &OwnedFd) -> rustix::io::Result<(File, Option<String>)> {
    let mode = Mode::RUSR | Mode::WUSR;
    match rustix::fs::openat(parent, c".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {}
        file => return Ok((file?.into(), None)),
    }
    let name = hidden_name();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok((rustix::fs::openat(parent, &name, flags, mode)?.into(), Some(name)))
}

/// Mode and owner of the new file: those of the one that it replaces. Set-id bits are not kept, as a write in place would not.
fn replaced(parent: &OwnedFd, name: &str, path: &str) -> Result<(Mode, (u32, u32))> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok((Mode::from_raw_mode(0o644), (idmap::BASE, idmap::BASE))),
        Err(e) => Err(failed("examine", path, e)),
        Ok(stat) => match kind(&stat) {
            FileType::RegularFile => {
                Ok((Mode::from_raw_mode(stat.st_mode & 0o1777), (stat.st_uid, stat.st_gid)))
            }
            FileType::Directory => {
                Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} is a directory")))
            }
            _ => Err(unsupported(path)),
        },
    }
}

/// Writes chunks until an empty one. `lock` gives what must be held while names change, and not while a slow sender is waited for.
pub(super) fn write_stream<L>(
    root: &OwnedFd,
    path: &str,
    mode: Option<u32>,
    mut chunks: tokio::sync::mpsc::Receiver<Bytes>,
    lock: &dyn Fn() -> Result<L>,
) -> Result<()> {
    let begin = || {
        let _lock = lock()?;
        Replacement::begin(root, path, mode)
    };
    let mut file = begin()?;
    loop {
        match chunks.blocking_recv() {
            Some(chunk) if chunk.is_empty() => {
                let _lock = lock()?;
                return file.commit();
            }
            Some(chunk) => file.append(&chunk)?,
            None => return Err(Error::invalid(format!("the content of {path:?} broke off before its end"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        path::Path,
    };

    fn write(dir: &Path, path: &str, text: &str) -> Result<()> {
        let mut file = Replacement::begin(&root(dir), path, None)?;
        file.append(text.as_bytes())?;
        file.commit()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_belongs_to_the_sandbox_root() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "/a/b/f", "new").unwrap();
        let made = fs::metadata(dir.path().join("a/b/f")).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o7777), (idmap::BASE, 0o644));
        assert_eq!(names(&dir.path().join("a/b")), ["f"]);
    }

    #[test]
    fn a_replaced_file_keeps_mode_and_owner_but_no_set_id_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::chown(&path, Some(idmap::BASE + 5), Some(idmap::BASE + 6)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        write(dir.path(), "/f", "new").unwrap();
        let made = fs::metadata(&path).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (idmap::BASE + 5, idmap::BASE + 6, 0o751));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_mode_that_is_asked_for_is_given_to_new_and_old_files() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o751, 0o600] {
            let mut file = Replacement::begin(&root(dir.path()), "/f", Some(mode)).unwrap();
            file.append(b"x").unwrap();
            file.commit().unwrap();
            assert_eq!(fs::metadata(dir.path().join("f")).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(names(dir.path()), ["f"]);
        let error = Replacement::begin(&root(dir.path()), "/f", Some(0o4755)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_link_stays_and_its_target_is_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        symlink("../target", dir.path().join("d/link")).unwrap();
        write(dir.path(), "/d/link", "x").unwrap();
        assert!(fs::symlink_metadata(dir.path().join("d/link")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(dir.path().join("target")).unwrap(), "x");
    }

    #[test]
    fn a_dropped_write_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "old").unwrap();
        let mut file = Replacement::begin(&root(dir.path()), "/f", None).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn directories_and_fifos_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(write(dir.path(), "/d", "").unwrap_err().kind(), ErrorKind::IsDirectory);
        assert_eq!(write(dir.path(), "/d/", "").unwrap_err().kind(), ErrorKind::IsDirectory);
        assert_eq!(write(dir.path(), "/fifo", "").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(write(dir.path(), "/fifo/x", "").unwrap_err().kind(), ErrorKind::NotDirectory);
    }
}
