//! Making symbolic links, setting modes and times.

use super::{
    open::{self, failed, kind, locate, place},
    write::permissions,
};
use crate::{
    error::{Error, Result},
    idmap,
};
use rustix::fs::{AtFlags, FileType, Gid, Timespec, Timestamps, Uid};
use std::{
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Longest target (PATH_MAX with its NUL).
const MAX_TARGET: usize = 4095;

/// Makes a link of the sandbox's root. What the target means is not looked at.
pub(super) fn make_link(root: &OwnedFd, path: &Path, target: &Path) -> Result<()> {
    let bytes = target.as_os_str().as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_TARGET || bytes.contains(&0) {
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
pub(super) fn set_mode(root: &OwnedFd, path: &Path, mode: u32) -> Result<()> {
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

/// Sets when what `path` names last changed; a link at its end is what is named.
pub(super) fn set_modified(root: &OwnedFd, path: &Path, modified: SystemTime) -> Result<()> {
    let place = locate(root, path, false)?;
    if !open::is_plain(&place)? {
        return Err(open::unsupported(path));
    }
    rustix::fs::utimensat(&place, c"", &timestamps(modified), AtFlags::EMPTY_PATH)
        .map_err(|e| failed("set the time of", path, e))
}

/// A time of last change for utimensat(2), which leaves the time of last access alone.
pub(super) fn timestamps(modified: SystemTime) -> Timestamps {
    let last_modification = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => timespec(after.as_secs().try_into().unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN + 1, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => timespec(seconds, 0),
                nanos => timespec(seconds - 1, 1_000_000_000 - nanos),
            }
        }
    };
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }, last_modification }
}

fn timespec(seconds: i64, nanos: u32) -> Timespec {
    Timespec { tv_sec: seconds, tv_nsec: nanos.into() }
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use crate::error::ErrorKind;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_link_belongs_to_the_sandbox_root_and_its_target_is_kept_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let make = |path: &str, target: &str| make_link(&root(dir.path()), path.as_ref(), target.as_ref());
        make("/link", "../../no such\nplace").unwrap();
        let made = std::fs::symlink_metadata(dir.path().join("link")).unwrap();
        assert_eq!((made.uid(), made.gid(), made.is_symlink()), (idmap::BASE, idmap::BASE, true));
        let target = std::fs::read_link(dir.path().join("link")).unwrap();
        assert_eq!(target.to_str(), Some("../../no such\nplace"));
        let again = make("/link", "x").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(make("/l", "").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn modes_are_set_on_files_and_directories_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = root(dir.path());
        std::fs::write(dir.path().join("f"), "").unwrap();
        std::fs::create_dir(dir.path().join("d")).unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        for path in ["f", "d"] {
            set_mode(&root, &Path::new("/").join(path), 0o7705).unwrap();
            assert_eq!(std::fs::metadata(dir.path().join(path)).unwrap().mode() & 0o7777, 0o7705);
        }
        assert_eq!(set_mode(&root, "/l".as_ref(), 0o600).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(set_mode(&root, "/f".as_ref(), 0o17777).unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(set_mode(&root, "/none".as_ref(), 0o600).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn times_are_set_to_the_nanosecond_and_on_links_themselves() {
        use std::time::Duration;
        let dir = tempfile::tempdir().unwrap();
        let root = root(dir.path());
        std::fs::write(dir.path().join("f"), "").unwrap();
        std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
        let before = std::fs::metadata(dir.path().join("f")).unwrap().modified().unwrap();
        for time in [UNIX_EPOCH + Duration::new(981_173_106, 123_456_789), UNIX_EPOCH - Duration::new(5, 1)] {
            set_modified(&root, "/l".as_ref(), time).unwrap();
            assert_eq!(std::fs::symlink_metadata(dir.path().join("l")).unwrap().modified().unwrap(), time);
            assert_eq!(super::super::list::stat(&root, "/l".as_ref()).unwrap().modified, time);
        }
        assert_eq!(std::fs::metadata(dir.path().join("f")).unwrap().modified().unwrap(), before);
        set_modified(&root, "/".as_ref(), UNIX_EPOCH).unwrap();
        assert_eq!(std::fs::metadata(dir.path()).unwrap().modified().unwrap(), UNIX_EPOCH);
        assert_eq!(set_modified(&root, "/no".as_ref(), before).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
