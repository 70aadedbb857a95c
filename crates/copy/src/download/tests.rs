//! A node that lies about its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use openlattice::{
    Bytes, FileContent, FileTime, FileWatch, Files, ListOptions, SandboxId, WatchOptions, WriteOptions,
    async_trait,
};

use super::*;

/// Files as a test wants them: what is listed in each directory, and one content for all.
#[derive(Debug, Default)]
struct Lies(BTreeMap<String, Vec<FileInfo>>);

fn entry(name: &str, kind: FileKind) -> FileInfo {
    FileInfo {
        name: name.to_owned(),
        path: "/etc/passwd".to_owned(),
        kind,
        size: 3,
        mode: 0o4755,
        owner: "0".to_owned(),
        group: "0".to_owned(),
        modified_at: FileTime::default(),
        symlink_target: None,
        name_bytes: None,
        symlink_target_bytes: None,
    }
}

fn link(name: &str, target: &Path) -> FileInfo {
    FileInfo { symlink_target: Some(target.display().to_string()), ..entry(name, FileKind::Symlink) }
}

impl Lies {
    fn with(mut self, folder: &str, entries: impl IntoIterator<Item = FileInfo>) -> Self {
        self.0.insert(folder.to_owned(), entries.into_iter().collect());
        self
    }

    async fn download(self, local: &Path) -> Result<CopyReport> {
        let files = NodeFiles::new(Arc::new(self), SandboxId::new("sb-1"));
        copy(files, false, Path::new("/d"), local, &CopyOptions::default()).await
    }
}

fn no<T>() -> Result<T> {
    Err(Error::unsupported("test", "test"))
}

#[async_trait]
impl Files for Lies {
    async fn read(&self, _: &SandboxId, _: &Path) -> Result<Bytes> {
        no()
    }

    async fn write(&self, _: &SandboxId, _: &Path, _: Bytes, _: WriteOptions) -> Result<()> {
        no()
    }

    async fn read_stream(&self, _: &SandboxId, path: &Path, _: u64) -> Result<Box<dyn FileContent>> {
        let about = |kind| Err(Error::new(kind, "test", "not this one").with_subject(Subject::Path));
        match path.file_name().and_then(|name| name.to_str()) {
            Some("broken") => return no(),
            Some("fifo") => return about(ErrorKind::Unsupported),
            Some("gone") => return about(ErrorKind::NotFound),
            _ => {}
        }
        Ok(Box::new(Bytes::from_static(b"bad")))
    }

    async fn write_stream(
        &self,
        _: &SandboxId,
        _: &Path,
        _: Box<dyn FileContent>,
        _: WriteOptions,
    ) -> Result<()> {
        no()
    }

    async fn watch(&self, _: &SandboxId, _: &Path, _: WatchOptions) -> Result<Box<dyn FileWatch>> {
        no()
    }

    async fn symlink(&self, _: &SandboxId, _: &Path, _: &Path) -> Result<()> {
        no()
    }

    async fn set_mode(&self, _: &SandboxId, _: &Path, _: u32) -> Result<()> {
        no()
    }

    async fn set_modified(&self, _: &SandboxId, _: &Path, _: FileTime) -> Result<()> {
        no()
    }

    async fn list(&self, _: &SandboxId, path: &Path, _: ListOptions) -> Result<Vec<FileInfo>> {
        Ok(self.0.get(path.to_str().unwrap()).cloned().unwrap_or_default())
    }

    async fn stat(&self, _: &SandboxId, _: &Path) -> Result<FileInfo> {
        Ok(entry("d", FileKind::Directory))
    }

    async fn mkdir(&self, _: &SandboxId, _: &Path, _: bool) -> Result<()> {
        no()
    }

    async fn remove(&self, _: &SandboxId, _: &Path, _: bool) -> Result<()> {
        no()
    }
}

/// A folder with a target in it and something beside it that must not change.
fn place() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (target, outside) = (dir.path().join("target"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "good").unwrap();
    (dir, target, outside)
}

fn untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["f"]);
    assert_eq!(fs::read(outside.join("f")).unwrap(), b"good");
}

#[tokio::test]
async fn m27_names_that_lead_out_are_refused() {
    for kind in [FileKind::File, FileKind::Directory, FileKind::Symlink] {
        for bad in ["", ".", "..", "../outside/f", "/etc/passwd", "a\0"] {
            let (_dir, target, outside) = place();
            let error = Lies::default().with("/d", [entry(bad, kind)]).download(&target).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal, "{bad:?}");
            untouched(&outside);
            assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
        }
    }
}

#[tokio::test]
async fn m27_a_name_that_is_link_and_directory_at_once_leads_nowhere() {
    let (_dir, target, outside) = place();
    let lies = Lies::default()
        .with("/d", [link("x", &outside), entry("x", FileKind::Directory), entry("x", FileKind::Directory)])
        .with("/d/x", [entry("f", FileKind::File)]);
    let report = lies.download(&target).await.unwrap();
    untouched(&outside);
    assert_eq!(fs::read(target.join("x/f")).unwrap(), b"bad");
    assert_eq!(report.skipped, 1);
}

