//! The files of sandboxes.

mod stream;

use std::path::{Path, PathBuf};

use openlattice::{
    Bytes, Error, ErrorKind, FileContent, FileInfo, FileKind, FileTime, FileWatch, Files, ListOptions,
    Result, SandboxId, Subject, WatchOptions, WriteOptions, async_trait,
};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::provider::parse;
use crate::provision::require_running;

/// Directories below directories that a recursive listing follows.
const DEPTH: usize = 256;

/// Reads and writes through the engine.
#[derive(Clone, Debug)]
pub(crate) struct LocalFiles {
    engine: Engine,
}

impl LocalFiles {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Checks id and path, and gives the engine's files of the sandbox.
    fn of(&self, attempt: Attempt, id: &SandboxId, path: &Path) -> Result<engine::Files> {
        if !path.has_root() || path.as_os_str().as_encoded_bytes().contains(&0) {
            let error = Error::invalid(attempt.0, "path", format_args!("{path:?} is not an absolute path"));
            return Err(error.with_subject(Subject::Path));
        }
        let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
        Ok(self.engine.files(&known))
    }

    /// Says what was missing: the engine names a sandbox and a path with the same kinds.
    async fn explained(&self, attempt: Attempt, id: &SandboxId, path: &Path, error: engine::Error) -> Error {
        if let Err(gone) = require_running(&self.engine, attempt, id).await {
            return gone;
        }
        let wrong_type = error.kind() == engine::ErrorKind::Unsupported;
        let translated = if wrong_type {
            Error::new(ErrorKind::FailedPrecondition, attempt.0, error.to_string())
                .with_subject(Subject::Path)
        } else {
            attempt.on(Subject::Path)(error)
        };
        translated.with_context("path", path.display())
    }

    async fn list_one(&self, id: &SandboxId, path: &Path) -> Result<Vec<FileInfo>> {
        let attempt = Attempt("list");
        match self.of(attempt, id, path)?.list(path).await {
            Ok(entries) => Ok(entries.into_iter().map(file_info).collect()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn list_below(&self, id: &SandboxId, path: &Path) -> Result<Vec<FileInfo>> {
        let mut todo: Vec<(PathBuf, usize)> = vec![(path.to_owned(), 0)];
        let mut found = Vec::new();
        while let Some((folder, depth)) = todo.pop() {
            let entries = match self.list_one(id, &folder).await {
                // It went away, or became something else, between two looks.
                Err(error) if depth > 0 && error.subject() == Some(Subject::Path) => continue,
                entries => entries?,
            };
            let folders = entries.iter().filter(|entry| entry.kind == FileKind::Directory && depth < DEPTH);
            todo.extend(folders.map(|entry| (folder.join(entry.os_name()), depth + 1)));
            found.extend(entries);
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }
}

fn file_info(stat: engine::FileStat) -> FileInfo {
    let kind = match stat.kind {
        engine::FileKind::File => FileKind::File,
        engine::FileKind::Directory => FileKind::Directory,
        engine::FileKind::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    };
    let info = FileInfo {
        name: String::new(),
        path: stat.path.to_string_lossy().into_owned(),
        kind,
        size: stat.size,
        mode: stat.mode,
        owner: stat.uid.to_string(),
        group: stat.gid.to_string(),
        modified_at: stat.modified.into(),
        symlink_target: None,
        name_bytes: None,
        symlink_target_bytes: None,
    };
    let info = info.with_os_name(&stat.name);
    match stat.symlink_target {
        Some(target) => info.with_os_symlink_target(&target),
        None => info,
    }
}

/// What the engine is asked to give a written file.
fn attributes(options: WriteOptions) -> engine::FileAttributes {
    let WriteOptions { mode, modified_at } = options;
    engine::FileAttributes { mode, modified: modified_at.map(Into::into) }
}

#[async_trait]
impl Files for LocalFiles {
    async fn read(&self, id: &SandboxId, path: &Path) -> Result<Bytes> {
        let attempt = Attempt("read");
        match self.of(attempt, id, path)?.read(path).await {
            Ok(content) => Ok(content),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn write(&self, id: &SandboxId, path: &Path, data: Bytes, options: WriteOptions) -> Result<()> {
        let attempt = Attempt("write");
        match self.of(attempt, id, path)?.write(path, data, attributes(options)).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn read_stream(&self, id: &SandboxId, path: &Path, offset: u64) -> Result<Box<dyn FileContent>> {
        stream::read(self, id, path, offset).await
    }

    async fn write_stream(
        &self,
        id: &SandboxId,
        path: &Path,
        content: Box<dyn FileContent>,
        options: WriteOptions,
    ) -> Result<()> {
        stream::write(self, id, path, content, options).await
    }

    async fn watch(&self, id: &SandboxId, path: &Path, options: WatchOptions) -> Result<Box<dyn FileWatch>> {
        stream::watch(self, id, path, options).await
    }

    async fn symlink(&self, id: &SandboxId, path: &Path, target: &Path) -> Result<()> {
        let attempt = Attempt("symlink");
        match self.of(attempt, id, path)?.symlink(path, target).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn set_mode(&self, id: &SandboxId, path: &Path, mode: u32) -> Result<()> {
        let attempt = Attempt("set mode");
        match self.of(attempt, id, path)?.set_mode(path, mode).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn set_modified(&self, id: &SandboxId, path: &Path, modified_at: FileTime) -> Result<()> {
        let attempt = Attempt("set modified");
        match self.of(attempt, id, path)?.set_modified(path, modified_at.into()).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn list(&self, id: &SandboxId, path: &Path, options: ListOptions) -> Result<Vec<FileInfo>> {
        let ListOptions { recursive } = options;
        if recursive { self.list_below(id, path).await } else { self.list_one(id, path).await }
    }

    async fn stat(&self, id: &SandboxId, path: &Path) -> Result<FileInfo> {
        let attempt = Attempt("stat");
        match self.of(attempt, id, path)?.stat(path).await {
            Ok(stat) => Ok(file_info(stat)),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn mkdir(&self, id: &SandboxId, path: &Path, parents: bool) -> Result<()> {
        let attempt = Attempt("mkdir");
        match self.of(attempt, id, path)?.mkdir(path, parents).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }

    async fn remove(&self, id: &SandboxId, path: &Path, recursive: bool) -> Result<()> {
        let attempt = Attempt("remove");
        match self.of(attempt, id, path)?.remove(path, recursive).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(attempt, id, path, error).await),
        }
    }
}
