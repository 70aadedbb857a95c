//! Ids, capabilities, limits, filters.

use super::{Errno, PR_SET_NAME, Result, address, call, text};
use crate::arch::nr;
use core::ffi::CStr;

pub(crate) fn set_groups(groups: &[u32]) -> Result<()> {
    call(nr::SETGROUPS, [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn set_gid(gid: u32) -> Result<()> {
    let gid = gid as usize;
    call(nr::SETRESGID, [gid, gid, gid, 0, 0, 0]).map(drop)
}

pub(crate) fn set_uid(uid: u32) -> Result<()> {
    let uid = uid as usize;
    call(nr::SETRESUID, [uid, uid, uid, 0, 0, 0]).map(drop)
}

/// Sets the effective user id only.
pub(crate) fn set_effective_uid(uid: u32) -> Result<()> {
    const SAME: usize = u32::MAX as usize;
    call(nr::SETRESUID, [SAME, uid as usize, SAME, 0, 0, 0]).map(drop)
}

/// Sets the permitted and the effective capabilities; the inheritable ones become none.
pub(crate) fn set_capabilities(permitted: u64, effective: u64) -> Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let data = [effective as u32, permitted as u32, 0, (effective >> 32) as u32, (permitted >> 32) as u32, 0];
    call(nr::CAPSET, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]).map(drop)
}

/// A `prctl` that takes numbers only.
pub(crate) fn prctl(option: usize, value: usize) -> Result<usize> {
    call(nr::PRCTL, [option, value, 0, 0, 0, 0])
}

/// Names the process.
pub(crate) fn set_name(name: &CStr) {
    let _ = call(nr::PRCTL, [PR_SET_NAME, text(name), 0, 0, 0, 0]);
}

/// Joins a new session keyring.
pub(crate) fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION: usize = 1;
    call(nr::KEYCTL, [JOIN_SESSION, 0, 0, 0, 0, 0]).map(drop)
}

/// Sets the soft and the hard limit, or what comes nearest where the host's root may not raise limits (no `CAP_SYS_RESOURCE`).
pub(crate) fn set_limit(resource: usize, soft: u64, hard: u64) -> Result<()> {
    match limit(resource, [soft, hard]) {
        Err(Errno::EPERM) => {
            let mut now = [0u64; 2];
            call(nr::PRLIMIT64, [0, resource, 0, now.as_mut_ptr() as usize, 0, 0])?;
            limit(resource, [soft.min(now[1]), hard.min(now[1])])
        }
        other => other,
    }
}

fn limit(resource: usize, values: [u64; 2]) -> Result<()> {
    call(nr::PRLIMIT64, [0, resource, values.as_ptr() as usize, 0, 0, 0]).map(drop)
}

/// Installs a filter of `struct sock_filter[]`.
pub(crate) fn seccomp(filter: &[u8]) -> Result<()> {
    const SET_MODE_FILTER: usize = 1;
    #[repr(C)]
    struct Program {
        len: u16,
        filter: usize,
    }
    let len = u16::try_from(filter.len() / 8).map_err(|_| Errno::E2BIG)?;
    let program = Program { len, filter: filter.as_ptr() as usize };
    call(nr::SECCOMP, [SET_MODE_FILTER, 0, address(&program), 0, 0, 0]).map(drop)
}

pub(crate) fn set_hostname(name: &[u8]) -> Result<()> {
    call(nr::SETHOSTNAME, [name.as_ptr() as usize, name.len(), 0, 0, 0, 0]).map(drop)
}