#[tokio::test]
async fn m27_links_that_are_there_already_are_not_followed() {
    let (_dir, target, outside) = place();
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("sub")).unwrap();
    let below = || [entry("f", FileKind::File)];
    symlink(outside.join("f"), target.join("f")).unwrap();
    symlink(outside.join("f"), target.join("l")).unwrap();
    symlink("elsewhere", target.join("same")).unwrap();
    fs::write(target.join("file"), "old").unwrap();
    let entries = [
        entry("sub", FileKind::Directory),
        entry("f", FileKind::File),
        link("l", Path::new("elsewhere")),
        link("same", Path::new("elsewhere")),
        link("file", Path::new("elsewhere")),
    ];
    let lies = Lies::default().with("/d", entries).with("/d/sub", below());
    let report = lies.download(&target).await.unwrap();
    untouched(&outside);
    let left: Vec<_> =
        report.skipped_paths.iter().map(|skipped| (skipped.path.as_str(), skipped.reason)).collect();
    assert_eq!(left, ["/d/sub", "/d/f", "/d/l"].map(|path| (path, SkipReason::InTheWay)));
    for path in ["f", "l", "sub"] {
        assert!(fs::read_link(target.join(path)).unwrap().starts_with(&outside), "{path}");
    }
    for path in ["file", "same"] {
        assert_eq!(fs::read_link(target.join(path)).unwrap(), Path::new("elsewhere"));
    }
}

#[tokio::test]
async fn m27_only_regular_files_are_replaced() {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let (_dir, target, _outside) = place();
    fs::create_dir(&target).unwrap();
    let names = ["fifo-there", "dir", "socket", "file"];
    mknodat(CWD, target.join(names[0]), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::create_dir(target.join(names[1])).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(target.join(names[2])).unwrap();
    fs::write(target.join(names[3]), "old").unwrap();
    // A device where one can be made; a fifo stands for it elsewhere.
    let device = mknodat(CWD, target.join("null"), FileType::CharacterDevice, Mode::RWXU, makedev(1, 3));
    device.or_else(|_| mknodat(CWD, target.join("null"), FileType::Fifo, Mode::RWXU, 0)).unwrap();
    let before: Vec<_> = names[..3].iter().chain(&["null"]).map(|name| kind(&target.join(name))).collect();
    for made in [FileKind::File, FileKind::Symlink] {
        let with = |name: &str| match made {
            FileKind::File => entry(name, FileKind::File),
            _ => link(name, Path::new("x")),
        };
        let entries = ["fifo-there", "dir", "socket", "null", "file"].map(with);
        let report = Lies::default().with("/d", entries).download(&target).await.unwrap();
        assert_eq!(report.skipped, 4, "{:?}", report.skipped_paths);
        assert!(report.skipped_paths.iter().all(|skipped| skipped.reason == SkipReason::InTheWay));
        let after: Vec<_> = names[..3].iter().chain(&["null"]).map(|name| kind(&target.join(name))).collect();
        assert_eq!(after, before);
    }
    assert!(fs::symlink_metadata(target.join("file")).unwrap().is_symlink());
}

fn kind(path: &Path) -> (fs::FileType, u64) {
    use std::os::unix::fs::MetadataExt;
    let found = fs::symlink_metadata(path).unwrap();
    (found.file_type(), found.ino())
}

#[tokio::test]
async fn m27_set_id_bits_are_dropped_and_counted_and_the_time_is_kept() {
    let (_dir, target, _outside) = place();
    let report = Lies::default().with("/d", [entry("f", FileKind::File)]).download(&target).await.unwrap();
    // The file, and the directory itself.
    assert_eq!(report.set_id_dropped, 2);
    let found = fs::metadata(target.join("f")).unwrap();
    assert_eq!(found.permissions().mode() & 0o7777, 0o755);
    assert_eq!(found.modified().unwrap(), std::time::UNIX_EPOCH);
}

#[tokio::test]
async fn m27_what_cannot_be_copied_is_counted_and_named() {
    let (_dir, target, _outside) = place();
    let entries = [
        entry("pipe", FileKind::Other),
        entry("not \u{fffd} text", FileKind::Directory),
        link("to", Path::new("bad \u{fffd}")),
        entry("fifo", FileKind::File),
        entry("gone", FileKind::File),
        entry("good", FileKind::File),
    ];
    let report = Lies::default().with("/d", entries).download(&target).await.unwrap();
    assert_eq!((report.files, report.directories, report.bytes, report.skipped), (1, 1, 3, 5));
    let found: BTreeMap<_, _> =
        report.skipped_paths.iter().map(|skipped| (skipped.path.as_str(), skipped.reason)).collect();
    let expected = [
        ("/d/pipe", SkipReason::Kind),
        ("/d/not \u{fffd} text", SkipReason::Name),
        ("/d/to", SkipReason::Name),
        ("/d/fifo", SkipReason::Kind),
        ("/d/gone", SkipReason::Gone),
    ];
    assert_eq!(found, expected.into());
}

#[tokio::test]
async fn m27_a_tree_without_end_is_refused() {
    let (_dir, target, _outside) = place();
    let mut lies = Lies::default();
    let mut path = "/d".to_owned();
    for _ in 0..300 {
        lies = lies.with(&path, [entry("d", FileKind::Directory)]);
        path = format!("{path}/d");
    }
    assert_eq!(lies.download(&target).await.unwrap_err().kind(), ErrorKind::ResourceExhausted);
}

#[tokio::test]
async fn m27_a_file_that_breaks_off_leaves_no_part() {
    let (_dir, target, _outside) = place();
    let entries = [entry("broken", FileKind::File)];
    Lies::default().with("/d", entries).download(&target).await.unwrap_err();
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}
