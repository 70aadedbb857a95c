//! Removal of a tree of any depth.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::beneath;

/// One directory that the walk is inside of.
struct Level {
    name: CString,
    parent: (u64, u64),
    pending: Vec<CString>,
}

/// Removes `name` in `parent` with everything below it; a missing one is success.
///
/// Uses one descriptor and no recursion however deep the tree is, follows no link and crosses no mount.
///
/// # Errors
/// When an entry cannot be removed, or the tree is moved meanwhile; what was removed by then stays removed.
pub fn remove_tree(parent: impl AsFd, name: &CStr) -> io::Result<()> {
    if !unlink(parent.as_fd(), name)? {
        return Ok(());
    }
    let (mut current, mut levels) = (parent.as_fd().try_clone_to_owned()?, Vec::new());
    descend(&mut current, &mut levels, name.to_owned())?;
    while let Some(level) = levels.last_mut() {
        if let Some(child) = level.pending.pop() {
            descend(&mut current, &mut levels, child)?;
            continue;
        }
        current = beneath::open_parent(&current, level.parent)?;
        rustix::fs::unlinkat(&current, &level.name, AtFlags::REMOVEDIR)?;
        levels.pop();
    }
    Ok(())
}

/// Enters directory `name`, unlinks all that is no full directory in it, and notes the rest for later.
fn descend(current: &mut OwnedFd, levels: &mut Vec<Level>, name: CString) -> io::Result<()> {
    let parent = beneath::identity(&*current)?;
    *current = beneath::open_directory(&*current, &name)?;
    let mut pending = Vec::new();
    for child in beneath::names(&*current)? {
        if unlink(&*current, &child)? {
            pending.push(child);
        }
    }
    levels.push(Level { name, parent, pending });
    Ok(())
}

/// Unlinks a file or an empty directory; says whether a directory with contents is left.
fn unlink(directory: impl AsFd, name: &CStr) -> io::Result<bool> {
    let stat = match rustix::fs::statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => stat?,
    };
    if beneath::file_type(&stat) != FileType::Directory {
        rustix::fs::unlinkat(directory, name, AtFlags::empty())?;
        return Ok(false);
    }
    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(true),
        result => Ok(result.map(|()| false)?),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use rustix::fs::Mode;

    use super::*;

    #[test]
    fn removes_a_tree_but_not_what_its_links_point_to() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("tree/a/b")).unwrap();
        fs::write(dir.path().join("kept"), "x").unwrap();
        symlink(dir.path().join("kept"), dir.path().join("tree/a/link")).unwrap();
        symlink(dir.path(), dir.path().join("tree/a/b/up")).unwrap();
        remove_tree(File::open(dir.path()).unwrap(), c"tree").unwrap();
        assert!(!dir.path().join("tree").exists());
        assert!(dir.path().join("kept").exists());
        remove_tree(File::open(dir.path()).unwrap(), c"tree").unwrap();
    }

    #[test]
    fn removes_a_tree_deeper_than_any_path() {
        let dir = tempfile::tempdir().unwrap();
        let mut at = OwnedFd::from(File::open(dir.path()).unwrap());
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, c"deep", Mode::RWXU).unwrap();
            at = beneath::open_directory(&at, c"deep").unwrap();
        }
        remove_tree(File::open(dir.path()).unwrap(), c"deep").unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
