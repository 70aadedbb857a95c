//! How commands end.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind, Result};

/// Names a signal by its Linux number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub struct Signal(i32);

impl Signal {
    /// Hang-up.
    pub const HUP: Self = Self(1);
    /// Interrupt, as Ctrl-C sends it.
    pub const INT: Self = Self(2);
    /// Quit.
    pub const QUIT: Self = Self(3);
    /// Kill, which nothing can hold off.
    pub const KILL: Self = Self(9);
    /// Terminate.
    pub const TERM: Self = Self(15);

    /// Builds one from its number.
    ///
    /// # Errors
    /// `InvalidArgument` for a number outside 1 to 64.
    pub fn new(number: i32) -> Result<Self> {
        if (1..=64).contains(&number) {
            return Ok(Self(number));
        }
        Err(Error::new(ErrorKind::InvalidArgument, "signal", format!("{number} is not a signal number"))
            .with_hint("use a number from 1 to 64"))
    }

    /// Returns the number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for Signal {
    type Error = Error;

    fn try_from(number: i32) -> Result<Self> {
        Self::new(number)
    }
}

impl From<Signal> for i32 {
    fn from(signal: Signal) -> Self {
        signal.0
    }
}

/// Says how the kernel saw a process end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(Signal),
}

impl ExitStatus {
    /// Returns the code as shells show it: the code itself, or 128 plus the signal's number.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal.number(),
        }
    }

    /// Says whether the code is zero.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {}", signal.number()),
        }
    }
}

/// Says why a command ended.
///
/// A provider that cannot tell a memory kill or a destroyed sandbox apart says so in its capabilities and
/// reports `Signalled`; a time-out is always told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExecEnd {
    /// It exited by itself.
    Exited,
    /// A signal ended it, from inside or through [`ExecSession::kill`](crate::ExecSession::kill).
    Signalled,
    /// Its timeout passed and it was killed.
    TimedOut,
    /// The kernel killed it because the sandbox reached its memory limit.
    OutOfMemory,
    /// The sandbox was destroyed, or ended by its own life time, while it ran.
    SandboxEnded,
}

/// Says how and why a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExecStatus {
    /// How the kernel saw it end.
    pub exit: ExitStatus,
    /// Why it ended.
    pub reason: ExecEnd,
}

impl ExecStatus {
    /// Builds the status of a command that exited by itself.
    pub fn exited(code: i32) -> Self {
        Self { exit: ExitStatus::Code(code), reason: ExecEnd::Exited }
    }

    /// Builds the status of a command that a signal ended.
    pub fn signalled(signal: Signal) -> Self {
        Self { exit: ExitStatus::Signal(signal), reason: ExecEnd::Signalled }
    }

    /// Builds the status of a command that was killed for the given reason.
    pub fn killed(reason: ExecEnd) -> Self {
        Self { exit: ExitStatus::Signal(Signal::KILL), reason }
    }

    /// Says whether it exited by itself with code zero.
    pub fn is_success(self) -> bool {
        self.reason == ExecEnd::Exited && self.exit.is_success()
    }
}

/// Holds what a finished command left: status and whole output.
///
/// In JSON: `exitCode` (128 plus the number for a signal), `signal`, `reason`, `timedOut`, `stdout`, `stderr`. Output that
/// is not UTF-8 shows with replacement characters and is added byte-exact as `stdoutBase64` or `stderrBase64`.
#[derive(Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// How and why it ended.
    pub status: ExecStatus,
    /// All bytes of standard output that were kept.
    pub stdout: Bytes,
    /// All bytes of standard error that were kept.
    pub stderr: Bytes,
    /// The offset from which standard output was dropped at the provider's output quota, if it was.
    pub stdout_dropped_from: Option<u64>,
    /// The offset from which standard error was dropped at the provider's output quota, if it was.
    pub stderr_dropped_from: Option<u64>,
}

impl ExecResult {
    /// Returns the exit code as shells show it.
    pub fn exit_code(&self) -> i32 {
        self.status.exit.code()
    }

