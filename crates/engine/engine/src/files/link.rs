//! Making symbolic links and setting modes.

use super::{
    open::{self, failed, kind, locate, place},
    write::permissions,
};
use crate::{
    error::{Error, Result},
    idmap,
};
use rustix::fs::{AtFlags, FileType, Gid, Uid};
use std::os::fd::{AsRawFd, OwnedFd};

/// Longest target (PATH_MAX with its NUL).
const MAX_TARGET: usize = 4095;

/// Makes a link of the sandbox's root. What the target means is not looked at.
pub(super) fn make_link(root: &OwnedFd, path: &str, target: &str) -> Result<()> {
    if target.is_empty() || target.len() > MAX_TARGET || target.contains('\0') {
        return Err(Error::invalid(format!("{target:?} is no target for a link")));
    }
    let place = place(root, path)?;
    let failed = |e| failed("make the link", path, e);
    rustix::fs::symlinkat(target, &place.parent, &place.name).map_err(failed)?;
    let (uid, gid) = (Uid::from_raw(idmap::BASE), Gid::from_raw(idmap::BASE));
    rustix::fs::chownat(&place.parent, &place.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(failed)
}

/// Sets the permission bits of a file or a directory.
pub(super) fn set_mode(root: &OwnedFd, path: &str, mode: u32) -> Result<()> {
    let mode = permissions(mode)?;
    let place = locate(root, path, false)?;
    let stat = rustix::fs::fstat(&place).map_err(|e| failed("examine", path, e))?;
    if !matches!(kind(&stat), FileType::RegularFile | FileType::Directory) || !open::is_plain(&place)? {
        return Err(open::unsupported(path));
    }
    // A descriptor that only names a file takes no fchmod(2) before Linux 6.6; its link in proc does, and means the same file.
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::fs::chmod(link, mode).map_err(|e| failed("set the mode of", path, e))
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use crate::error::ErrorKind;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_link_belongs_to_the_sandbox_root_and_its_target_is_kept_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        make_link(&root(dir.path()), "/link", "../../no such\nplace").unwrap();
        let made = std::fs::symlink_metadata(dir.path().join("link")).unwrap();
        assert_eq!((made.uid(), made.gid(), made.is_symlink()), (idmap::BASE, idmap::BASE, true));
        let target = std::fs::read_link(dir.path().join("link")).unwrap();
        assert_eq!(target.to_str(), Some("../../no such\nplace"));
        let again = make_link(&root(dir.path()), "/link", "x").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(make_link(&root(dir.path()), "/l", "").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn modes_are_set_on_files_and_directories_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(dir.path());
        std::fs::write(dir.path().join("f"), "").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        for path in ["f", "d"] {
            set_mode(&root, &format!("/{path}"), 0o705).unwrap();
            assert_eq!(std::fs::metadata(dir.path().join(path)).unwrap().mode() & 0o7777, 0o705);
        }
        assert_eq!(set_mode(&root, "/l", 0o600).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(set_mode(&root, "/f", 0o1777).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(set_mode(&root, "/none", 0o600).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
