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
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openlattice::{ComputeProvider, ComputeProviderExt, ExecSpec, Node, ProvisionSpec};
use openlattice_copy::{CopyOptions, SkipReason, download, download_file, pack, unpack, upload, upload_file};
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

/// What a tree is made of: by path its mode and time, and its content or target.
fn tree(root: &Path) -> BTreeMap<String, (u32, SystemTime, Vec<u8>)> {
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
            let modified = meta.modified().unwrap();
            found.insert(path.strip_prefix(root).unwrap().display().to_string(), (mode, modified, content));
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
    fs::set_permissions(root.join("private"), fs::Permissions::from_mode(0o1500)).unwrap();
    for (path, time) in
        [("every", Duration::new(981_173_106, 123_456_789)), ("empty", Duration::from_secs(5))]
    {
        fs::File::open(root.join(path)).unwrap().set_modified(UNIX_EPOCH + time).unwrap();
    }
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
    assert_eq!((report.files, report.links, report.skipped), (2, 1, 1), "{:?}", report.skipped_paths);
    assert_eq!(report.skipped_paths[0].reason, SkipReason::Kind);
    let seen = node.run(ExecSpec::shell("ls -b /srv/tree; cat /srv/tree/out/f 2>&1 | grep -c secret"));
    assert_eq!(seen.await.unwrap().stdout_text(), "line\\nbreak\nnot\\ \\377\\ text\nout\n0\n");
    let back = dir.path().join("back");
    let here = download(&node, "/srv/tree", &back, &CopyOptions::default()).await.unwrap();
    assert_eq!((here.files, here.links, here.skipped), (2, 1, 0));
    assert_eq!(fs::read(back.join(OsStr::from_bytes(b"not \xff text"))).unwrap(), b"x");
    node.destroy().await.unwrap();
}

/// An archive of entries given by path, kind, content or target.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_mtime(981_173_106);
        header.set_entry_type(*kind);
        // As it is, also where a builder would refuse it.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        if matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link) {
            header.as_gnu_mut().unwrap().linkname[..text.len()].copy_from_slice(text.as_bytes());
            header.set_size(0);
            header.set_cksum();
            archive.append(&header, std::io::empty()).unwrap();
        } else {
            header.set_size(text.len() as u64);
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

#[tokio::test]
async fn m27_a_hostile_archive_stays_below_the_target() {
    use tar::EntryType;
    let Some((_store, node)) = node().await else { return };
    node.run(ExecSpec::shell("mkdir /srv/t; echo good > /srv/outside")).await.unwrap();
    let made = archive(&[
        ("../outside", EntryType::Regular, "bad"),
        ("a/../../outside", EntryType::Regular, "bad"),
        ("/absolute", EntryType::Regular, "fine"),
        ("link", EntryType::Symlink, "/srv"),
        ("link/outside", EntryType::Regular, "below"),
        ("twin", EntryType::Link, "absolute"),
        ("stolen", EntryType::Link, "../outside"),
        ("null", EntryType::Char, ""),
        ("pipe", EntryType::Fifo, ""),
        ("again", EntryType::Symlink, "absolute"),
        ("again", EntryType::Regular, "a file at last"),
    ]);
    let report = unpack(&node, std::io::Cursor::new(made), "/srv/t", &CopyOptions::default()).await.unwrap();
    let left: Vec<_> =
        report.skipped_paths.iter().map(|skipped| (skipped.path.as_str(), skipped.reason)).collect();
    let expected = [
        ("../outside", SkipReason::Outside),
        ("a/../../outside", SkipReason::Outside),
        ("stolen", SkipReason::Outside),
        ("null", SkipReason::Kind),
        ("pipe", SkipReason::Kind),
        ("/srv/t/link", SkipReason::InTheWay),
    ];
    assert_eq!(left, expected);
    let script = "cat /srv/outside /srv/t/absolute /srv/t/twin /srv/t/link/outside /srv/t/again; stat -c '%a %Y' /srv/t/twin";
    let seen = node.run(ExecSpec::shell(script)).await.unwrap();
    assert_eq!(seen.stdout_text(), "good\nfinefinebelowa file at last640 981173106\n");
    let whole = archive(&[("f", EntryType::Regular, &"x".repeat(3000))]);
    let cases = [
        ("cut", whole[..1000].to_vec()),
        ("no end", archive(&[])[..0].to_vec()),
        ("other", vec![b'z'; 2000]),
    ];
    for (what, bytes) in cases {
        let error =
            unpack(&node, std::io::Cursor::new(bytes), "/srv/t", &CopyOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), openlattice::ErrorKind::InvalidArgument, "{what}");
    }
    let seen = node.run(ExecSpec::shell("ls -A /srv/t")).await.unwrap();
    assert!(
        !seen.stdout_text().lines().any(|name| name == "f" || name.starts_with('.')),
        "{}",
        seen.stdout_text()
    );
    node.destroy().await.unwrap();
}

