//! What to run.

use super::{Refusal, records::Writer};
use crate::{
    exec::TerminalSize,
    protocol::{MAX_BODY, tag},
};
use rustix::io::Errno;
use std::{os::fd::OwnedFd, time::Duration};

/// A command for the agent. Strings must not contain NUL.
#[derive(Default)]
pub(crate) struct ExecBody {
    /// Arguments, program first.
    pub(crate) argv: Vec<String>,
    /// Added to the sandbox's environment.
    pub(crate) env: Vec<(String, String)>,
    /// Absolute; `None`: the sandbox's.
    pub(crate) cwd: Option<String>,
    /// Id inside.
    pub(crate) uid: u32,
    /// Id inside.
    pub(crate) gid: u32,
    /// Supplementary groups, at most 64.
    pub(crate) groups: Vec<u32>,
    /// Time until its tree is killed.
    pub(crate) timeout: Option<Duration>,
    /// Bytes that each output may keep on disk; 0: no bound.
    pub(crate) output_quota: u64,
    /// Bytes of an output on disk from which on a reader is waited for; 0: never.
    pub(crate) output_window: u64,
    /// How long for one that does not move.
    pub(crate) reader_patience: Duration,
    /// The sandbox ends with it.
    pub(crate) main: bool,
    /// stderr goes into stdout.
    pub(crate) merge: bool,
    /// A terminal in place of the streams.
    pub(crate) terminal: Option<TerminalSize>,
}

/// Files of a command.
pub(crate) struct ExecFiles {
    /// For writing.
    pub(crate) status: OwnedFd,
    /// For reading; `None`: `/dev/null`.
    pub(crate) stdin: Option<OwnedFd>,
    /// For writing; `None`: `/dev/null`.
    pub(crate) stdout: Option<OwnedFd>,
    /// For writing; `None`: `/dev/null`.
    pub(crate) stderr: Option<OwnedFd>,
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl TerminalSize {
    /// As the agent takes it.
    pub(super) fn packed(self) -> u32 {
        u32::from(self.rows) << 16 | u32::from(self.columns)
    }
}

impl ExecBody {
    /// As records; `E2BIG` when they are more than an agent takes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let timeout = self.timeout.map_or(0, milliseconds);
        let groups: Vec<u8> = self.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        let mut body = Writer::default()
            .strings(tag::ARGV, &self.argv)
            .strings(tag::ENV, self.env.iter().map(|(key, value)| format!("{key}={value}")))
            .u32(tag::UID, self.uid)
            .u32(tag::GID, self.gid)
            .bytes(tag::GROUPS, &groups)
            .u64(tag::TIMEOUT_MS, timeout)
            .u64(tag::OUTPUT_QUOTA, self.output_quota)
            .u64(tag::OUTPUT_WINDOW, self.output_window)
            .u64(tag::READER_PATIENCE_MS, milliseconds(self.reader_patience))
            .u32(tag::MAIN, self.main.into())
            .u32(tag::MERGE, self.merge.into());
        if let Some(cwd) = &self.cwd {
            body = body.strings(tag::CWD, [cwd]);
        }
        if let Some(size) = self.terminal {
            body = body.u32(tag::SIZE, size.packed());
        }
        let bytes = body.finish();
        if bytes.len() > MAX_BODY {
            return Err(Refusal::Local(std::io::Error::from(Errno::TOOBIG)));
        }
        Ok(bytes)
    }
}
