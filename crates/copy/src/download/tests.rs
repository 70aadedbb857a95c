//! A node that lies about its files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;

use openlattice::{
    Bytes, FileContent, FileWatch, Files, ListOptions, SandboxId, Timestamp, WatchOptions, WriteOptions,
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
        modified_at: Timestamp::from_unix_millis(0),
        symlink_target: None,
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
        copy(files, "/d", local, &CopyOptions::default()).await
    }
}

fn no<T>() -> Result<T> {
    Err(Error::unsupported("test", "test"))
}

#[async_trait]
impl Files for Lies {
    async fn read(&self, _: &SandboxId, _: &str) -> Result<Bytes> {
        no()
    }

    async fn write(&self, _: &SandboxId, _: &str, _: Bytes, _: WriteOptions) -> Result<()> {
        no()
    }

    async fn read_stream(&self, _: &SandboxId, path: &str, _: u64) -> Result<Box<dyn FileContent>> {
        let about = |kind| Err(Error::new(kind, "test", "not this one").with_subject(Subject::Path));
        match path.rsplit('/').next() {
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
        _: &str,
        _: Box<dyn FileContent>,
        _: WriteOptions,
    ) -> Result<()> {
        no()
    }

    async fn watch(&self, _: &SandboxId, _: &str, _: WatchOptions) -> Result<Box<dyn FileWatch>> {
        no()
    }

    async fn symlink(&self, _: &SandboxId, _: &str, _: &str) -> Result<()> {
        no()
    }

    async fn set_mode(&self, _: &SandboxId, _: &str, _: u32) -> Result<()> {
        no()
    }

    async fn list(&self, _: &SandboxId, path: &str, _: ListOptions) -> Result<Vec<FileInfo>> {
        Ok(self.0.get(path).cloned().unwrap_or_default())
    }

    async fn stat(&self, _: &SandboxId, _: &str) -> Result<FileInfo> {
        Ok(entry("d", FileKind::Directory))
    }

    async fn mkdir(&self, _: &SandboxId, _: &str, _: bool) -> Result<()> {
        no()
    }

    async fn remove(&self, _: &SandboxId, _: &str, _: bool) -> Result<()> {
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
    lies.download(&target).await.unwrap_err();
    untouched(&outside);
    assert_eq!(fs::read(target.join("x/f")).unwrap(), b"bad");
}

#[tokio::test]
async fn m27_links_that_are_there_already_are_not_followed() {
    let (_dir, target, outside) = place();
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("sub")).unwrap();
    let below = || [entry("f", FileKind::File)];
    let folder = Lies::default().with("/d", [entry("sub", FileKind::Directory)]).with("/d/sub", below());
    assert_eq!(folder.download(&target).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    untouched(&outside);
    // A file takes the place of a link, and not of what that leads to; so does a link.
    symlink(outside.join("f"), target.join("f")).unwrap();
    symlink(outside.join("f"), target.join("l")).unwrap();
    let files = [entry("f", FileKind::File), link("l", Path::new("elsewhere"))];
    Lies::default().with("/d", files).download(&target).await.unwrap();
    untouched(&outside);
    assert!(fs::symlink_metadata(target.join("f")).unwrap().is_file());
    assert_eq!(fs::metadata(target.join("f")).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_link(target.join("l")).unwrap(), Path::new("elsewhere"));
}

#[tokio::test]
async fn m27_what_cannot_be_copied_is_counted_and_named() {
    let (_dir, target, _outside) = place();
    let entries = [
        entry("pipe", FileKind::Other),
        entry("line\nbreak", FileKind::File),
        entry("not \u{fffd} text", FileKind::Directory),
        link("to", Path::new("bad\u{1b}[2J")),
        entry("fifo", FileKind::File),
        entry("gone", FileKind::File),
        entry("good", FileKind::File),
    ];
    let report = Lies::default().with("/d", entries).download(&target).await.unwrap();
    assert_eq!((report.files, report.directories, report.bytes, report.skipped), (1, 1, 3, 6));
    let found: BTreeMap<_, _> =
        report.skipped_paths.iter().map(|skipped| (skipped.path.as_str(), skipped.reason)).collect();
    let expected = [
        ("/d/pipe", SkipReason::Kind),
        ("/d/line\nbreak", SkipReason::Name),
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
        path = join(&path, "d");
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
