//! Layers that behave, and layers that attack. Those that set owners need root and say so when they are skipped.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use openlattice_images::testing::{LayerBuilder, can_set_owners};
use openlattice_images::{
    Budget, IdRange, LayerId, LayerSink, Limits, UnpackError, UnpackReport, unpack_layer,
};

const IDS: IdRange = IdRange { base: 1_000_000, count: 65_536 };

struct Unpacked {
    dir: tempfile::TempDir,
    tree: PathBuf,
    report: UnpackReport,
}

impl Unpacked {
    fn at(&self, path: &str) -> PathBuf {
        self.tree.join(path)
    }

    fn attribute(&self, path: &str, name: &str) -> Option<Vec<u8>> {
        let mut value = [0; 256];
        let length = rustix::fs::lgetxattr(self.at(path), name, &mut value[..]).ok()?;
        Some(value[..length].to_vec())
    }

    fn is_whiteout(&self, path: &str) -> bool {
        fs::symlink_metadata(self.at(path))
            .is_ok_and(|metadata| metadata.file_type().is_char_device() && metadata.rdev() == 0)
    }
}

fn unpack_within(layer: LayerBuilder, limits: Limits) -> Result<Unpacked, UnpackError> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outside"), "untouched").unwrap();
    let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
    let staged = sink.stage().unwrap();
    let tar = layer.finish();
    let result = unpack_layer(&tar[..], &staged, IDS, &mut Budget::new(limits));
    assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "untouched");
    let report = result?;
    let id: LayerId = "test".parse().unwrap();
    staged.publish(&id).unwrap();
    Ok(Unpacked { tree: sink.path(&id), dir, report })
}

fn unpack(layer: LayerBuilder) -> Result<Unpacked, UnpackError> {
    unpack_within(layer, Limits::default())
}

fn refusal(layer: LayerBuilder) -> String {
    match unpack(layer) {
        Ok(unpacked) => panic!("taken: {:?} in {:?}", unpacked.report, unpacked.dir),
        Err(error) => error.to_string(),
    }
}

fn layer() -> LayerBuilder {
    LayerBuilder::default()
}

