//! The system call filter of every command.
//!
//! [`program`] compiles the policy in `policy.rs` to classic BPF as a binary tree over ranges of call numbers. A linear list
//! of the same policy takes about fifteen times as long to load, because the kernel runs a filter once for every number to
//! fill its cache of always-allowed calls (`seccomp_cache_prepare`, since Linux 5.11).

mod bpf;
mod compile;
mod policy;

/// The filter as the bytes of `struct sock_filter[]` in native byte order (see `linux/filter.h`), for `SECCOMP_SET_MODE_FILTER`.
pub(crate) fn program() -> Vec<u8> {
    compile::compile(&policy::rules()).into_iter().flat_map(bpf::Instruction::to_bytes).collect()
}
