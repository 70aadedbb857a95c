//! Mappings.

use super::{Result, call};
use crate::arch::nr;

pub(crate) fn map_anonymous(len: usize) -> Result<usize> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    call(nr::MMAP, [0, len, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0])
}

/// Ends a mapping that [`map_anonymous`] made; only `Map::drop` calls it.
pub(crate) fn unmap(start: usize, len: usize) {
    let _ = call(nr::MUNMAP, [start, len, 0, 0, 0, 0]);
}

/// Gives the pages of an anonymous mapping back.
pub(crate) fn discard(region: &mut [u8]) {
    const MADV_DONTNEED: usize = 4;
    let _ = call(nr::MADVISE, [region.as_mut_ptr() as usize, region.len(), MADV_DONTNEED, 0, 0, 0]);
}
