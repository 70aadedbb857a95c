//! Bounds on what an archive may unpack to.

/// Caps on one import.
///
/// An archive of a few kilobytes can unpack to petabytes, and a layer of empty files can use up every inode, so both
/// are bounded before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of all layers together, tar headers included.
    pub bytes: u64,
    /// Tar entries of all layers together, extension records included.
    pub entries: u64,
}

impl Default for Limits {
    /// 64 GiB and four million entries: above the largest machine-learning images, below a full disk.
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 4_000_000 }
    }
}

/// What is left of [`Limits`] while the layers of one image are unpacked.
#[derive(Debug, Clone)]
pub struct Budget {
    pub(crate) limits: Limits,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Budget {
    /// Starts with all of `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, bytes: limits.bytes, entries: limits.entries }
    }
}
