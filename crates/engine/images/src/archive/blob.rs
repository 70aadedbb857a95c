//! One layer's blob: decompression, digests, unpacking.

use std::io::{self, BufRead, BufReader, Read};

use super::ImportError;
use crate::ids::IdRange;
use crate::layer::LayerId;
use crate::limits::Budget;
use crate::sink::StagedLayer;
use crate::unpack::{Meter, UnpackError, UnpackReport, unpack_metered};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Where a layer is in the archive and what it must hash to.
#[derive(Debug, Clone)]
pub(crate) struct LayerBlob {
    /// File in the archive.
    pub(crate) name: String,
    /// Digest and size of the file as it is stored, where the archive gives them.
    pub(crate) stored: Option<(String, u64)>,
    /// Digest of the uncompressed tar, from the image's configuration.
    pub(crate) diff_id: String,
}

impl LayerBlob {
    /// The layer's name in the sink.
    pub(crate) fn layer_id(&self) -> Result<LayerId, ImportError> {
        check_digest(&self.name, &self.diff_id)?;
        let malformed = |error: crate::InvalidLayerId| ImportError::Malformed {
            name: self.name.clone(),
            reason: error.to_string(),
        };
        self.diff_id.replacen(':', "-", 1).parse().map_err(malformed)
    }

    /// Unpacks the blob, as `stored` gives it, to `staged`; both digests are checked over all bytes.
    pub(crate) fn unpack(
        &self,
        stored: impl Read,
        staged: &StagedLayer,
        ids: IdRange,
        budget: &mut Budget,
    ) -> Result<UnpackReport, ImportError> {
        let limit = self.stored.as_ref().map_or(u64::MAX, |(_, size)| *size);
        let mut stored = Meter::new(stored, limit);
        let result = self.unpack_stored(&mut stored, staged, ids, budget);
        if stored.exceeded() {
            let reason = format!("is larger than the {limit} bytes that its manifest says");
            return Err(ImportError::Malformed { name: self.name.clone(), reason });
        }
        let (diff_id, report) =
            result.map_err(|error| ImportError::Layer { name: self.name.clone(), source: error })?;
        if let Some((wanted, _)) = &self.stored {
            expect_digest(&self.name, wanted, stored.digest())?;
        }
        expect_digest(&self.name, &self.diff_id, diff_id)?;
        Ok(report)
    }

    fn unpack_stored<R: Read>(
        &self,
        stored: &mut Meter<R>,
        staged: &StagedLayer,
        ids: IdRange,
        budget: &mut Budget,
    ) -> Result<(String, UnpackReport), UnpackError> {
        let left = budget.bytes;
        let plain =
            decoder(BufReader::with_capacity(128 << 10, &mut *stored)).map_err(UnpackError::Damaged)?;
        let mut meter = Meter::new(plain, left);
        let report = unpack_metered(&mut meter, staged, ids, budget);
        budget.bytes = left.saturating_sub(meter.count());
        let digest = meter.digest();
        let report = report?;
        stored.drain().map_err(UnpackError::Damaged)?;
        Ok((digest, report))
    }
}

/// Whether bytes begin like gzip or zstd.
pub(super) fn is_compressed(start: &[u8]) -> bool {
    start.starts_with(GZIP) || start.starts_with(ZSTD)
}

/// A reader of the uncompressed bytes; the compression is told by the first bytes, not by what a manifest says.
pub(super) fn decoder<'a, R: BufRead + 'a>(mut reader: R) -> io::Result<Box<dyn Read + 'a>> {
    let start = reader.fill_buf()?;
    if start.starts_with(GZIP) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(reader)))
    } else if start.starts_with(ZSTD) {
        Ok(Box::new(zstd::stream::read::Decoder::with_buffer(reader)?))
    } else {
        Ok(Box::new(reader))
    }
}

/// Refuses what is not `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn check_digest(name: &str, digest: &str) -> Result<(), ImportError> {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if digest.strip_prefix("sha256:").is_some_and(|text| text.len() == 64 && hex(text)) {
        return Ok(());
    }
    let shown: String = digest.chars().take(100).collect();
    let reason = format!("has or names the digest {shown:?}, which is not a sha256 digest");
    Err(ImportError::Malformed { name: name.to_owned(), reason })
}

pub(crate) fn expect_digest(name: &str, wanted: &str, found: String) -> Result<(), ImportError> {
    if wanted == found {
        Ok(())
    } else {
        Err(ImportError::Digest { name: name.to_owned(), wanted: wanted.to_owned(), found })
    }
}
