//! Unpacks the tar of one layer, of which every byte may be hostile.

mod extended;
mod meter;
mod path;
mod writer;
mod xattr;

use std::io::{self, Read};

pub(crate) use extended::Extended;
pub(crate) use meter::{Meter, digest_of};

use crate::error::FileError;
use crate::ids::IdRange;
use crate::limits::Budget;
use crate::sink::StagedLayer;
use writer::Writer;

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// A path or link target that no layer may have.
    #[error("entry {path:?} {reason}")]
    Path {
        /// The path as it stands in the archive, shortened.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An owner outside the store's id range.
    #[error("entry {path:?} belongs to id {id}, and this store maps ids below {count} only")]
    Id {
        /// The entry.
        path: String,
        /// Its user or group id.
        id: u64,
        /// Size of the range.
        count: u32,
    },
    /// The layers unpack to more bytes than allowed.
    #[error("the image unpacks to more than {limit} bytes")]
    TooManyBytes {
        /// The cap, see [`crate::Limits::bytes`].
        limit: u64,
    },
    /// The layers have more entries than allowed.
    #[error("the image has more than {limit} entries")]
    TooManyEntries {
        /// The cap, see [`crate::Limits::entries`].
        limit: u64,
    },
    /// A kind of tar entry that image layers do not use.
    #[error("entry {path:?} is {what}, which is not supported in a layer")]
    Unsupported {
        /// The entry.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// The bytes are no tar, or end too early, or do not decompress.
    #[error("the layer is damaged")]
    Damaged(#[source] io::Error),
    /// An entry could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What an unpacked layer held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnpackReport {
    /// Files, directories, links and whiteouts.
    pub entries: u64,
    /// Device nodes that were left out: a sandbox has its own `/dev`.
    pub dropped_devices: u64,
    /// Extended attributes that were left out: those of overlayfs, security modules and access lists.
    pub dropped_attributes: u64,
}

impl UnpackReport {
    /// Adds another layer's.
    pub(crate) fn add(&mut self, other: Self) {
        self.entries += other.entries;
        self.dropped_devices += other.dropped_devices;
        self.dropped_attributes += other.dropped_attributes;
    }
}

/// Unpacks an uncompressed tar to a staged layer: owners shifted, `.wh.` entries turned into overlayfs's marks.
///
/// Every path is resolved by the kernel below the layer's root with no link followed. Absolute paths count from the
/// root of the layer, `..` is refused, hard links reach files of the same layer only, device nodes are dropped,
/// setuid bits are kept (the owner is a shifted id), attributes that overlayfs would obey are stripped. Reads to
/// the end of `tar`, also behind the end mark. Stops within one entry of `budget` running out.
///
/// # Errors
/// [`UnpackError`]; the staged layer then holds a part and must not be published.
pub fn unpack_layer(
    tar: impl Read,
    layer: &StagedLayer,
    ids: IdRange,
    budget: &mut Budget,
) -> Result<UnpackReport, UnpackError> {
    let mut meter = Meter::new(tar, budget.bytes);
    let result = unpack_metered(&mut meter, layer, ids, budget);
    budget.bytes = budget.bytes.saturating_sub(meter.count());
    result
}

/// The same with the caller's meter, which also makes the digest.
pub(crate) fn unpack_metered<R: Read>(
    meter: &mut Meter<R>,
    layer: &StagedLayer,
    ids: IdRange,
    budget: &mut Budget,
) -> Result<UnpackReport, UnpackError> {
    let mut writer = Writer::new(layer.root(), ids)?;
    let result = write_entries(&mut *meter, &mut writer, budget)
        .and_then(|()| meter.drain().map_err(UnpackError::Damaged))
        .and_then(|()| writer.finish());
    // The tar reader wraps errors, so that the meter's own cannot be told by looking at them.
    if meter.exceeded() { Err(UnpackError::TooManyBytes { limit: budget.limits.bytes }) } else { result }
}

fn write_entries(tar: impl Read, writer: &mut Writer<'_>, budget: &mut Budget) -> Result<(), UnpackError> {
    let mut archive = tar::Archive::new(tar);
    let mut extended = Extended::default();
    // Raw entries: the reader would otherwise load a long name of any length into memory.
    for entry in archive.entries().map_err(UnpackError::Damaged)?.raw(true) {
        let mut entry = entry.map_err(UnpackError::Damaged)?;
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or(UnpackError::TooManyEntries { limit: budget.limits.entries })?;
        if !extended.absorb(&mut entry)? {
            writer.write(&mut entry, std::mem::take(&mut extended))?;
        }
    }
    Ok(())
}

/// A path of the archive for an error text.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(&path[..path.len().min(200)]).into_owned()
}
