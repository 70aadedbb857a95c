//! Memory without an allocator: the functions that the compiler calls, and mapped regions.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "an address and the access to it are one step of a loop over bytes"
)]

use crate::sys::{self, Result};
use core::slice;

/// Copies `n` bytes between regions that do not overlap.
///
/// # Safety
/// As in C: both regions are valid for `n` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the regions; the direction flag is clear by the calling convention.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..n {
        // SAFETY: the caller vouches for the regions.
        unsafe { *to.add(i) = *from.add(i) };
    }
    to
}

/// Copies `n` bytes between regions that may overlap.
///
/// # Safety
/// As in C: both regions are valid for `n` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: a forward copy never reads what it has overwritten, as `to` is not inside `from..from+n`.
        return unsafe { memcpy(to, from, n) };
    }
    for i in (0..n).rev() {
        // SAFETY: the caller vouches for the regions.
        unsafe { *to.add(i) = *from.add(i) };
    }
    to
}

/// Fills `n` bytes.
///
/// # Safety
/// As in C: the region is valid for `n` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller vouches for the region; the direction flag is clear by the calling convention.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    for i in 0..n {
        // SAFETY: the caller vouches for the region.
        unsafe { *to.add(i) = byte as u8 };
    }
    to
}

/// Compares `n` bytes.
///
/// # Safety
/// As in C: both regions are valid for `n` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: the caller vouches for the regions.
        let (x, y) = unsafe { (*a.add(i), *b.add(i)) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// Compares `n` bytes for equality.
///
/// # Safety
/// As in C: both regions are valid for `n` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(a, b, n) }
}

/// Length of a C string.
///
/// # Safety
/// As in C: the string ends with NUL.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller vouches for the string; no byte after its end is read.
    while unsafe { *text.add(len) } != 0 {
        len += 1;
    }
    len
}

/// Named by the unwind tables of the prebuilt core library; a program that aborts on panic never gets here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    sys::exit(101)
}

/// A private, zeroed mapping; pages that are never touched cost nothing.
pub(crate) struct Map {
    start: usize,
    len: usize,
}

impl Map {
    /// Maps `len` bytes (at least one page).
    pub(crate) fn new(len: usize) -> Result<Self> {
        let len = len.max(1).next_multiple_of(4096);
        sys::map_anonymous(len).map(|start| Self { start, len })
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is `len` bytes long, readable, and lives as long as `self`; `bytes_mut` needs `&mut self`.
        unsafe { slice::from_raw_parts(self.start as *const u8, self.len) }
    }

    /// The bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is `len` bytes long, writable, and borrowed exclusively.
        unsafe { slice::from_raw_parts_mut(self.start as *mut u8, self.len) }
    }

    /// Gives the pages back; the content becomes zeros.
    pub(crate) fn discard(&mut self) {
        sys::discard(self.bytes_mut());
    }

    /// Keeps the mapping for ever, as a table of `T`.
    ///
    /// # Safety
    /// All-zero bytes must be a valid `T`, and `T` must not need more alignment than a page.
    pub(crate) unsafe fn into_table<T>(self) -> &'static mut [T] {
        let (start, count) = (self.start, self.len / size_of::<T>());
        core::mem::forget(self);
        // SAFETY: the mapping is never unmapped now, has room for `count` values and is page-aligned; zeros are valid by contract.
        unsafe { slice::from_raw_parts_mut(start as *mut T, count) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        sys::unmap(self.start, self.len);
    }
}
