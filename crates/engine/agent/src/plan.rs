//! The plan of a sandbox: what the engine decided before the launch.

use crate::protocol::{MAX_PORTS, tag};
use crate::records::{self, Records};
use crate::sys::{Errno, Fd, Result};
use core::ffi::CStr;

/// A plan in the agent's own memory, kept for life (the environment lives nowhere else).
pub(crate) struct Plan {
    /// Records about the set-up.
    pub(crate) records: Records<'static>,
    /// Environment of every command.
    pub(crate) environment: &'static [u8],
    /// Filter of every command; empty for none.
    pub(crate) seccomp: &'static [u8],
    /// Working directory of commands that name none.
    pub(crate) workdir: &'static CStr,
    /// Capabilities of commands that run as root.
    pub(crate) capabilities: u64,
    /// Open files of a command.
    pub(crate) nofile: u64,
    /// The agent's id.
    pub(crate) agent_uid: u32,
    /// Nanoseconds until the end; 0 = none.
    pub(crate) lifetime_ns: u64,
    /// Nanoseconds without work until the end; 0 = none.
    pub(crate) idle_ns: u64,
    /// Numbers of the published ports.
    pub(crate) ports: Ports,
}

/// Numbers of the published ports, and how many there are.
pub(crate) struct Ports {
    numbers: [u16; MAX_PORTS],
    count: usize,
}

impl Ports {
    fn read(bytes: &[u8]) -> Result<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let mut ports = Self { numbers: [0; MAX_PORTS], count: words.len() };
        if !rest.is_empty() || words.len() > MAX_PORTS {
            return Err(Errno::EPROTO);
        }
        for (number, word) in ports.numbers.iter_mut().zip(words) {
            *number = u32::from_le_bytes(*word).try_into().map_err(|_| Errno::EPROTO)?;
        }
        Ok(ports)
    }

    /// The numbers.
    pub(crate) fn numbers(&self) -> &[u16] {
        &self.numbers[..self.count]
    }
}

impl Plan {
    /// Reads a plan from its memfd.
    pub(crate) fn read(fd: &Fd) -> Result<Self> {
        let (map, len) = records::read_file(fd)?;
        // SAFETY: zeros are valid bytes, and bytes need no alignment.
        let table: &'static [u8] = unsafe { map.into_table::<u8>() };
        Self::parse(Records::parse(&table[..len])?)
    }

    fn parse(records: Records<'static>) -> Result<Self> {
        let workdir = match records.get(tag::WORKDIR) {
            None => c"/",
            Some(bytes) => CStr::from_bytes_with_nul(bytes).map_err(|_| Errno::EPROTO)?,
        };
        let agent_uid = records.u32(tag::AGENT_UID)?;
        let seccomp = records.bytes(tag::SECCOMP);
        if agent_uid == 0 || !seccomp.len().is_multiple_of(8) {
            return Err(Errno::EPROTO);
        }
        Ok(Self {
            records,
            environment: records.bytes(tag::BASE_ENV),
            seccomp,
            workdir,
            capabilities: records.u64(tag::CAPABILITIES)?,
            nofile: records.u64(tag::NOFILE)?,
            agent_uid,
            lifetime_ns: records.u64(tag::LIFETIME_MS)?.saturating_mul(1_000_000),
            idle_ns: records.u64(tag::IDLE_MS)?.saturating_mul(1_000_000),
            ports: Ports::read(records.bytes(tag::PORTS))?,
        })
    }
}
