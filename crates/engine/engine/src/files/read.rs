//! Reading files.

use super::{Files, open::open_file, write::ZEROS};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::SandboxId,
};
use bytes::Bytes;
use rustix::{fs::SeekFrom, io::Errno};
use std::{
    fs::File,
    io::Read,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest file that is read whole.
const MAX_WHOLE: u64 = 1 << 30;
/// Longest single read: what a caller asks for is not yet what the file has.
const MAX_PIECE: usize = 64 << 20;
/// Length of a reader's pieces.
const PIECE: usize = 1 << 20;

/// Reads one file by pieces, whatever its name means meanwhile.
///
/// It keeps the file, and with it the sandbox's file system, from being freed by the kernel until it is dropped.
#[derive(Debug)]
pub struct FileReader {
    engine: Engine,
    id: SandboxId,
    path: PathBuf,
    file: Arc<File>,
    size: u64,
    inode: u64,
    offset: u64,
}

impl Files {
    /// Opens a file to read it by pieces from `offset` on.
    ///
    /// # Errors
    /// As listed at [`Files`].
    pub async fn open(&self, path: impl AsRef<Path>, offset: u64) -> Result<FileReader> {
        let path = path.as_ref().to_owned();
        let asked = path.clone();
        let open = move |root: OwnedFd| {
            let file = open_file(&root, &asked)?;
            let known = file.metadata().map_err(|e| Error::io(format!("cannot read {asked:?}"), e))?;
            Ok((file, known.len(), known.ino()))
        };
        let (file, size, inode) = self.with_root(open).await?;
        let (engine, id) = (self.engine.clone(), self.id.clone());
        Ok(FileReader { engine, id, path, file: Arc::new(file), size, inode, offset })
    }
}

impl FileReader {
    /// Bytes of the file when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its number in its file system, which tells it from another file of the same path.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The next piece, of at most 1 MiB; `None` at the end. A hole is zeros that nobody reads. Cancel-safe.
    ///
    /// # Errors
    /// `FailedPrecondition` when the sandbox has ended.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let (file, path, id, offset) =
            (Arc::clone(&self.file), self.path.clone(), self.id.clone(), self.offset);
        let read = self.engine.blocking(move |inner| {
            inner.row(&id)?.require_running()?;
            match hole(&file, &path, offset)? {
                Some(zeros) => Ok(zeros),
                None => read_piece(&file, &path, offset, PIECE),
            }
        });
        let piece = read.await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// The zeros at `offset` where the file has a hole there.
fn hole(file: &File, path: &Path, offset: u64) -> Result<Option<Bytes>> {
    let data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data,
        // No data any more: a hole to the end, or the end.
        Err(Errno::NXIO) => {
            file.metadata().map_err(|e| Error::io(format!("cannot examine {path:?}"), e))?.len()
        }
        // The file system knows of no holes, or the offset is beyond what a file can be.
        Err(_) => offset,
    };
    let length = data.saturating_sub(offset).min(PIECE as u64);
    let length = usize::try_from(length).unwrap_or_default();
    Ok((length > 0).then(|| Bytes::from_static(&ZEROS[..length])))
}

pub(super) fn read_at(root: &OwnedFd, path: &Path, offset: u64, len: usize) -> Result<Bytes> {
    read_piece(&open_file(root, path)?, path, offset, len.min(MAX_PIECE))
}

fn read_piece(file: &File, path: &Path, offset: u64, len: usize) -> Result<Bytes> {
    let failed = |e| Error::io(format!("cannot read {path:?}"), e);
    let mut bytes = Vec::new();
    let mut piece = vec![0; len.min(256 << 10)];
    while bytes.len() < len {
        let Some(at) = offset.checked_add(bytes.len() as u64).filter(|at| i64::try_from(*at).is_ok()) else {
            break;
        };
        let wanted = piece.len().min(len - bytes.len());
        match file.read_at(&mut piece[..wanted], at).map_err(failed)? {
            0 => break,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
    Ok(bytes.into())
}

pub(super) fn read(root: &OwnedFd, path: &Path) -> Result<Bytes> {
    let file = open_file(root, path)?;
    let bytes = read_limited(file, path, MAX_WHOLE + 1)?;
    if bytes.len() as u64 > MAX_WHOLE {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("{path:?} is longer than {MAX_WHOLE} bytes: read it by pieces"),
        ));
    }
    Ok(bytes.into())
}

/// The first bytes of a small file.
pub(crate) fn read_start(root: &OwnedFd, path: &str, limit: usize) -> Result<Vec<u8>> {
    let path = Path::new(path);
    read_limited(open_file(root, path)?, path, limit as u64)
}

fn read_limited(file: File, path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|e| Error::io(format!("cannot read {path:?}"), e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};

    #[test]
    fn pieces_end_with_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "0123456789").unwrap();
        let root = root(dir.path());
        assert_eq!(read_at(&root, Path::new("/f"), 2, 3).unwrap(), "234");
        assert_eq!(read_at(&root, Path::new("/f"), 8, 100).unwrap(), "89");
        assert_eq!(read_at(&root, Path::new("/f"), 50, 1).unwrap(), "");
        assert_eq!(read_at(&root, Path::new("/f"), u64::MAX, 1).unwrap(), "");
        assert_eq!(read(&root, Path::new("/f")).unwrap(), "0123456789");
        assert_eq!(read_start(&root, "/f", 4).unwrap(), b"0123");
    }
}