#[test]
fn keeps_owners_modes_times_and_links() {
    if !can_set_owners("keeps_owners_modes_times_and_links") {
        return;
    }
    let unpacked = unpack(
        layer()
            .directory("./", 0o755)
            .directory("usr/", 0o755)
            .owned_file("usr/su", 7, 0o4755, b"binary")
            .symlink("usr/link", "/etc/passwd")
            .entry(b'1', "usr/hard", "/usr/su", 0o644, b"")
            .entry(b'6', "usr/fifo", "", 0o600, b"")
            .file("deep/er/file", 0o640, b"x"),
    )
    .unwrap();
    let su = fs::metadata(unpacked.at("usr/su")).unwrap();
    assert_eq!((su.uid(), su.gid(), su.mode() & 0o7777), (1_000_007, 1_000_007, 0o4755));
    assert_eq!(su.mtime(), 1_000_000_000);
    assert_eq!(su.nlink(), 2);
    assert_eq!(fs::metadata(unpacked.at("usr")).unwrap().mtime(), 1_000_000_000);
    assert_eq!(fs::read_link(unpacked.at("usr/link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(fs::symlink_metadata(unpacked.at("usr/link")).unwrap().uid(), IDS.base);
    let made = fs::metadata(unpacked.at("deep/er")).unwrap();
    assert_eq!((made.uid(), made.mode() & 0o7777), (IDS.base, 0o755));
    assert_eq!(fs::metadata(&unpacked.tree).unwrap().uid(), IDS.base);
    assert!(fs::metadata(unpacked.at("usr/fifo")).unwrap().file_type().is_fifo());
    assert_eq!(unpacked.report.entries, 7);
}

#[test]
fn turns_deletions_into_overlay_marks() {
    if !can_set_owners("turns_deletions_into_overlay_marks") {
        return;
    }
    let unpacked = unpack(
        layer()
            .file("a/.wh.gone", 0, b"")
            .file("a/new", 0o644, b"")
            .directory("o/", 0o755)
            .file("o/.wh..wh..opq", 0, b"")
            .file(".wh..wh.plnk", 0, b"")
            .file(".wh.became-dir", 0, b"")
            .directory("became-dir", 0o755)
            .directory("both", 0o755)
            .file(".wh.both", 0, b"")
            .file("kept", 0o644, b"mine")
            .file(".wh.kept", 0, b""),
    )
    .unwrap();
    assert!(unpacked.is_whiteout("a/gone"));
    for opaque in ["o", "became-dir", "both"] {
        assert_eq!(
            unpacked.attribute(opaque, "trusted.overlay.opaque").as_deref(),
            Some(&b"y"[..]),
            "{opaque}"
        );
    }
    assert_eq!(unpacked.attribute("a", "trusted.overlay.opaque"), None);
    assert_eq!(fs::read(unpacked.at("kept")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(unpacked.at("o")).unwrap().count(), 0);
    assert!(!unpacked.at(".wh..wh.plnk").exists());
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    if !can_set_owners("a_later_entry_replaces_an_earlier_one") {
        return;
    }
    let unpacked = unpack(
        layer()
            .directory("d", 0o755)
            .file("d/inside", 0o644, b"")
            .file("d", 0o644, b"file now")
            .symlink("s", "d")
            .file("s", 0o600, b"no link")
            .file("f", 0o644, b"")
            .directory("f", 0o700),
    )
    .unwrap();
    assert_eq!(fs::read(unpacked.at("d")).unwrap(), b"file now");
    assert_eq!(fs::symlink_metadata(unpacked.at("s")).unwrap().mode() & 0o7777, 0o600);
    assert!(unpacked.at("f").is_dir());
}

#[test]
fn keeps_only_attributes_that_overlay_does_not_obey() {
    if !can_set_owners("keeps_only_attributes_that_overlay_does_not_obey") {
        return;
    }
    let capability = [&0x0200_0001_u32.to_le_bytes()[..], &[0; 16]].concat();
    let unpacked = unpack(
        layer()
            .pax("SCHILY.xattr.trusted.overlay.opaque", b"y")
            .pax("SCHILY.xattr.user.overlay.redirect", b"/etc")
            .pax("SCHILY.xattr.user.kept", b"a\nb\0c")
            .directory("d", 0o755)
            .pax("SCHILY.xattr.security.capability", &capability)
            .pax("SCHILY.xattr.security.selinux", b"x")
            .file("ping", 0o755, b""),
    )
    .unwrap();
    assert_eq!(unpacked.attribute("d", "trusted.overlay.opaque"), None);
    assert_eq!(unpacked.attribute("d", "user.overlay.redirect"), None);
    assert_eq!(unpacked.report.dropped_attributes, 3);
    if let Some(value) = unpacked.attribute("d", "user.kept") {
        assert_eq!(value, b"a\nb\0c");
    }
    let shifted = unpacked.attribute("ping", "security.capability").unwrap();
    assert_eq!(shifted.len(), 24, "the capability counts on the host");
    assert_eq!(shifted[20..], IDS.base.to_le_bytes());
}

#[test]
fn drops_device_nodes() {
    if !can_set_owners("drops_device_nodes") {
        return;
    }
    let unpacked =
        unpack(layer().entry(b'3', "dev/null", "", 0o666, b"").entry(b'4', "dev/sda", "", 0o666, b"").entry(
            b'3',
            "smuggled-whiteout",
            "",
            0,
            b"",
        ))
        .unwrap();
    assert_eq!(unpacked.report.dropped_devices, 3);
    assert!(!unpacked.at("dev/sda").exists());
    assert!(fs::symlink_metadata(unpacked.at("smuggled-whiteout")).is_err());
}

#[test]
fn paths_never_lead_out() {
    if !can_set_owners("paths_never_lead_out") {
        return;
    }
    for path in ["../outside", "a/../../../outside", "..", "a/.."] {
        assert!(refusal(layer().file(path, 0o644, b"x")).contains("'..'"), "{path}");
    }
    assert!(refusal(layer().file(".wh..", 0, b"")).contains("no name"));
    assert!(refusal(layer().file(".wh...", 0, b"")).contains("no name"));
    let inside = unpack(layer().file("/outside", 0o644, b"x")).unwrap();
    assert_eq!(fs::read(inside.at("outside")).unwrap(), b"x");
}

#[test]
fn links_never_lead_out() {
    if !can_set_owners("links_never_lead_out") {
        return;
    }
    for target in ["/", "../..", "/proc/self/root", "."] {
        let attack = layer().symlink("way", target).file("way/outside", 0o644, b"x");
        assert!(refusal(attack).contains("symbolic link"), "{target}");
        let attack = layer().symlink("way", target).directory("way/sub/dir", 0o755);
        assert!(refusal(attack).contains("symbolic link"), "{target}");
        let attack = layer().symlink("way", target).file("way/.wh..wh..opq", 0, b"");
        assert!(refusal(attack).contains("symbolic link"), "{target}");
    }
    for target in ["../outside", "/etc/passwd", "missing", "dir", ".", ""] {
        let attack = layer().directory("dir", 0o755).entry(b'1', "hard", target, 0o644, b"");
        assert!(refusal(attack).contains("hard link"), "{target:?}");
    }
    let attack = layer().symlink("way", "../..").entry(b'1', "hard", "way/outside", 0o644, b"");
    assert!(refusal(attack).contains("hard link"));
    let attack = layer().symlink("link", "../../outside").entry(b'1', "hard", "link", 0o644, b"");
    let unpacked = unpack(attack).unwrap();
    assert!(fs::symlink_metadata(unpacked.at("hard")).unwrap().is_symlink(), "the link was followed");
}

#[test]
fn a_hard_link_to_itself_keeps_the_file() {
    if !can_set_owners("a_hard_link_to_itself_keeps_the_file") {
        return;
    }
    let unpacked = unpack(layer().file("f", 0o644, b"x").entry(b'1', "f", "./f", 0o644, b"")).unwrap();
    assert_eq!(fs::read(unpacked.at("f")).unwrap(), b"x");
}

#[test]
fn ids_outside_the_range_are_refused() {
    if !can_set_owners("ids_outside_the_range_are_refused") {
        return;
    }
    assert!(refusal(layer().owned_file("f", 65_536, 0o644, b"")).contains("65536"));
    assert!(refusal(layer().pax("uid", b"4294967296").file("f", 0o644, b"")).contains("4294967296"));
}

#[test]
fn bombs_hit_the_caps() {
    if !can_set_owners("bombs_hit_the_caps") {
        return;
    }
    let limits = Limits { bytes: 1 << 20, entries: 100 };
    let big = layer().file("zeros", 0o644, &vec![0; 2 << 20]);
    assert!(matches!(unpack_within(big, limits), Err(UnpackError::TooManyBytes { limit: 1_048_576 })));
    let many = (0..200).fold(layer(), |layer, n| layer.file(&format!("f{n}"), 0o644, b""));
    assert!(matches!(unpack_within(many, limits), Err(UnpackError::TooManyEntries { limit: 100 })));
}

#[test]
fn long_records_and_damage_are_refused() {
    if !can_set_owners("long_records_and_damage_are_refused") {
        return;
    }
    let long = layer().entry(b'L', "././@LongLink", "", 0o644, &vec![b'a'; 2 << 20]).file("f", 0o644, b"");
    assert!(refusal(long).contains("extension record"));
    let pax = layer().entry(b'x', "pax", "", 0o644, b"99999 path=x\n").file("f", 0o644, b"");
    assert!(refusal(pax).contains("damaged"));
    assert!(refusal(layer().pax("GNU.sparse.major", b"1").file("f", 0o644, b"")).contains("sparse"));
    assert!(refusal(layer().entry(b'S', "f", "", 0o644, b"")).contains("sparse"));
    assert!(refusal(layer().entry(b'Z', "f", "", 0o644, b"")).contains("unknown type"));
    let dir = tempfile::tempdir().unwrap();
    let sink = LayerSink::open(dir.path()).unwrap();
    let staged = sink.stage().unwrap();
    let tar = layer().file("f", 0o644, &[1; 4000]).finish();
    let cut = unpack_layer(&tar[..2000], &staged, IDS, &mut Budget::new(Limits::default()));
    assert!(matches!(cut, Err(UnpackError::Damaged(_))), "{cut:?}");
}

#[test]
fn long_and_pax_names_are_kept() {
    if !can_set_owners("long_and_pax_names_are_kept") {
        return;
    }
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let unpacked = unpack(
        layer()
            .entry(b'L', "././@LongLink", "", 0o644, format!("{long}\0").as_bytes())
            .file("short", 0o644, b"gnu")
            .pax("path", "sp\u{e4}t".as_bytes())
            .file("short", 0o644, b"pax"),
    )
    .unwrap();
    assert_eq!(fs::read(unpacked.at(&long)).unwrap(), b"gnu");
    assert_eq!(fs::read(unpacked.at("sp\u{e4}t")).unwrap(), b"pax");
    assert!(!unpacked.at("short").exists());
}
