//! Looking at files.

use super::{
    FileKind, FileStat,
    open::{check_path, failed, kind, locate, open_directory},
};
use crate::{error::Result, idmap};
use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};
use std::{
    ffi::{CStr, OsStr},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub(super) fn stat(root: &OwnedFd, path: &Path) -> Result<FileStat> {
    let place = locate(root, path, false)?;
    let stat = rustix::fs::fstat(&place).map_err(|e| failed("examine", path, e))?;
    let target = match kind(&stat) {
        FileType::Symlink => Some(
            rustix::fs::readlinkat(&place, c"", Vec::new()).map_err(|e| failed("read the link", path, e))?,
        ),
        _ => None,
    };
    Ok(describe(last_part(path), path, &stat, target.as_deref()))
}

pub(super) fn list(root: &OwnedFd, path: &Path) -> Result<Vec<FileStat>> {
    check_path(path)?;
    let folder = open_directory(root, path)?;
    let mut found = Vec::new();
    for entry in Dir::read_from(&folder).map_err(|e| failed("list", path, e))? {
        let entry = entry.map_err(|e| failed("list", path, e))?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            found.extend(describe_entry(&folder, path, name)?);
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// An entry, or nothing when it went away meanwhile.
fn describe_entry(folder: &OwnedFd, path: &Path, name: &CStr) -> Result<Option<FileStat>> {
    let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat.map_err(|e| failed("examine an entry of", path, e))?,
    };
    let target = match kind(&stat) {
        FileType::Symlink => rustix::fs::readlinkat(folder, name, Vec::new()).ok(),
        _ => None,
    };
    let name = OsStr::from_bytes(name.to_bytes());
    Ok(Some(describe(name, &path.join(name), &stat, target.as_deref())))
}

/// What is behind the last slash that is followed by something, such as the dot of `/.`.
fn last_part(path: &Path) -> &OsStr {
    let mut parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    OsStr::from_bytes(parts.rfind(|part| !part.is_empty()).unwrap_or_default())
}

fn describe(name: &OsStr, path: &Path, stat: &Stat, target: Option<&CStr>) -> FileStat {
    FileStat {
        name: name.to_owned(),
        path: path.to_owned(),
        kind: match kind(stat) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Other,
        },
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        uid: idmap::inside(stat.st_uid),
        gid: idmap::inside(stat.st_gid),
        modified: modified(stat),
        symlink_target: target.map(|target| OsStr::from_bytes(target.to_bytes()).to_owned()),
    }
}

/// When the content last changed, before 1970 too; 1970 where the clock does not reach it.
fn modified(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let base =
        if stat.st_mtime < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    base.and_then(|base| base.checked_add(Duration::from_nanos(stat.st_mtime_nsec))).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};

    #[test]
    fn entries_come_by_name_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("b"), "12").unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::os::unix::fs::symlink("/nowhere", dir.path().join("c")).unwrap();
        let root = root(dir.path());
        let found = list(&root, "/".as_ref()).unwrap();
        let names: Vec<_> = found.iter().map(|f| (f.path.to_str().unwrap(), f.kind)).collect();
        assert_eq!(names, [("/a", FileKind::Directory), ("/b", FileKind::File), ("/c", FileKind::Symlink)]);
        assert_eq!(found[1].size, 2);
        let link = stat(&root, "/c".as_ref()).unwrap();
        assert_eq!((link.name, link.symlink_target), ("c".into(), Some("/nowhere".into())));
        assert_eq!(stat(&root, "/".as_ref()).unwrap().kind, FileKind::Directory);
    }
}
