//! The root of the image `host`, all but `/usr`.

use std::fs;
use std::path::Path;

use super::builder::Builder;
use super::{HostError, etc};
use crate::error::failed;
use crate::ids::IdRange;

/// Top-level directories that a merged `/usr` replaces by links.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Directories and their modes; the mount points among them stay empty.
const DIRECTORIES: [(&str, u32); 18] = [
    ("usr", 0o755),
    ("proc", 0o555),
    ("sys", 0o555),
    ("dev", 0o755),
    ("tmp", 0o1777),
    ("run", 0o755),
    ("run/lock", 0o1777),
    ("root", 0o700),
    ("home", 0o755),
    ("opt", 0o755),
    ("srv", 0o755),
    ("mnt", 0o755),
    ("media", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// Builds in the empty directory `dest` the layer below everything else of the image `host`, except `/usr`.
///
/// Holds the links of a merged `/usr`, a small `/etc` and empty directories, all owned by the guest's root. Nothing in it
/// comes from the machine but what every program needs and every user may read: the loader's cache and
/// configuration, alternatives links, certificate authorities, service and protocol names, the time zone and the
/// release file. No account of the machine, no host name, no password file.
///
/// # Errors
/// [`HostError::UnmergedUsr`] on a machine that keeps programs outside `/usr`; otherwise when a file cannot be read or
/// written, or owners cannot be set (they need root).
pub fn build_host_skeleton(dest: &Path, ids: IdRange) -> Result<(), HostError> {
    let builder = Builder::new(dest, ids)?;
    for (path, mode) in DIRECTORIES {
        builder.directory(path, mode)?;
    }
    for name in MERGED {
        merged_link(&builder, name)?;
    }
    builder.link("var/run", "../run")?;
    builder.link("var/lock", "../run/lock")?;
    etc::build(&builder)
}

/// Repeats one of the machine's links into `/usr`; a name that it does not have is left out.
fn merged_link(builder: &Builder, name: &str) -> Result<(), HostError> {
    let path = Path::new("/").join(name);
    let Ok(metadata) = fs::symlink_metadata(&path) else { return Ok(()) };
    if !metadata.is_symlink() {
        return Err(HostError::UnmergedUsr { path });
    }
    let target = fs::read_link(&path).map_err(failed("read link", &path))?;
    let target = target.strip_prefix("/").unwrap_or(&target);
    if !target.starts_with("usr") {
        return Err(HostError::UnmergedUsr { path });
    }
    Ok(builder.link(name, target)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const IDS: IdRange = IdRange { base: 1_000_000, count: 65_536 };

    #[test]
    fn holds_what_programs_need_and_no_secret() {
        if !crate::testing::can_set_owners("skeleton") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        build_host_skeleton(dir.path(), IDS).unwrap();
        let at = |path: &str| dir.path().join(path);
        assert_eq!(fs::read_link(at("bin")).unwrap(), Path::new("usr/bin"));
        assert!(fs::read_to_string(at("etc/passwd")).unwrap().starts_with("root:x:0:0:"));
        for absent in
            ["etc/shadow", "etc/gshadow", "etc/ssl/private", "etc/hostname", "etc/ssh", "etc/machine-id"]
        {
            assert!(!at(absent).exists(), "{absent} is there");
        }
        assert_eq!(fs::metadata(at("tmp")).unwrap().mode() & 0o7777, 0o1777);
        assert_eq!(fs::metadata(at("root")).unwrap().mode() & 0o7777, 0o700);
        assert_eq!(fs::read_dir(at("usr")).unwrap().count(), 0);
        let mut todo = vec![dir.path().to_owned()];
        while let Some(path) = todo.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (IDS.base, IDS.base), "{path:?}");
            if metadata.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    }

    #[test]
    fn the_mask_is_opaque() {
        if !crate::testing::can_set_owners("mask") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        super::super::build_usr_mask(dir.path(), IDS).unwrap();
        let mut value = [0; 8];
        let length =
            rustix::fs::getxattr(dir.path().join("local"), "trusted.overlay.opaque", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"y");
    }
}
