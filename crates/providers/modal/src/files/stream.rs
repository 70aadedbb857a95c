//! Content by pieces, and watches.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use openlattice::{
    Bytes, FileContent, FileEvent, FileEventKind, FileWatch, Result, WatchOptions, async_trait,
};
use openlattice_modal_client as modal;

use super::failed;

/// The longest piece that a reader gives, in bytes.
const PIECE: usize = 1 << 20;

/// A file that is read.
#[derive(Debug)]
struct Content {
    reader: modal::FileReader,
    rest: Bytes,
}

pub(super) async fn read(sandbox: &modal::Sandbox, path: &str, offset: u64) -> Result<Box<dyn FileContent>> {
    let reader = sandbox.read_file_stream(path, offset).await.map_err(|error| failed("read file", error))?;
    Ok(Box::new(Content { reader, rest: Bytes::new() }))
}

#[async_trait]
impl FileContent for Content {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if self.rest.is_empty() {
            let next = self.reader.read().await.map_err(|error| failed("read file", error))?;
            self.rest = next.unwrap_or_default();
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Ok((!piece.is_empty()).then_some(piece))
    }
}

pub(super) async fn write(sandbox: &modal::Sandbox, path: &str, content: Box<dyn FileContent>) -> Result<()> {
    // Kept as it is, to be the caller's again.
    let own = Mutex::new(None);
    let next = |mut content: Box<dyn FileContent>| {
        let own = &own;
        async move {
            match content.next_chunk().await {
                Ok(piece) => piece.map(|piece| (Ok(piece), content)),
                Err(error) => {
                    let text = error.message().to_owned();
                    *own.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Some((Err(text), content))
                }
            }
        }
    };
    let pieces = Box::pin(stream::unfold(content, next));
    let written = sandbox.write_file_stream(path, pieces).await;
    match own.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => written.map_err(|error| failed("write file", error)),
    }
}

/// A watch.
#[derive(Debug)]
struct Watch(modal::FileWatch);

pub(super) async fn watch(
    sandbox: &modal::Sandbox,
    path: &str,
    options: WatchOptions,
) -> Result<Box<dyn FileWatch>> {
    let WatchOptions { recursive, filter, timeout_seconds } = options;
    let spec = modal::WatchSpec {
        recursive,
        filter: filter.map(|kinds| kinds.into_iter().map(to_client).collect()),
        timeout: timeout_seconds.map(|seconds| Duration::from_secs(seconds.into())),
    };
    let watch = sandbox.watch_files(path, &spec).await.map_err(|error| failed("watch files", error))?;
    Ok(Box::new(Watch(watch)))
}

#[async_trait]
impl FileWatch for Watch {
    async fn next_event(&mut self) -> Result<Option<FileEvent>> {
        let event = self.0.next().await.map_err(|error| failed("watch files", error))?;
        Ok(event.map(|event| FileEvent { kind: from_client(event.kind), paths: event.paths }))
    }
}

fn to_client(kind: FileEventKind) -> modal::FileEventKind {
    match kind {
        FileEventKind::Access => modal::FileEventKind::Access,
        FileEventKind::Create => modal::FileEventKind::Create,
        FileEventKind::Modify => modal::FileEventKind::Modify,
        FileEventKind::Remove => modal::FileEventKind::Remove,
        FileEventKind::Rename => modal::FileEventKind::Rename,
        FileEventKind::RenameFrom => modal::FileEventKind::RenameFrom,
        FileEventKind::RenameTo => modal::FileEventKind::RenameTo,
        FileEventKind::Unknown => modal::FileEventKind::Unknown,
    }
}

fn from_client(kind: modal::FileEventKind) -> FileEventKind {
    let same = |ours: &FileEventKind| to_client(*ours) == kind;
    FileEventKind::ALL.into_iter().find(same).unwrap_or(FileEventKind::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_way_there_and_back() {
        for kind in FileEventKind::ALL {
            assert_eq!(from_client(to_client(kind)), kind);
        }
    }
}
