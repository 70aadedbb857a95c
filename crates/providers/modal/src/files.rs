//! The extension that reads and writes files.

mod stream;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use openlattice::{
    Bytes, Error, ErrorKind, FileContent, FileInfo, FileKind, FileTime, FileWatch, Files, ListOptions,
    Result, SandboxId, Subject, WatchOptions, WriteOptions, async_trait,
};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Directories below directories that a recursive listing follows.
const DEPTH: usize = 256;
/// The most entries of a recursive listing.
const MOST_ENTRIES: usize = 1_000_000;

/// Works through Modal's file tool.
pub(crate) struct ModalFiles {
    account: Arc<Account>,
}

impl ModalFiles {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }
}

#[async_trait]
impl Files for ModalFiles {
    async fn read(&self, id: &SandboxId, path: &Path) -> Result<Bytes> {
        self.account
            .sandbox(id)
            .read_file(text("read file", path)?)
            .await
            .map_err(|error| failed("read file", error))
    }

    async fn write(&self, id: &SandboxId, path: &Path, data: Bytes, options: WriteOptions) -> Result<()> {
        refuse_options(&options)?;
        self.account
            .sandbox(id)
            .write_file(text("write file", path)?, data)
            .await
            .map_err(|error| failed("write file", error))
    }

    async fn read_stream(&self, id: &SandboxId, path: &Path, offset: u64) -> Result<Box<dyn FileContent>> {
        stream::read(&self.account.sandbox(id), text("read file", path)?, offset).await
    }

    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &Path,
        content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()> {
        refuse_options(&options)?;
        stream::write(&self.account.sandbox(id), text("write file", path)?, content).await
    }

    async fn watch(&self, id: &SandboxId, path: &Path, options: WatchOptions) -> Result<Box<dyn FileWatch>> {
        stream::watch(&self.account.sandbox(id), text("watch files", path)?, options).await
    }

    async fn symlink(&self, _id: &SandboxId, _path: &Path, _target: &Path) -> Result<()> {
        Err(Error::unsupported("symlink", "files.symlinks").with_hint("make the link with a command"))
    }

    async fn set_mode(&self, _id: &SandboxId, _path: &Path, _mode: u32) -> Result<()> {
        Err(Error::unsupported("set mode", "files.modes").with_hint("set the mode with a command"))
    }

    async fn set_modified(&self, _id: &SandboxId, _path: &Path, _modified_at: FileTime) -> Result<()> {
        Err(Error::unsupported("set modified", "files.times").with_hint("set the time with a command"))
    }

    async fn list(&self, id: &SandboxId, path: &Path, options: ListOptions) -> Result<Vec<FileInfo>> {
        let ListOptions { recursive } = options;
        let (sandbox, path) = (self.account.sandbox(id), text("list files", path)?);
        if recursive { list_below(&sandbox, path).await } else { directory(&sandbox, path).await }
    }

    async fn stat(&self, id: &SandboxId, path: &Path) -> Result<FileInfo> {
        let entry = self
            .account
            .sandbox(id)
            .stat(text("stat file", path)?)
            .await
            .map_err(|error| failed("stat file", error))?;
        Ok(info(entry))
    }

    async fn mkdir(&self, id: &SandboxId, path: &Path, parents: bool) -> Result<()> {
        let made = self.account.sandbox(id).make_directory(text("make directory", path)?, parents).await;
        made.map_err(|error| failed("make directory", error))
    }

    async fn remove(&self, id: &SandboxId, path: &Path, recursive: bool) -> Result<()> {
        let removed = self.account.sandbox(id).remove_file(text("remove file", path)?, recursive).await;
        removed.map_err(|error| failed("remove file", error))
    }
}

/// The path as the file tool takes it: text, in JSON.
fn text<'a>(operation: &'static str, path: &'a Path) -> Result<&'a str> {
    path.to_str().ok_or_else(|| {
        Error::unsupported(operation, "files.byteNames")
            .with_subject(Subject::Path)
            .with_context("path", path.display())
    })
}

/// Modal's file tool writes files with the mode that they have, or its own, and the time of the writing.
fn refuse_options(options: &WriteOptions) -> Result<()> {
    let WriteOptions { mode, modified_at } = options;
    match (mode, modified_at) {
        (None, None) => Ok(()),
        (Some(_), _) => Err(Error::unsupported("write file", "options.mode")),
        (None, Some(_)) => Err(Error::unsupported("write file", "options.modifiedAt")),
    }
}

