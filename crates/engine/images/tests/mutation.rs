//! Damaged and twisted archives: whatever the bytes, nothing panics, nothing outside the sink changes, and a refusal
//! leaves no layer. The numbers are made by a fixed rule, so that a failure can be repeated.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

use std::fs;
use std::path::Path;

use openlattice_images::testing::{ArchiveFormat, LayerBuilder, can_set_owners, write_archive};
use openlattice_images::{Budget, IdRange, ImportOptions, LayerSink, Limits, import, unpack_layer};

const IDS: IdRange = IdRange { base: 1_000_000, count: 65_536 };
const ROUNDS: u64 = 400;

/// Marsaglia's xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(below).unwrap()).unwrap()
    }
}

fn layer() -> Vec<u8> {
    LayerBuilder::default()
        .directory("a", 0o755)
        .pax("SCHILY.xattr.user.x", b"value")
        .file("a/file", 0o644, &[7; 700])
        .symlink("a/link", "../outside")
        .entry(b'1', "a/hard", "a/file", 0o644, b"")
        .entry(b'L', "././@LongLink", "", 0o644, b"a/long/name\0")
        .file("short", 0o600, b"x")
        .file("a/.wh.gone", 0, b"")
        .file("a/.wh..wh..opq", 0, b"")
        .finish()
}

/// Overwrites a few bytes, mostly inside headers, with what paths, types and sizes are made of.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    const WORDS: [&[u8]; 10] =
        [b"..", b"/", b"../../outside", b"2", b"1", b"\0", b"5", b"7777777", b"L", b"x"];
    for _ in 0..=numbers.next(4) {
        let word = WORDS[numbers.next(WORDS.len())];
        let header = numbers.next(bytes.len() / 512) * 512;
        let places = [0, 1, 100, 108, 124, 156, 157, 257, 345, numbers.next(500)];
        let at = header + places[numbers.next(places.len())];
        let end = (at + word.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&word[..end - at]);
    }
    fix_checksums(bytes);
    if numbers.next(8) == 0 {
        bytes.truncate(numbers.next(bytes.len()));
    }
}

/// Makes every block that could be a header a valid one: a wrong checksum would end the reading at once.
fn fix_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block.iter().any(|&byte| byte != 0)) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
}

fn assert_untouched(dir: &Path, round: u64) {
    assert_eq!(fs::read_to_string(dir.join("outside")).unwrap(), "untouched", "round {round}");
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["archive.tar", "layers", "outside"], "round {round}");
}

#[test]
fn a_twisted_layer_stays_inside_its_folder() {
    if !can_set_owners("a_twisted_layer_stays_inside_its_folder") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outside"), "untouched").unwrap();
    fs::write(dir.path().join("archive.tar"), "").unwrap();
    let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
    let mut taken = 0;
    for round in 1..=ROUNDS {
        let mut bytes = layer();
        mutate(&mut bytes, &mut Numbers(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let staged = sink.stage().unwrap();
        let limits = Limits { bytes: 1 << 20, entries: 1000 };
        taken += u64::from(unpack_layer(&bytes[..], &staged, IDS, &mut Budget::new(limits)).is_ok());
        drop(staged);
        assert_untouched(dir.path(), round);
        assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), 0, "round {round}");
    }
    assert!(taken > 10 && taken < ROUNDS, "{taken} of {ROUNDS} were taken: the twists test nothing");
}

#[test]
fn a_twisted_archive_gives_an_image_or_an_error() {
    if !can_set_owners("a_twisted_archive_gives_an_image_or_an_error") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("outside"), "untouched").unwrap();
    let archive = dir.path().join("archive.tar");
    let sink = LayerSink::open(&dir.path().join("layers")).unwrap();
    for round in 1..=ROUNDS {
        let format = if round % 2 == 0 { ArchiveFormat::Oci } else { ArchiveFormat::Docker };
        write_archive(&archive, &[layer()], format).unwrap();
        let mut bytes = fs::read(&archive).unwrap();
        mutate(&mut bytes, &mut Numbers(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        fs::write(&archive, bytes).unwrap();
        match import(&archive, &sink, &ImportOptions::new(IDS)) {
            Ok(imported) => imported.layers.iter().for_each(|id| sink.remove(id).unwrap()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        assert_untouched(dir.path(), round);
        assert_eq!(fs::read_dir(dir.path().join("layers")).unwrap().count(), 0, "round {round}");
    }
}
