//! Content of local files: read and written with its holes.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use openlattice::{Bytes, FileContent, Result, async_trait};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::hidden::Hidden;
use super::{Meta, blocking};
use crate::local_error;

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// What a hole is given as, piece by piece: nothing is read or copied for it.
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];
/// Bytes that are left out together where all of them are zero.
const BLOCK: usize = 4096;

/// A local file that is read as content.
#[derive(Debug)]
pub(crate) struct Reading {
    file: Arc<File>,
    path: PathBuf,
    offset: u64,
}

impl Reading {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file: Arc::new(file), path, offset: 0 }
    }

    /// Bytes of the file, as far as is known now.
    pub(crate) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |meta| meta.len())
    }
}

#[async_trait]
impl FileContent for Reading {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        let (file, path, offset) = (Arc::clone(&self.file), self.path.clone(), self.offset);
        let read = move || read(&file, offset).map_err(|error| local_error("read", &path, error));
        let piece = blocking(read).await?;
        self.offset += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// The bytes at an offset; zeros of a hole without reading them.
fn read(file: &File, offset: u64) -> io::Result<Bytes> {
    let data = match rustix::fs::seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data,
        // There is no data any more: a hole to the end, or the end.
        Err(Errno::NXIO) => file.metadata()?.len(),
        // The file system knows of no holes.
        Err(_) => offset,
    };
    if let Some(hole) = data.checked_sub(offset).filter(|hole| *hole > 0) {
        let length = usize::try_from(hole).unwrap_or(usize::MAX).min(ZEROS.len());
        return Ok(Bytes::from_static(&ZEROS[..length]));
    }
    let mut piece = vec![0; PIECE];
    let read = file.read_at(&mut piece, offset)?;
    piece.truncate(read);
    Ok(piece.into())
}

/// A file that is being written: one that gets its name at the end, or what is written into as it is.
#[derive(Debug)]
pub(crate) struct Writing {
    to: To,
    length: u64,
    path: PathBuf,
}

#[derive(Debug)]
enum To {
    Hidden(Hidden),
    /// A device, fifo, socket or terminal, or what standard output leads to.
    Open(File),
}

impl Writing {
    pub(super) fn hidden(hidden: Hidden, path: PathBuf) -> Self {
        Self { to: To::Hidden(hidden), length: 0, path }
    }

    pub(super) fn open(file: File, path: PathBuf) -> Self {
        Self { to: To::Open(file), length: 0, path }
    }

    pub(crate) async fn append(mut self, piece: Bytes) -> Result<Self> {
        blocking(move || match self.take(&piece) {
            Ok(()) => Ok(self),
            Err(error) => Err(local_error("write", &self.path, error)),
        })
        .await
    }

    fn take(&mut self, piece: &[u8]) -> io::Result<()> {
        match &self.to {
            To::Hidden(hidden) => write_data(hidden.file(), piece, self.length)?,
            To::Open(file) => write_through(file, piece)?,
        }
        self.length += piece.len() as u64;
        Ok(())
    }

    /// Sets mode and time and gives the file its name, in place of a regular file that had it.
    pub(crate) async fn finish(mut self, meta: Meta) -> Result<()> {
        blocking(move || self.place(meta).map_err(|e| local_error("write", &self.path, e))).await
    }

    fn place(&mut self, meta: Meta) -> io::Result<()> {
        let To::Hidden(hidden) = &mut self.to else { return Ok(()) };
        // It may end with a hole.
        hidden.file().set_len(self.length)?;
        meta.set(hidden.file())?;
        Ok(hidden.place()?)
    }
}

/// Writes all but blocks of zeros, which stay holes.
fn write_data(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let zero = is_zero(&bytes[..block(bytes.len(), at)]);
        let mut run = 0;
        while run < bytes.len() {
            let next = run + block(bytes.len() - run, at + run as u64);
            if is_zero(&bytes[run..next]) != zero {
                break;
            }
            run = next;
        }
        if !zero {
            file.write_all_at(&bytes[..run], at)?;
        }
        at += run as u64;
        bytes = &bytes[run..];
    }
    Ok(())
}

/// How many of so many bytes at an offset are of its block.
fn block(length: usize, at: u64) -> usize {
    let into = usize::try_from(at % BLOCK as u64).unwrap_or_default();
    length.min(BLOCK - into)
}

fn is_zero(block: &[u8]) -> bool {
    block == &ZEROS[..block.len()]
}

/// Writes to what may be a standard output that somebody else has made non-blocking.
fn write_through(mut file: &File, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(&file, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// Writes pieces, and gives what is in the file then.
    fn written(pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let file = tempfile::tempfile().unwrap();
        let mut at = 0;
        for piece in pieces {
            write_data(&file, piece, at).unwrap();
            at += piece.len() as u64;
        }
        file.set_len(at).unwrap();
        let mut content = vec![7; usize::try_from(at).unwrap()];
        file.read_exact_at(&mut content, 0).unwrap();
        (content, file.metadata().unwrap().blocks() * 512)
    }

    #[test]
    fn m27_zeros_become_holes_whatever_the_pieces_are() {
        let mut whole = vec![0; 40 * BLOCK];
        whole[5 * BLOCK + 1] = 1;
        whole[6 * BLOCK - 1] = 2;
        for piece in [1000, BLOCK, BLOCK + 1, 30 * BLOCK + 17] {
            let (content, used) = written(&whole.chunks(piece).collect::<Vec<_>>());
            assert!(content == whole, "pieces of {piece}");
            assert!(used <= 4 * BLOCK as u64, "pieces of {piece}: {used} bytes on disk");
        }
    }

    #[test]
    fn m27_a_hole_is_given_without_being_read_and_the_end_is_the_files() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"start", 0).unwrap();
        file.write_all_at(b"end", 3 << 20).unwrap();
        file.set_len((5 << 20) + 9).unwrap();
        let (mut offset, mut whole, mut pieces) = (0, Vec::new(), Vec::new());
        loop {
            let piece = read(&file, offset).unwrap();
            if piece.is_empty() {
                break;
            }
            offset += piece.len() as u64;
            pieces.push(piece.as_ptr() == ZEROS.as_ptr());
            whole.extend_from_slice(&piece);
        }
        assert_eq!(
            (whole.len(), &whole[..5], &whole[3 << 20..][..3]),
            ((5 << 20) + 9, &b"start"[..], &b"end"[..])
        );
        assert!(pieces.iter().filter(|hole| **hole).count() >= 3, "{pieces:?}");
    }
}
