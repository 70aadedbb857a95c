//! A copy of an upper directory is the same layer.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use openlattice_images::testing::can_set_owners;
use openlattice_images::{LayerId, LayerSink, copy_tree};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};

fn copied(source: &Path, dir: &Path) -> PathBuf {
    let sink = LayerSink::open(&dir.join("layers")).unwrap();
    let staged = sink.stage().unwrap();
    copy_tree(source, &staged).unwrap();
    let id: LayerId = "snap-1".parse().unwrap();
    staged.publish(&id).unwrap();
    sink.path(&id)
}

#[test]
fn everything_of_a_layer_is_kept() {
    if !can_set_owners("everything_of_a_layer_is_kept") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let upper = dir.path().join("upper");
    fs::create_dir_all(upper.join("opaque")).unwrap();
    fs::create_dir(upper.join("plain")).unwrap();
    fs::write(upper.join("plain/file"), b"contents").unwrap();
    fs::hard_link(upper.join("plain/file"), upper.join("opaque/same")).unwrap();
    std::os::unix::fs::chown(upper.join("plain/file"), Some(1_000_005), Some(1_000_006)).unwrap();
    fs::set_permissions(upper.join("plain/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    symlink("/etc/shadow", upper.join("link")).unwrap();
    symlink("..", upper.join("plain/up")).unwrap();
    rustix::fs::mknodat(CWD, upper.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    rustix::fs::mknodat(CWD, upper.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(upper.join(path), name, value, XattrFlags::empty()).unwrap();
    };
    set("opaque", "trusted.overlay.opaque", b"y");
    set("opaque", "trusted.overlay.origin", b"handle");
    set("plain/file", "trusted.other", b"1");
    set("link", "trusted.other", b"2");

    let layer = copied(&upper, dir.path());
    let file = fs::metadata(layer.join("plain/file")).unwrap();
    let source = fs::metadata(upper.join("plain/file")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode()), (1_000_005, 1_000_006, source.mode()));
    assert_eq!((file.mtime(), file.mtime_nsec()), (source.mtime(), source.mtime_nsec()));
    assert_eq!(file.ino(), fs::metadata(layer.join("opaque/same")).unwrap().ino());
    assert_ne!(file.ino(), source.ino());
    assert_eq!(fs::read(layer.join("plain/file")).unwrap(), b"contents");
    let plain = |root: &Path| fs::metadata(root.join("plain")).unwrap().mtime_nsec();
    assert_eq!(plain(&layer), plain(&upper));
    assert_eq!(fs::read_link(layer.join("link")).unwrap(), Path::new("/etc/shadow"));
    assert_eq!(fs::read_link(layer.join("plain/up")).unwrap(), Path::new(".."));
    let gone = fs::symlink_metadata(layer.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(fs::symlink_metadata(layer.join("fifo")).unwrap().file_type().is_fifo());
    let get = |path: &str, name: &str| {
        let mut value = [0; 16];
        let length = rustix::fs::lgetxattr(layer.join(path), name, &mut value[..]).ok()?;
        Some(value[..length].to_vec())
    };
    assert_eq!(get("opaque", "trusted.overlay.opaque"), Some(b"y".to_vec()));
    assert_eq!(get("opaque", "trusted.overlay.origin"), None);
    assert_eq!(get("plain/file", "trusted.other"), Some(b"1".to_vec()));
    assert_eq!(get("link", "trusted.other"), Some(b"2".to_vec()));
    assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), 1, "a staging folder is left");
}

#[test]
fn a_tree_deeper_than_any_path_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let upper = dir.path().join("upper");
    fs::create_dir(&upper).unwrap();
    let mut at = rustix::fs::open(&upper, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&at, c"deep", Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, c"deep", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
    let staged = sink.stage().unwrap();
    assert_eq!(copy_tree(&upper, &staged).unwrap().entries, 3000);
    drop(staged);
    let moved = "ended".parse().unwrap();
    sink.adopt(&upper, &moved).unwrap();
    assert!(!upper.exists());
    sink.remove(&moved).unwrap();
    assert!(sink.list().unwrap().is_empty());
}

#[test]
fn devices_are_refused() {
    if !can_set_owners("devices_are_refused") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let upper = dir.path().join("upper");
    fs::create_dir(&upper).unwrap();
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, upper.join("null"), FileType::CharacterDevice, Mode::empty(), null).unwrap();
    let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
    let error = copy_tree(&upper, &sink.stage().unwrap()).unwrap_err();
    assert!(error.path.ends_with("null"), "{error}");
    assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), 0);
}
