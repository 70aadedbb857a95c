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
        let mut found = directory(&sandbox, path).await?;
        if recursive {
            let mut pending = directories(&found);
            while let Some(path) = pending.pop() {
                let below = directory(&sandbox, &path).await?;
                pending.extend(directories(&below));
                found.extend(below);
            }
            found.sort_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(found)
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

async fn directory(sandbox: &modal::Sandbox, path: &str) -> Result<Vec<FileInfo>> {
    let entries = sandbox.list_files(path).await.map_err(|error| failed("list files", error))?;
    Ok(entries.into_iter().map(info).collect())
}

fn directories(entries: &[FileInfo]) -> Vec<String> {
    entries.iter().filter(|entry| entry.kind == FileKind::Directory).map(|entry| entry.path.clone()).collect()
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

    #[test]
    fn m27_an_entry_keeps_its_time_and_permissions() {
        let entry = modal::FileEntry {
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
        };
        let info = info(entry);
        assert_eq!((info.kind, info.mode), (FileKind::File, 0o644));
        assert_eq!(info.modified_at.unix_millis(), 1_700_000_000_250);
    }
}
