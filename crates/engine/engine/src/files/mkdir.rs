//! Making directories.

use super::open::{Place, check_path, failed, open_directory, place, split};
use crate::{
    error::{Error, ErrorKind, Result},
    idmap,
};
use rustix::{
    fs::{Gid, Mode, OFlags, Uid},
    io::Errno,
};
use std::{
    ffi::OsStr,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

const MODE: Mode = Mode::from_raw_mode(0o755);

pub(super) fn make_one(root: &OwnedFd, path: &Path) -> Result<()> {
    match split(path) {
        Err(error) if error.kind() == ErrorKind::IsDirectory => {
            Err(Error::new(ErrorKind::AlreadyExists, "the root directory exists"))
        }
        Err(error) => Err(error),
        Ok(_) => make_in(&place(root, path)?, path),
    }
}

/// Makes a directory and its missing parents. An existing one is fine, a link to one, too.
pub(crate) fn make_directories(root: &OwnedFd, path: impl AsRef<Path>) -> Result<()> {
    open_or_make(root, path.as_ref()).map(|_directory| ())
}

/// Opens a directory after making it and its missing parents: the deepest that exists is found from the end, so that links in
/// the existing part mean what they mean to the sandbox.
pub(super) fn open_or_make(root: impl AsFd + Copy, path: &Path) -> Result<OwnedFd> {
    check_path(path)?;
    match open_directory(root, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result,
    }
    let (mut missing, mut existing) = (Vec::new(), path);
    let mut folder = loop {
        let (parent, name) = split(existing)?;
        missing.push(name);
        match open_directory(root, parent) {
            Err(error) if error.kind() == ErrorKind::NotFound => existing = parent,
            folder => break folder?,
        }
    };
    while let Some(name) = missing.pop() {
        folder = enter(folder, name, path)?;
    }
    Ok(folder)
}

fn enter(parent: OwnedFd, name: &OsStr, path: &Path) -> Result<OwnedFd> {
    let place = Place { parent, name: name.to_owned() };
    match make_in(&place, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.parent, name, flags, Mode::empty())
        .map_err(|e| failed("make directory", path, e))
}

fn make_in(place: &Place, path: &Path) -> Result<()> {
    let make = || {
        rustix::fs::mkdirat(&place.parent, &place.name, MODE)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&place.parent, &place.name, flags, Mode::empty())?;
        rustix::fs::fchown(&made, Some(Uid::from_raw(idmap::BASE)), Some(Gid::from_raw(idmap::BASE)))?;
        // The process's umask must not matter.
        rustix::fs::fchmod(&made, MODE)
    };
    make().map_err(|e: Errno| failed("make directory", path, e))
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn missing_parents_are_made_for_the_sandbox_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        symlink("/real", dir.path().join("link")).unwrap();
        let root = root(dir.path());
        make_directories(&root, "/link/a/b/c").unwrap();
        make_directories(&root, "/link/a/b/c").unwrap();
        let made = std::fs::metadata(dir.path().join("real/a/b/c")).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (idmap::BASE, idmap::BASE, 0o755));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let root = root(dir.path());
        assert_eq!(make_one(&root, "/file".as_ref()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(make_one(&root, "/".as_ref()).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(make_one(&root, "/no/where".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(make_directories(&root, "/file").unwrap_err().kind(), ErrorKind::NotDirectory);
        assert_eq!(make_directories(&root, "/file/x").unwrap_err().kind(), ErrorKind::NotDirectory);
        assert_eq!(make_directories(&root, "/no/../../x").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