/// Takes what is written, to be read afterwards.
#[derive(Clone, Default)]
struct Taken(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn m27_an_archive_holds_the_tree_and_unpacks_to_the_same() {
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (dir.path().join("from"), dir.path().join("back"));
    fs::create_dir(&from).unwrap();
    make_tree(&from);
    fs::write(from.join(OsStr::from_bytes(b"caf\xe9")), "x").unwrap();
    fs::write(from.join("long".repeat(60)), "x").unwrap();
    let options = CopyOptions::default();
    upload(&node, &from, "/srv/tree", &options).await.unwrap();
    let taken = Taken::default();
    let there = pack(&node, "/srv/tree", ".", taken.clone(), &options).await.unwrap();
    assert_eq!((there.files, there.directories, there.links, there.skipped), (11, 7, 4, 0));
    node.run(ExecSpec::shell("mkdir /srv/again")).await.unwrap();
    let bytes = taken.0.lock().unwrap().clone();
    let here = unpack(&node, std::io::Cursor::new(bytes), "/srv/again", &options).await.unwrap();
    assert_eq!((here.files, here.links, here.skipped), (11, 4, 0), "{:?}", here.skipped_paths);
    download(&node, "/srv/again", &back, &options).await.unwrap();
    assert_eq!(tree(&back), tree(&from));
    node.destroy().await.unwrap();
}

#[tokio::test]
async fn m27_holes_stay_holes_both_ways() {
    use std::os::unix::fs::MetadataExt;
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let (from, back) = (dir.path().join("from"), dir.path().join("back"));
    let file = fs::File::create(&from).unwrap();
    file.set_len(300 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", 300 << 20).unwrap();
    let options = CopyOptions::default();
    upload_file(&node, &from, "/srv/disk", &options).await.unwrap();
    let seen = node.run(ExecSpec::shell("du -k /srv/disk | cut -f1; tail -c 3 /srv/disk")).await.unwrap();
    let text = seen.stdout_text();
    let (used, end) = text.split_once('\n').unwrap();
    assert!(used.parse::<u64>().unwrap() < 100 && end == "end", "{text}");
    download_file(&node, "/srv/disk", &back, &options).await.unwrap();
    let meta = fs::metadata(&back).unwrap();
    assert_eq!(meta.len(), (300 << 20) + 3);
    assert!(meta.blocks() * 512 < 100 << 10, "{} bytes on disk", meta.blocks() * 512);
    node.destroy().await.unwrap();
}

#[tokio::test]
async fn m27_set_id_bits_go_in_and_not_out() {
    let Some((_store, node)) = node().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir(&from).unwrap();
    fs::write(from.join("tool"), "x").unwrap();
    fs::set_permissions(from.join("tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    fs::set_permissions(&from, fs::Permissions::from_mode(0o3775)).unwrap();
    let options = CopyOptions::default();
    upload(&node, &from, "/srv/t", &options).await.unwrap();
    let seen = node.run(ExecSpec::shell("stat -c %a /srv/t /srv/t/tool")).await.unwrap();
    assert_eq!(seen.stdout_text(), "3775\n6755\n");
    let back = dir.path().join("back");
    let report = download(&node, "/srv/t", &back, &options).await.unwrap();
    assert_eq!(report.set_id_dropped, 2);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&back), mode(&back.join("tool"))), (0o1775, 0o755));
    node.destroy().await.unwrap();
}