    /// Says whether the command exited by itself with code zero.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Says whether the command's timeout killed it.
    pub fn timed_out(&self) -> bool {
        self.status.reason == ExecEnd::TimedOut
    }

    /// Returns standard output as text, with replacement characters where it is not UTF-8.
    pub fn stdout_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.stdout)
    }

    /// Returns standard error as text, with replacement characters where it is not UTF-8.
    pub fn stderr_text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.stderr)
    }
}

impl fmt::Debug for ExecResult {
    /// Shows sizes instead of output, which may hold what a log must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecResult")
            .field("status", &self.status)
            .field("stdout_bytes", &self.stdout.len())
            .field("stderr_bytes", &self.stderr.len())
            .field("stdout_dropped_from", &self.stdout_dropped_from)
            .field("stderr_dropped_from", &self.stderr_dropped_from)
            .finish()
    }
}

/// The JSON shape of an [`ExecResult`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    exit_code: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<Signal>,
    reason: ExecEnd,
    timed_out: bool,
    stdout: String,
    stderr: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdout_dropped_from: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stderr_dropped_from: Option<u64>,
}

/// Returns the text of a stream and, where that is not exact, its bytes in base 64.
fn encode(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), Some(BASE64.encode(bytes))),
    }
}

/// Undoes [`encode`].
fn decode<E: serde::de::Error>(text: String, exact: Option<String>) -> Result<Bytes, E> {
    match exact {
        None => Ok(Bytes::from(text)),
        Some(encoded) => BASE64.decode(encoded).map(Bytes::from).map_err(E::custom),
    }
}

impl Serialize for ExecResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (stdout, stdout_base64) = encode(&self.stdout);
        let (stderr, stderr_base64) = encode(&self.stderr);
        let signal = match self.status.exit {
            ExitStatus::Signal(signal) => Some(signal),
            ExitStatus::Code(_) => None,
        };
        Wire {
            exit_code: self.exit_code(),
            signal,
            reason: self.status.reason,
            timed_out: self.timed_out(),
            stdout,
            stderr,
            stdout_base64,
            stderr_base64,
            stdout_dropped_from: self.stdout_dropped_from,
            stderr_dropped_from: self.stderr_dropped_from,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExecResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        if wire.timed_out != (wire.reason == ExecEnd::TimedOut) {
            return Err(D::Error::custom("timedOut and reason disagree"));
        }
        let exit = wire.signal.map_or(ExitStatus::Code(wire.exit_code), ExitStatus::Signal);
        Ok(Self {
            status: ExecStatus { exit, reason: wire.reason },
            stdout: decode(wire.stdout, wire.stdout_base64)?,
            stderr: decode(wire.stderr, wire.stderr_base64)?,
            stdout_dropped_from: wire.stdout_dropped_from,
            stderr_dropped_from: wire.stderr_dropped_from,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(status: ExecStatus, stdout: &'static [u8]) -> ExecResult {
        ExecResult {
            status,
            stdout: Bytes::from_static(stdout),
            stderr: Bytes::new(),
            stdout_dropped_from: None,
            stderr_dropped_from: None,
        }
    }

    #[test]
    fn json_has_the_shape_users_know() {
        let json = serde_json::to_value(result(ExecStatus::exited(7), b"out")).unwrap();
        assert_eq!(json["exitCode"], 7);
        assert_eq!(json["stdout"], "out");
        assert_eq!(json["stderr"], "");
    }

    #[test]
    fn bytes_and_signals_survive_json() {
        let before = result(ExecStatus::killed(ExecEnd::TimedOut), b"\xff\x00");
        let json = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<ExecResult>(&json).unwrap(), before);
        assert_eq!(before.exit_code(), 137);
    }

    #[test]
    fn debug_does_not_show_output() {
        assert!(!format!("{:?}", result(ExecStatus::exited(0), b"hush")).contains("hush"));
    }
}
