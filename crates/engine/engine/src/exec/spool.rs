//! An output spool as its readers have it: `protocol::readers` says how they and the agent see one another.
//!
//! How much was taken off the disk is the length of a file beside the spool, in units of [`UNIT`]: a length is metadata as the hole is, so
//! that even a crash of the machine leaves no hole that the length does not tell of.

use super::folder;
use crate::{
    config::EngineConfig,
    error::{Error, ErrorKind, Result},
    exec::OutputStream,
    id::ExecId,
};
use bytes::Bytes;
use openlattice_sys as sys;
use rustix::fs::FallocateFlags;
use std::{
    fs::File,
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Freed bytes are counted in these.
const UNIT: u64 = 64 << 10;

/// How much of an output that grows is on disk while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Bytes that stay behind a reader.
    keep: u64,
    /// Bytes from which on the agent waits for readers; 0: never.
    pub(super) hold: u64,
    /// Bytes that are taken off the disk at once.
    step: u64,
}

impl Window {
    /// What a configuration asks for, as far as its quota has room for it.
    pub(super) fn of(config: &EngineConfig) -> Self {
        let whole = |bytes: u64| bytes / UNIT * UNIT;
        let quota = if config.output_quota == 0 { u64::MAX } else { config.output_quota };
        let keep = whole(config.output_window.min(quota / 2));
        if keep == 0 {
            return Self { keep: u64::MAX, hold: 0, step: UNIT };
        }
        let hold = keep.saturating_add((keep / 2).max(2 * UNIT)).min(quota);
        Self { keep, hold, step: whole((hold - keep) / 8).max(UNIT) }
    }
}

/// One reader's hold on a spool, given up when it is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    path: PathBuf,
    window: Window,
    place: Mutex<Place>,
}

/// Where the reader is.
#[derive(Debug)]
struct Place {
    /// Its lock begins here; nothing when the file system has no locks, or no holes.
    locked: Option<u64>,
    /// What lies below this reader has freed.
    freed: u64,
    /// The same file, open for that.
    writable: Option<File>,
}

impl Spool {
    /// Opens a spool to be read from `offset` on. `OutOfRange` when that is off the disk.
    pub(super) fn open(
        folder: &Path,
        exec: &ExecId,
        stream: OutputStream,
        offset: u64,
        config: &EngineConfig,
    ) -> Result<Self> {
        let name = stream.as_str();
        let (file, path) = (folder::open(folder, name, exec)?, folder.join(name));
        // The lock before the look: what is there then stays.
        let locked = sys::lock_shared_from(&file, offset).is_ok().then_some(offset);
        let freed = freed_below(&freed_path(&path))?;
        // What tells of holes goes after the spool itself: while that has its name, the answer is true.
        if !std::fs::metadata(&path)
            .is_ok_and(|named| file.metadata().is_ok_and(|own| own.ino() == named.ino()))
        {
            return Err(folder::unknown(exec));
        }
        match freed {
            first if offset < first => Err(Error::new(
                ErrorKind::OutOfRange,
                format!(
                    "{name} of the command {exec} from byte {offset} on: the first byte that is still there is {first}, \
                     what was before it was read and freed"
                ),
            )),
            _ => {
                let place = Mutex::new(Place { locked, freed: 0, writable: None });
                Ok(Self { file, path, window: Window::of(config), place })
            }
        }
    }

    /// Bytes that came so far.
    pub(super) fn size(&self) -> Result<u64> {
        self.file.metadata().map(|file| file.len()).map_err(failed)
    }

    /// `length` bytes from `offset` on, or as many as there are.
    pub(super) fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        let mut bytes = vec![0; usize::try_from(length).expect("at most one piece")];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64).map_err(failed)? {
                0 => break,
                read => filled += read,
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    /// Notes that a reader of an output that grows, and of which `size` bytes came so far, has got to `offset`: what lies well behind it is
    /// freed unless another reader needs it, and the agent sees how far it came.
    pub(super) fn reached(&self, offset: u64, size: u64) {
        if size <= self.window.keep {
            return;
        }
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match place.locked {
            Some(before) if before < offset => {
                place.locked = Some(sys::unlock_below(&self.file, offset).map_or(before, |()| offset));
            }
            Some(_) => {}
            None => return,
        }
        let end = offset.saturating_sub(self.window.keep) / UNIT * UNIT;
        if end >= place.freed.saturating_add(self.window.step) && self.free(&mut place, end).is_err() {
            // No holes here: whoever cannot free anything must not make the command wait.
            place.locked = None;
            drop(sys::unlock(&self.file));
        }
    }

    /// Takes everything below `end` off the disk, unless a reader needs it, which frees it then.
    fn free(&self, place: &mut Place, end: u64) -> io::Result<()> {
        let spool = match place.writable.take() {
            Some(spool) => spool,
            None => File::options().read(true).write(true).open(&self.path)?,
        };
        if sys::try_lock_below(&spool, end)? {
            let freed = self.punch(&spool, place.freed, end);
            sys::unlock(&spool)?;
            freed?;
            place.freed = end;
        }
        place.writable = Some(spool);
        Ok(())
    }

    /// Makes a hole below `end`, where `known` tells how much of it this reader made before. Told first, so that a hole is never taken for
    /// output.
    fn punch(&self, spool: &File, known: u64, end: u64) -> io::Result<()> {
        let mut options = File::options();
        let told =
            options.create(true).truncate(false).write(true).mode(0o600).open(freed_path(&self.path))?;
        let before = told.metadata()?.len();
        told.set_len(before.max(end / UNIT))?;
        let holes = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let punched = rustix::fs::fallocate(spool, holes, known, end - known);
        if punched.is_err() {
            told.set_len(before)?;
        }
        Ok(punched?)
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot read a command's output", error)
}

/// The file whose length tells how much of a spool was freed.
fn freed_path(spool: &Path) -> PathBuf {
    spool.with_extension("freed")
}

/// Offset of the first byte that was not freed.
fn freed_below(path: &Path) -> Result<u64> {
    match std::fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        known => {
            let length = known.map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?.len();
            Ok(length.saturating_mul(UNIT))
        }
    }
}
