//! Copies of single files, to and from this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio_stream::wrappers::ReceiverStream;

use crate::error::{Error, Result};
use crate::sandbox::Sandbox;

/// Bytes of a local file read at once.
const PIECE: usize = 1 << 20;

impl Sandbox {
    /// Copies a file of this machine into the sandbox, whatever its size; see [`write_file_stream`](Self::write_file_stream).
    ///
    /// # Errors
    /// [`Local`](crate::ErrorKind::Local) with the cause when the local file cannot be read; else as
    /// [`write_file`](Self::write_file).
    pub async fn copy_from_local(&self, local: impl AsRef<Path>, path: &str) -> Result<()> {
        let local = local.as_ref().to_owned();
        let failed = {
            let local = local.clone();
            move |error| cannot("read", &local, error)
        };
        let mut file = blocking(move || File::open(&local)).await.map_err(&failed)?;
        let (sender, pieces) = tokio::sync::mpsc::channel(1);
        // Ends when the file does, or when nobody takes the pieces any more.
        tokio::task::spawn_blocking(move || {
            while let Some(piece) = read_piece(&mut file).transpose() {
                let stop = piece.is_err();
                if sender.blocking_send(piece).is_err() || stop {
                    return;
                }
            }
        });
        self.write_file_stream(path, ReceiverStream::new(pieces)).await
    }

    /// Copies a file of the sandbox to this machine, whatever its size. An existing one is replaced in one step: when the future
    /// fails or is dropped, nothing has changed under that name.
    ///
    /// # Errors
    /// [`Local`](crate::ErrorKind::Local) with the cause when the local file cannot be written; else as
    /// [`read_file`](Self::read_file).
    pub async fn copy_to_local(&self, path: &str, local: impl AsRef<Path>) -> Result<()> {
        let local = local.as_ref().to_owned();
        let failed = {
            let local = local.clone();
            move |error| cannot("write", &local, error)
        };
        let mut reader = self.read_file_stream(path, 0).await?;
        // The first piece before anything local: it tells whether there is such a file.
        let mut piece = reader.read().await?;
        let target = local.clone();
        let mut temporary = blocking(move || Temporary::beside(&target)).await.map_err(&failed)?;
        while let Some(bytes) = piece {
            temporary = blocking(move || temporary.append(&bytes)).await.map_err(&failed)?;
            piece = reader.read().await?;
        }
        blocking(move || temporary.rename(&local)).await.map_err(&failed)
    }
}

fn cannot(what: &str, local: &Path, error: io::Error) -> Error {
    Error::local(format!("cannot {what} {}", local.display()), error)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn read_piece(file: &mut File) -> io::Result<Option<Bytes>> {
    let mut piece = Vec::new();
    file.take(PIECE as u64).read_to_end(&mut piece)?;
    Ok((!piece.is_empty()).then(|| piece.into()))
}

/// A file under a name of its own, removed unless it is renamed.
struct Temporary {
    file: File,
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn beside(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(|| io::Error::other("the path does not end in a name"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}", uuid::Uuid::new_v4().simple()));
        let path = target.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { file, path, renamed: false })
    }

    fn append(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.file.write_all(bytes)?;
        Ok(self)
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // Nobody is left to tell.
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m27_an_unfinished_copy_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("f");
        fs::write(&target, "old").unwrap();
        drop(Temporary::beside(&target).unwrap().append(b"half").unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"old");
        Temporary::beside(&target).unwrap().append(b"new").unwrap().rename(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(Temporary::beside(Path::new("/")).is_err());
    }
}
