//! The extension that reads and writes files.

mod stream;

use std::fmt;
use std::sync::Arc;

use openlattice::{
    Bytes, Error, ErrorKind, FileContent, FileInfo, FileKind, FileWatch, Files, ListOptions, Result,
    SandboxId, Subject, Timestamp, WatchOptions, WriteOptions, async_trait,
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
    async fn read(&self, id: &SandboxId, path: &str) -> Result<Bytes> {
        self.account.sandbox(id).read_file(path).await.map_err(|error| failed("read file", error))
    }

    async fn write(&self, id: &SandboxId, path: &str, data: Bytes, options: WriteOptions) -> Result<()> {
        refuse_mode(options)?;
        self.account.sandbox(id).write_file(path, data).await.map_err(|error| failed("write file", error))
    }

    async fn read_stream(&self, id: &SandboxId, path: &str, offset: u64) -> Result<Box<dyn FileContent>> {
        stream::read(&self.account.sandbox(id), path, offset).await
    }

    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &str,
        content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()> {
        refuse_mode(options)?;
        stream::write(&self.account.sandbox(id), path, content).await
    }

    async fn watch(&self, id: &SandboxId, path: &str, options: WatchOptions) -> Result<Box<dyn FileWatch>> {
        stream::watch(&self.account.sandbox(id), path, options).await
    }

    async fn symlink(&self, _id: &SandboxId, _path: &str, _target: &str) -> Result<()> {
        Err(Error::unsupported("symlink", "files.symlinks").with_hint("make the link with a command"))
    }

    async fn set_mode(&self, _id: &SandboxId, _path: &str, _mode: u32) -> Result<()> {
        Err(Error::unsupported("set mode", "files.modes").with_hint("set the mode with a command"))
    }

    async fn list(&self, id: &SandboxId, path: &str, options: ListOptions) -> Result<Vec<FileInfo>> {
        let ListOptions { recursive } = options;
        let sandbox = self.account.sandbox(id);
        if recursive { list_below(&sandbox, path).await } else { directory(&sandbox, path).await }
    }

    async fn stat(&self, id: &SandboxId, path: &str) -> Result<FileInfo> {
        let entry = self.account.sandbox(id).stat(path).await.map_err(|error| failed("stat file", error))?;
        Ok(info(entry))
    }

    async fn mkdir(&self, id: &SandboxId, path: &str, parents: bool) -> Result<()> {
        let made = self.account.sandbox(id).make_directory(path, parents).await;
        made.map_err(|error| failed("make directory", error))
    }

    async fn remove(&self, id: &SandboxId, path: &str, recursive: bool) -> Result<()> {
        let removed = self.account.sandbox(id).remove_file(path, recursive).await;
        removed.map_err(|error| failed("remove file", error))
    }
}

/// Modal's file tool writes files with the mode that they have, or its own.
fn refuse_mode(options: WriteOptions) -> Result<()> {
    let WriteOptions { mode } = options;
    if mode.is_some() { Err(Error::unsupported("write file", "options.mode")) } else { Ok(()) }
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
        modified_at: timestamp(entry.modified_time),
        symlink_target: entry.symlink_target,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float turns into the nearest integer in range")]
fn timestamp(seconds: f64) -> Timestamp {
    Timestamp::from_unix_millis((seconds * 1000.0).round() as i64)
}

/// What is not about the path is about the sandbox; one that has ended is not there any more.
fn failed(operation: &'static str, error: modal::Error) -> Error {
    let attempt = Attempt(operation);
    if error.kind() == modal::ErrorKind::FailedPrecondition && error.path().is_none() {
        return Error::new(ErrorKind::NotFound, operation, error.to_string())
            .with_subject(Subject::Sandbox)
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
        assert_eq!(info.modified_at.unix_millis(), 1_700_000_000_250);
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
