//! What the C library's allocator does with freed memory.

/// Freed memory below this many bytes at the top of a heap is kept, where the default is 128 KiB.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 64 << 20;
/// Blocks up to this many bytes come from a heap, not from a mapping of their own: the largest value that glibc takes (mallopt(3)).
#[cfg(target_env = "gnu")]
const FROM_HEAP: i32 = 32 << 20;

/// Makes the allocator keep what is freed instead of giving it back to the kernel, for a server through which much data goes: else
/// every buffer of a few hundred KiB is fresh memory, which the kernel clears and maps page by page. A quarter of a server's
/// processor time while a file of 256 MiB is written was that. The price is up to 64 MiB per thread that stay resident.
///
/// With glibc only; elsewhere, and where the allocator refuses, nothing changes.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (parameter, value) in [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, FROM_HEAP)] {
        // SAFETY: mallopt takes two numbers and the allocator's own lock; it may be called at any time (mallopt(3)).
        let _taken = unsafe { libc::mallopt(parameter, value) };
    }
}
