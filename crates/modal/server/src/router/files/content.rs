//! A file that was asked for: which one, and its content, read from the sandbox as it is taken and kept nowhere.

use super::{FileExec, failure::Failure};
use crate::status;
use bytes::Bytes;
use openlattice_engine::{FileReader, Files};
use serde::{Deserialize, Serialize};
use tonic::Status;

/// Largest file that is read, as at Modal.
const READ_LIMIT: u64 = 5 << 30;

/// The file that a run read, as it was when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    path: String,
    inode: u64,
    size: u64,
}

impl Origin {
    fn of(path: &str, reader: &FileReader) -> Result<Self, Failure> {
        match reader.size() {
            size if size > READ_LIMIT => Err(Failure::file_too_large()),
            size => Ok(Self { path: path.to_owned(), inode: reader.inode(), size }),
        }
    }
}

/// Opens a file and judges it; its content comes when it is asked for.
pub(super) async fn open(files: &Files, path: &str, exec: &FileExec) -> Result<(), Failure> {
    let reader = files.open(path, 0).await.map_err(|error| Failure::engine(&error, false))?;
    exec.set_origin(Origin::of(path, &reader)?).await.map_err(|error| Failure::internal(&error))
}

/// The content from an offset on.
pub(in crate::router) struct Content {
    reader: FileReader,
    left: u64,
}

impl Content {
    /// Opens the file of a run once more; `None` when it read none. At offset 0 nobody has seen any of it, and what has the path by
    /// now is as good.
    pub(in crate::router) async fn open(
        exec: &FileExec,
        files: &Files,
        offset: u64,
    ) -> Result<Option<Self>, Status> {
        let Some(known) = exec.origin() else { return Ok(None) };
        let reader = files.open(&known.path, offset).await.map_err(status::from_engine)?;
        let now = Origin::of(&known.path, &reader)
            .map_err(|_| Status::failed_precondition("the file became too large to be read"))?;
        if now.inode != known.inode && offset > 0 {
            let path = &known.path;
            return Err(Status::failed_precondition(format!(
                "{path:?} was replaced: read it from its start"
            )));
        }
        let size = if offset > 0 { known.size } else { now.size };
        if now != known && offset == 0 {
            exec.set_origin(now).await.map_err(|error| Status::internal(format!("kept output: {error}")))?;
        }
        Ok(Some(Self { reader, left: size.saturating_sub(offset) }))
    }

    /// The next bytes; `None` at the end that the file had when it was opened.
    pub(in crate::router) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some(mut piece) = self.reader.next().await.map_err(status::from_engine)? else {
            return Err(Status::failed_precondition("the file became shorter while it was read"));
        };
        piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= piece.len() as u64;
        Ok(Some(piece))
    }
}