async fn list_below(sandbox: &modal::Sandbox, path: &str) -> Result<Vec<FileInfo>> {
    let mut todo = vec![(path.to_owned(), 0)];
    let mut found = Vec::new();
    while let Some((folder, depth)) = todo.pop() {
        let entries = match directory(sandbox, &folder).await {
            // It went away, or became something else, between two looks.
            Err(error) if depth > 0 && error.subject() == Some(Subject::Path) => continue,
            entries => entries?,
        };
        let folders = entries.iter().filter(|entry| entry.kind == FileKind::Directory && depth < DEPTH);
        todo.extend(folders.map(|entry| (entry.path.clone(), depth + 1)));
        found.extend(entries);
        if found.len() > MOST_ENTRIES {
            let text = format!("more than {MOST_ENTRIES} files are below {path:?}");
            return Err(Error::new(ErrorKind::ResourceExhausted, "list files", text)
                .with_subject(Subject::Path)
                .with_hint("list its directories one by one"));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Lists one directory. Paths are made here, from the directory's and the names: what a server says of them could lead in circles.
async fn directory(sandbox: &modal::Sandbox, path: &str) -> Result<Vec<FileInfo>> {
    let entries = sandbox.list_files(path).await.map_err(|error| failed("list files", error))?;
    entries.into_iter().map(|entry| below(path, entry)).collect()
}

fn below(folder: &str, entry: modal::FileEntry) -> Result<FileInfo> {
    let name = &entry.name;
    if matches!(name.as_str(), "" | "." | "..") || name.contains(['/', '\0']) {
        let text = format!("the server lists a file named {name:?} in {folder:?}");
        return Err(Error::new(ErrorKind::Internal, "list files", text));
    }
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    Ok(FileInfo { path, ..info(entry) })
}

fn info(entry: modal::FileEntry) -> FileInfo {
    let kind = match entry.kind {
        modal::FileType::File => FileKind::File,
        modal::FileType::Directory => FileKind::Directory,
        modal::FileType::Symlink => FileKind::Symlink,
        modal::FileType::Other(_) => FileKind::Other,
    };
    FileInfo {
        name: entry.name,
        path: entry.path,
        kind,
        size: entry.size,
        mode: entry.mode & 0o7777,
        owner: entry.owner,
        group: entry.group,
        modified_at: time(entry.modified_time),
        symlink_target: entry.symlink_target,
        name_bytes: None,
        symlink_target_bytes: None,
    }
}

/// Nanoseconds as far as the number tells them: to a quarter of a millionth of a second in this century. A number that is no time
/// becomes the nearest one.
#[expect(clippy::cast_possible_truncation, reason = "a float turns into the nearest integer in range")]
fn time(seconds: f64) -> FileTime {
    let whole = seconds.floor();
    let nanos = ((seconds - whole) * 1e9).round() as i64;
    FileTime::from_unix_nanos(i128::from(whole as i64) * 1_000_000_000 + i128::from(nanos))
}

/// What is not about the path is about the sandbox; one that has ended is not there any more.
fn failed(operation: &'static str, error: modal::Error) -> Error {
    let attempt = Attempt(operation);
    if error.kind() == modal::ErrorKind::FailedPrecondition && error.path().is_none() {
        return Error::new(ErrorKind::NotFound, operation, error.to_string())
            .with_subject(Subject::Sandbox)
            .with_source(error);
    }
    // What the path names is of the wrong type: a device, fifo or socket.
    if error.kind() == modal::ErrorKind::Unsupported && error.path().is_some() {
        return Error::new(ErrorKind::FailedPrecondition, operation, error.to_string())
            .with_subject(Subject::Path)
            .with_source(error);
    }
    attempt.about(Subject::Sandbox)(error)
}

impl fmt::Debug for ModalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalFiles").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> modal::FileEntry {
        modal::FileEntry {
            name: "a".to_owned(),
            path: "/a".to_owned(),
            kind: modal::FileType::File,
            size: 3,
            mode: 0o100_644,
            permissions: "-rw-r--r--".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            modified_time: 1_700_000_000.25,
            symlink_target: None,
        }
    }

    #[test]
    fn m27_an_entry_keeps_its_time_and_permissions() {
        let info = info(entry());
        assert_eq!((info.kind, info.mode), (FileKind::File, 0o644));
        assert_eq!(info.modified_at, FileTime { seconds: 1_700_000_000, nanos: 250_000_000 });
        assert_eq!(time(-0.5), FileTime { seconds: -1, nanos: 500_000_000 });
        let ends = [1e300, f64::INFINITY, -1e300, f64::NAN].map(|hostile| time(hostile).seconds);
        assert_eq!(ends, [i64::MAX, i64::MAX, i64::MIN, 0]);
    }

    #[test]
    fn m27_a_path_is_made_of_the_directory_and_the_name() {
        let named = |name: &str| modal::FileEntry { name: name.to_owned(), path: "/x".to_owned(), ..entry() };
        assert_eq!(below("/", named("a")).unwrap().path, "/a");
        assert_eq!(below("/tmp/b/", named("a")).unwrap().path, "/tmp/b/a");
        for name in ["", ".", "..", "a/b", "/", "a\0"] {
            assert_eq!(below("/tmp", named(name)).unwrap_err().kind(), ErrorKind::Internal, "{name:?}");
        }
    }
}
