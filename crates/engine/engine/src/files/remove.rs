//! Removing files and trees.

use super::open::{failed, place, split};
use crate::error::{Error, ErrorKind, Result};
use rustix::{fs::AtFlags, io::Errno};
use std::{
    ffi::CString,
    os::{fd::OwnedFd, unix::ffi::OsStringExt},
    path::Path,
};

pub(super) fn remove(root: &OwnedFd, path: &Path, recursive: bool) -> Result<()> {
    if let Err(error) = split(path)
        && error.kind() == ErrorKind::IsDirectory
    {
        return Err(Error::invalid("the root directory cannot be removed"));
    }
    let place = place(root, path)?;
    match rustix::fs::unlinkat(&place.parent, &place.name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result.map_err(|e| failed("remove", path, e)),
    }
    match rustix::fs::unlinkat(&place.parent, &place.name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) if recursive => {}
        result => return result.map_err(|e| failed("remove", path, e)),
    }
    let name = CString::new(place.name.into_vec()).expect("a checked path has no NUL");
    openlattice_images::remove_tree(&place.parent, &name)
        .map_err(|e| Error::io(format!("cannot remove {path:?}"), e))
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_goes_only_when_asked_to_and_links_stay_links() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kept")).unwrap();
        std::fs::create_dir_all(dir.path().join("tree/a")).unwrap();
        symlink("/kept", dir.path().join("tree/a/link")).unwrap();
        let root = root(dir.path());
        assert_eq!(remove(&root, "/tree".as_ref(), false).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        remove(&root, "/tree".as_ref(), true).unwrap();
        assert_eq!(remove(&root, "/tree".as_ref(), true).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(dir.path().join("kept").exists());
        assert_eq!(remove(&root, "/".as_ref(), true).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
