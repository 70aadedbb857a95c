//! A command's status file, which its agent writes: hostile bytes.

use crate::{
    clock,
    error::{Error, Result},
    exec::{DropReason, ExecEnd, ExecState},
    protocol::{self, exec_state, flag},
};
use std::{fs::File, io, os::unix::fs::FileExt, path::Path, time::SystemTime};

/// Most times that a status is read until it stands still.
const TRIES: u32 = 64;
const SIZE: usize = size_of::<protocol::ExecStatus>();

/// What a status file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    end: Option<ExecEnd>,
    flags: u32,
    stdout_len: u64,
    stderr_len: u64,
    stdout_dropped: u64,
    stderr_dropped: u64,
    started_ns: u64,
    ended_ns: u64,
}

impl Status {
    /// The status in a command's folder; `None` when it was never started.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>> {
        match File::open(folder.join("status")) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            file => Self::read(&file.map_err(failed)?),
        }
    }

    /// The status now; `None` when the file is empty or holds no status.
    pub(crate) fn read(file: &File) -> Result<Option<Self>> {
        // The agent's one write is not one for a reader: what says the end is believed when it reads the same twice.
        for _ in 0..TRIES {
            let first = Self::read_once(file)?;
            if first.is_none_or(|status| status.end.is_none()) || first == Self::read_once(file)? {
                return Ok(first);
            }
        }
        // Somebody keeps changing it.
        Ok(Self::read_once(file)?.map(|status| Self { end: None, ..status }))
    }

    fn read_once(file: &File) -> Result<Option<Self>> {
        let mut bytes = [0; SIZE];
        match file.read_exact_at(&mut bytes, 0) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(failed(e)),
            Ok(()) => Ok(Self::parse(&bytes)),
        }
    }

    fn parse(bytes: &[u8; SIZE]) -> Option<Self> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if word(0) != protocol::EXEC_MAGIC || word(4) == 0 || word(4) > protocol::VERSION {
            return None;
        }
        let (code, ended_ns) = (word(12).cast_signed(), long(64));
        let end = match word(8) {
            exec_state::EXITED => Some(ExecEnd::Exited(code & 0xff)),
            exec_state::SIGNALED => Some(ExecEnd::Signaled(code)),
            _ => None,
        };
        Some(Self {
            // The time of the end comes last in the record.
            end: end.filter(|_| ended_ns != 0),
            flags: word(16),
            stdout_len: long(24),
            stderr_len: long(32),
            stdout_dropped: long(40),
            stderr_dropped: long(48),
            started_ns: long(56),
            ended_ns,
        })
    }

    /// Whether the command has ended and the lengths are final.
    pub(crate) fn is_final(&self) -> bool {
        self.end.is_some()
    }

    /// Final bytes in a spool.
    pub(crate) fn length(&self, stream: super::OutputStream) -> u64 {
        match stream {
            super::OutputStream::Stdout => self.stdout_len,
            super::OutputStream::Stderr => self.stderr_len,
        }
    }

    /// The recorded end; a kill that ended the sandbox is told from one of the command.
    fn told_end(&self) -> Option<ExecEnd> {
        let with_sandbox = self.flags & flag::SANDBOX_ENDED != 0;
        self.end.map(|end| if with_sandbox { ExecEnd::SandboxEnded } else { end })
    }

    /// As callers see it. `over`: when its sandbox ended, for a command whose end nobody recorded.
    pub(crate) fn state(&self, over: Option<SystemTime>) -> ExecState {
        let time = |ns: u64| clock::from_ns(i64::try_from(ns).unwrap_or(i64::MAX));
        let lost = self.end.is_none().then_some(over).flatten();
        ExecState {
            started_at: time(self.started_ns),
            end: self.told_end().or(lost.map(|_| ExecEnd::SandboxEnded)),
            ended_at: self.end.map(|_| time(self.ended_ns)).or(lost),
            timed_out: self.flags & flag::TIMED_OUT != 0,
            out_of_memory: self.flags & flag::OOM != 0,
            stdout_dropped: self.stdout_dropped,
            stderr_dropped: self.stderr_dropped,
            drop_reasons: [0, 1].map(|stream| self.drop_reason(stream)),
        }
    }

    /// Why output number `stream` was dropped, if it was.
    fn drop_reason(&self, stream: u32) -> DropReason {
        match self.flags >> stream {
            flags if flags & flag::DISK_FULL != 0 => DropReason::DiskFull,
            flags if flags & flag::FILE_LIMIT != 0 => DropReason::FileLimit,
            _ => DropReason::Quota,
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot read a command's status", error)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn record(state: u32, code: i32, ended: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [protocol::EXEC_MAGIC, protocol::VERSION, state, code.cast_unsigned(), flag::TIMED_OUT, 7]
        {
            bytes.extend(word.to_le_bytes());
        }
        for long in [10_u64, 20, 1, 2, 1_000_000_000, ended] {
            bytes.extend(long.to_le_bytes());
        }
        bytes
    }

    /// The record of a command that runs.
    pub(crate) fn running() -> Vec<u8> {
        record(exec_state::RUNNING, 0, 0)
    }

    fn parse(bytes: &[u8]) -> Option<Status> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("status"), bytes).unwrap();
        Status::open(dir.path()).unwrap()
    }

    #[test]
    fn an_end_is_read_as_written() {
        let status = parse(&record(exec_state::EXITED, 3, 2_000_000_000)).unwrap();
        let state = status.state(None);
        assert_eq!(state.end, Some(ExecEnd::Exited(3)));
        assert_eq!(state.ended_at, Some(clock::from_ns(2_000_000_000)));
        assert!(state.timed_out && !state.out_of_memory);
        assert_eq!((state.stdout_dropped, state.stderr_dropped), (1, 2));
        assert_eq!(status.length(crate::OutputStream::Stderr), 20);
    }

    #[test]
    fn one_that_runs_ends_with_its_sandbox() {
        let status = parse(&running()).unwrap();
        assert!(!status.is_final());
        assert_eq!(status.state(None).end, None);
        assert_eq!(status.state(Some(clock::from_ns(9))).end, Some(ExecEnd::SandboxEnded));
    }

    #[test]
    fn a_half_written_or_strange_record_is_no_end() {
        assert!(parse(&[]).is_none());
        assert!(parse(&running()[..SIZE - 1]).is_none());
        assert!(parse(&[0xff; SIZE]).is_none());
        assert!(!parse(&record(exec_state::EXITED, 0, 0)).unwrap().is_final());
    }
}
