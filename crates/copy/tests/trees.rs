//! Whole trees, into a node of this machine and back.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of this is tests: they stop where something is wrong, and say what they skip"
)]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openlattice::{ComputeProvider, ComputeProviderExt, ExecSpec, Node, ProvisionSpec};
use openlattice_copy::{CopyOptions, SkipReason, download, upload};
use openlattice_local::LocalProvider;

/// A node in a store of its own, and that store.
async fn node() -> Option<(tempfile::TempDir, Node)> {
    if !rustix::process::geteuid().is_root() {
        println!("skip: nodes on this machine need root");
        return None;
    }
    let store = tempfile::tempdir().unwrap();
    let provider: Arc<dyn ComputeProvider> = Arc::new(LocalProvider::open(store.path()).await.unwrap());
    let node = provider.provision_node(ProvisionSpec::new("host").with_max_seconds(300)).await.unwrap();
    Some((store, node))
}

/// What a tree is made of: by path its mode, and its content or target.
fn tree(root: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let content = if meta.is_symlink() {
                [b"-> ", fs::read_link(&path).unwrap().as_os_str().as_bytes()].concat()
            } else if meta.is_dir() {
                todo.push(path.clone());
                b"/".to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), (mode, content));
        }
    }
    found
}

fn make_tree(root: &Path) {
    for folder in ["empty", "private", "deep/er/still", "odd names"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let every: Vec<u8> = (0..=255).collect();
    let large: Vec<u8> = every.iter().copied().cycle().take(2_500_001).collect();
    let files: [(&str, &[u8], u32); 9] = [
        ("every", &every, 0o644),
        ("large", &large, 0o600),
        ("empty file", b"", 0o444),
        ("script", b"#!/bin/sh\necho ran\n", 0o755),
        ("private/key", b"k", 0o400),
        ("deep/er/still/f", b"f", 0o640),
        ("odd names/$(reboot); 'x' \"y\"", b"1", 0o644),
        ("odd names/-rf", b"2", 0o644),
        ("odd names/gr\u{fc}\u{df}e \u{1f980}", b"3", 0o644),
    ];
    for (path, content, mode) in files {
        fs::write(root.join(path), content).unwrap();
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (path, target) in
        [("link", "every"), ("dangling", "no/such"), ("absolute", "/etc/passwd"), ("up", "../../..")]
    {
        symlink(target, root.join(path)).unwrap();
    }
    fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o500)).unwrap();
}

#[tokio::test]
async fn m27_a_tree_goes_into_a_node_and_comes_back_the_same() {
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (dir.path().join("from"), dir.path().join("back"));
    fs::create_dir(&from).unwrap();
    make_tree(&from);
    let told = Arc::new(AtomicU64::new(0));
    let options = CopyOptions::default().with_files_at_once(3).with_progress({
        let told = Arc::clone(&told);
        move |so_far| told.store(so_far.bytes, Ordering::SeqCst)
    });
    let there = upload(&node, &from, "/srv/new/tree", &options).await.unwrap();
    assert_eq!(told.load(Ordering::SeqCst), there.bytes);
    let here = download(&node, "/srv/new/tree", &back, &options).await.unwrap();
    let counts = (there.files, there.directories, there.links, there.skipped, there.modes_not_set);
    assert_eq!(counts, (9, 7, 4, 0, 0));
    assert_eq!(there, here);
    assert_eq!(tree(&back), tree(&from));
    let ran = node.run(ExecSpec::new(["/srv/new/tree/script"])).await.unwrap();
    assert_eq!(ran.stdout_text(), "ran\n");
    node.destroy().await.unwrap();
}

#[tokio::test]
async fn m27_a_copy_over_an_older_one_replaces_what_has_the_same_name() {
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    make_tree(dir.path());
    let options = CopyOptions::default();
    upload(&node, dir.path(), "/srv/tree", &options).await.unwrap();
    fs::write(dir.path().join("every"), "new").unwrap();
    fs::remove_file(dir.path().join("link")).unwrap();
    symlink("script", dir.path().join("link")).unwrap();
    fs::remove_file(dir.path().join("script")).unwrap();
    upload(&node, dir.path(), "/srv/tree", &options).await.unwrap();
    let seen = node.run(ExecSpec::shell("cd /srv/tree; cat every; readlink link; ls script")).await.unwrap();
    assert_eq!(seen.stdout_text(), "newscript\nscript\n");
    node.destroy().await.unwrap();
}

#[tokio::test]
async fn m27_what_a_node_cannot_take_is_counted_and_no_link_is_followed() {
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::create_dir(dir.path().join("secret")).unwrap();
    fs::write(dir.path().join("secret/f"), "secret").unwrap();
    symlink("../secret", from.join("out")).unwrap();
    fs::write(from.join(OsStr::from_bytes(b"not \xff text")), "x").unwrap();
    fs::write(from.join("line\nbreak"), "x").unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, from.join("fifo"), fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    let report = upload(&node, &from, "/srv/tree", &CopyOptions::default()).await.unwrap();
    assert_eq!((report.files, report.links, report.skipped), (0, 1, 3));
    let kinds = report.skipped_paths.iter().filter(|skipped| skipped.reason == SkipReason::Kind).count();
    assert_eq!(kinds, 1, "{:?}", report.skipped_paths);
    let seen = node.run(ExecSpec::shell("find /srv/tree | sort; cat /srv/tree/out/f 2>&1 | grep -c secret"));
    assert_eq!(seen.await.unwrap().stdout_text(), "/srv/tree\n/srv/tree/out\n0\n");
    node.destroy().await.unwrap();
}
