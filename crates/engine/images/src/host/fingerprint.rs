//! A cheap answer to "is this still the same system?".

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::unpack::digest_of;

/// Goes up whenever the skeleton or the mask is built differently.
const FORMAT: u8 = 2;
/// Changed by every installation, upgrade and removal of a package.
const PACKAGE_DATABASES: [&str; 5] = [
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local",
];
/// What the skeleton copies or follows.
const SKELETON_SOURCES: [&str; 6] = [
    "/etc/ld.so.cache",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/localtime",
];

/// Identifies the contents of the machine's `/usr`: 64 hexadecimal digits.
///
/// Made of inode, time of change and size of `/usr`, of the directories in it, of the release file and of the package databases. It
/// changes with every package operation and when programs or libraries come or go; what is changed deeper below by hand is not noticed.
/// Taken for every sandbox of image `host`: some twenty calls of lstat(2).
#[must_use]
pub fn usr_fingerprint() -> String {
    let mut record = Vec::new();
    for path in directories() {
        add(&mut record, &path);
    }
    for path in PACKAGE_DATABASES.iter().chain(&["/usr/lib/os-release"]) {
        add(&mut record, Path::new(path));
    }
    digest_of(&record).split_off("sha256:".len())
}

/// Identifies what [`crate::build_host_skeleton`] and [`crate::build_usr_mask`] would build: 64 hexadecimal digits.
///
/// Differs when the machine's `/usr` or the copied part of its `/etc` changed, or this crate builds them differently.
#[must_use]
pub fn skeleton_fingerprint() -> String {
    let mut record = vec![FORMAT];
    record.extend_from_slice(usr_fingerprint().as_bytes());
    for path in SKELETON_SOURCES {
        add(&mut record, Path::new(path));
    }
    digest_of(&record).split_off("sha256:".len())
}

/// `/usr` and the directories in it, less `/usr/local`, which the image does not show.
fn directories() -> Vec<PathBuf> {
    let usr = Path::new("/usr");
    let entries = fs::read_dir(usr).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut found: Vec<_> = directories.map(|entry| entry.path()).collect();
    found.retain(|path| path != Path::new("/usr/local"));
    found.push(usr.to_owned());
    found.sort();
    found
}

fn add(record: &mut Vec<u8>, path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    record.extend_from_slice(path.as_os_str().as_bytes());
    record.push(0);
    record.extend_from_slice(&metadata.ino().to_le_bytes());
    record.extend_from_slice(&metadata.mtime().to_le_bytes());
    record.extend_from_slice(&metadata.mtime_nsec().to_le_bytes());
    record.extend_from_slice(&metadata.size().to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_stable_and_depends_on_times() {
        assert_eq!(usr_fingerprint(), usr_fingerprint());
        assert_eq!(skeleton_fingerprint().len(), 64);
        let dir = tempfile::tempdir().unwrap();
        let record = |path: &Path| {
            let mut record = Vec::new();
            add(&mut record, path);
            record
        };
        let before = record(dir.path());
        fs::create_dir(dir.path().join("new")).unwrap();
        assert_ne!(before, record(dir.path()));
    }
}
