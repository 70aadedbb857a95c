//! Raw system calls behind safe functions: what the engine needs and rustix does not have.
//!
//! The only crate of the engine's process that contains `unsafe`.

#![allow(unsafe_code, reason = "this crate exists to hold it; every block says why it is sound")]

mod allocator;
mod attributes;
mod locks;

pub use allocator::keep_freed_memory;
pub use attributes::{idmap, restrict};
pub use locks::{data_from, lock_shared_from, try_lock_below, unlock, unlock_below};
