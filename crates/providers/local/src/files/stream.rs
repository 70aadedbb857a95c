//! Content by pieces, and watches.

use std::path::{Path, PathBuf};
use std::time::Duration;

use openlattice::{
    Bytes, Error, FileContent, FileEvent, FileEventKind, FileWatch, Result, SandboxId, WatchOptions,
    WriteOptions, async_trait,
};
use openlattice_engine as engine;
use tokio::sync::mpsc;

use super::{LocalFiles, attributes};
use crate::error::Attempt;

/// Pieces of content that wait to be written.
const PIECES: usize = 2;

/// Something of the engine's that is read bit by bit, and what its errors are about.
#[derive(Debug)]
struct Of<T> {
    inner: T,
    files: LocalFiles,
    attempt: Attempt,
    id: SandboxId,
    path: PathBuf,
}

impl<T> Of<T> {
    async fn explained(&self, error: engine::Error) -> Error {
        self.files.explained(self.attempt, &self.id, &self.path, error).await
    }
}

pub(super) async fn read(
    files: &LocalFiles,
    id: &SandboxId,
    path: &Path,
    offset: u64,
) -> Result<Box<dyn FileContent>> {
    let attempt = Attempt("read");
    let inner = match files.of(attempt, id, path)?.open(path, offset).await {
        Ok(reader) => reader,
        Err(error) => return Err(files.explained(attempt, id, path, error).await),
    };
    Ok(Box::new(Of { inner, files: files.clone(), attempt, id: id.clone(), path: path.to_owned() }))
}

#[async_trait]
impl FileContent for Of<engine::FileReader> {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        match self.inner.next().await {
            Ok(piece) => Ok(piece),
            Err(error) => Err(self.explained(error).await),
        }
    }
}

pub(super) async fn write(
    files: &LocalFiles,
    id: &SandboxId,
    path: &Path,
    mut content: Box<dyn FileContent>,
    options: WriteOptions,
) -> Result<()> {
    let attempt = Attempt("write");
    let engine_files = files.of(attempt, id, path)?;
    let (sender, pieces) = mpsc::channel(PIECES);
    let (written, handed) = tokio::join!(
        engine_files.write_from(path, pieces, attributes(options)),
        hand_over(&mut *content, sender)
    );
    // What the content itself says is the better reason.
    handed?;
    match written {
        Ok(()) => Ok(()),
        Err(error) => Err(files.explained(attempt, id, path, error).await),
    }
}

/// Hands pieces over, and an empty one at their end. Stops when nobody takes them any more, which says why itself.
async fn hand_over(content: &mut dyn FileContent, sender: mpsc::Sender<Bytes>) -> Result<()> {
    loop {
        let piece = tokio::select! {
            piece = content.next_chunk() => piece?.filter(|piece| !piece.is_empty()),
            () = sender.closed() => return Ok(()),
        };
        let last = piece.is_none();
        if sender.send(piece.unwrap_or_default()).await.is_err() || last {
            return Ok(());
        }
    }
}

pub(super) async fn watch(
    files: &LocalFiles,
    id: &SandboxId,
    path: &Path,
    options: WatchOptions,
) -> Result<Box<dyn FileWatch>> {
    let attempt = Attempt("watch");
    let WatchOptions { recursive, filter, timeout_seconds } = options;
    let spec = engine::WatchSpec {
        recursive,
        kinds: filter.map(|kinds| kinds.into_iter().map(to_engine).collect()),
        timeout: timeout_seconds.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let inner = match files.of(attempt, id, path)?.watch(path, spec).await {
        Ok(watch) => watch,
        Err(error) => return Err(files.explained(attempt, id, path, error).await),
    };
    Ok(Box::new(Of { inner, files: files.clone(), attempt, id: id.clone(), path: path.to_owned() }))
}

#[async_trait]
impl FileWatch for Of<engine::FileWatch> {
    async fn next_event(&mut self) -> Result<Option<FileEvent>> {
        match self.inner.next().await {
            Ok(event) => {
                Ok(event.map(|event| FileEvent { kind: from_engine(event.kind), paths: event.paths }))
            }
            Err(error) => Err(self.explained(error).await),
        }
    }
}

fn to_engine(kind: FileEventKind) -> engine::FileEventKind {
    match kind {
        FileEventKind::Access => engine::FileEventKind::Access,
        FileEventKind::Create => engine::FileEventKind::Create,
        FileEventKind::Modify => engine::FileEventKind::Modify,
        FileEventKind::Remove => engine::FileEventKind::Remove,
        FileEventKind::Rename => engine::FileEventKind::Rename,
        FileEventKind::RenameFrom => engine::FileEventKind::RenameFrom,
        FileEventKind::RenameTo => engine::FileEventKind::RenameTo,
        FileEventKind::Unknown => engine::FileEventKind::Unknown,
    }
}

fn from_engine(kind: engine::FileEventKind) -> FileEventKind {
    let same = |ours: &FileEventKind| to_engine(*ours) == kind;
    FileEventKind::ALL.into_iter().find(same).unwrap_or(FileEventKind::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_way_there_and_back() {
        for kind in FileEventKind::ALL {
            assert_eq!(from_engine(to_engine(kind)), kind);
        }
    }
}
