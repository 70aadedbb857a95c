//! Looking at files.

use super::{
    FileKind, FileStat,
    open::{check_path, failed, kind, locate, open_directory},
};
use crate::{clock, error::Result, idmap};
use rustix::{
    fs::{AtFlags, Dir, FileType, Stat},
    io::Errno,
};
use std::{ffi::CStr, os::fd::OwnedFd};

pub(super) fn stat(root: &OwnedFd, path: &str) -> Result<FileStat> {
    let place = locate(root, path, false)?;
    let stat = rustix::fs::fstat(&place).map_err(|e| failed("examine", path, e))?;
    let target = match kind(&stat) {
        FileType::Symlink => Some(
            rustix::fs::readlinkat(&place, c"", Vec::new()).map_err(|e| failed("read the link", path, e))?,
        ),
        _ => None,
    };
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    Ok(describe(name, path, &stat, target.as_deref()))
}

pub(super) fn list(root: &OwnedFd, path: &str) -> Result<Vec<FileStat>> {
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
fn describe_entry(folder: &OwnedFd, path: &str, name: &CStr) -> Result<Option<FileStat>> {
    let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        stat => stat.map_err(|e| failed("examine an entry of", path, e))?,
    };
    let target = match kind(&stat) {
        FileType::Symlink => rustix::fs::readlinkat(folder, name, Vec::new()).ok(),
        _ => None,
    };
    let name = name.to_string_lossy();
    let full = format!("{}/{name}", path.trim_end_matches('/'));
    Ok(Some(describe(&name, &full, &stat, target.as_deref())))
}

fn describe(name: &str, path: &str, stat: &Stat, target: Option<&CStr>) -> FileStat {
    let modified = stat
        .st_mtime
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::try_from(stat.st_mtime_nsec).unwrap_or(0));
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
        modified: clock::from_ns(modified),
        symlink_target: target.map(|target| target.to_string_lossy().into_owned()),
    }
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
        let found = list(&root, "/").unwrap();
        let names: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.kind)).collect();
        assert_eq!(names, [("/a", FileKind::Directory), ("/b", FileKind::File), ("/c", FileKind::Symlink)]);
        assert_eq!(found[1].size, 2);
        let link = stat(&root, "/c").unwrap();
        assert_eq!((link.name.as_str(), link.symlink_target.as_deref()), ("c", Some("/nowhere")));
        assert_eq!(stat(&root, "/").unwrap().kind, FileKind::Directory);
    }
}
