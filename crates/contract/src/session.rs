//! A command that runs: its output, its input, its end.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ExecId, ExecStatus, PtySize, Result, SandboxId, Signal};

/// Names one stream of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OutputStream {
    /// Standard output; with a terminal, all output.
    Stdout,
    /// Standard error; with a terminal, empty.
    Stderr,
}

impl OutputStream {
    /// Returns the stream's name, `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Holds a piece of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputChunk {
    /// The position of its first byte in the stream. Larger than the end of the chunk before only where the provider
    /// no longer has the bytes between.
    pub offset: u64,
    /// The bytes, at least one.
    pub data: Bytes,
}

impl OutputChunk {
    /// Returns the position after its last byte, from which reading goes on.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.data.len() as u64)
    }
}

/// Reads one stream of a command's output, from an offset on.
#[async_trait]
pub trait OutputReader: fmt::Debug + Send {
    /// Waits for the next bytes; `None` at the end of the stream.
    ///
    /// # Behaviour
    /// - Chunks come in order, without loss or repetition.
    /// - Live: bytes arrive while the command runs.
    /// - The stream ends after the command ended; a background process that still holds it open does not keep it.
    /// - A broken connection is resumed by offset within the wire's own rules, then reported as `Unavailable`; a new
    ///   reader from [`OutputChunk::end`] goes on without loss.
    /// - Dropping the future loses nothing: the next call returns what this one would have.
    async fn next_chunk(&mut self) -> Result<Option<OutputChunk>>;

    /// Returns what was dropped, once that is known: at the end of the stream, where the provider tells.
    fn dropped(&self) -> Option<Dropped>;
}

/// Says what of a stream was dropped; all that came before was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dropped {
    /// The position of the first byte that was dropped.
    pub from: u64,
    /// How many bytes were.
    pub bytes: u64,
    /// Why.
    pub reason: DropReason,
}

/// Says why output was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum DropReason {
    /// Nobody read it, and it reached the provider's output quota.
    Quota,
    /// The disk on which it is kept was full.
    DiskFull,
    /// The file in which it is kept may not grow further.
    FileLimit,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.reason {
            DropReason::Quota => "nobody read them, and the output quota was reached",
            DropReason::DiskFull => "the disk was full",
            DropReason::FileLimit => "the limit of a file's size was reached",
        };
        write!(f, "{} bytes from byte {} on were dropped: {why}", self.bytes, self.from)
    }
}

/// Says how much input a command's stdin has accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StdinStatus {
    /// Bytes accepted so far, which is where the next write starts.
    pub accepted: u64,
    /// Whether its end was announced.
    pub closed: bool,
}

/// Follows a command. Many sessions, also in several processes, may follow the same one.
///
/// Dropping it detaches, unless the command was started with [`OnDrop::Kill`](crate::OnDrop::Kill).
/// Every method may be called at any time, in any order, concurrently, and after the end.
#[async_trait]
pub trait ExecSession: fmt::Debug + Send + Sync {
    /// Returns the sandbox in which it runs.
    fn sandbox_id(&self) -> &SandboxId;

    /// Returns the command's id, for [`ComputeProvider::attach`](crate::ComputeProvider::attach).
    fn id(&self) -> &ExecId;

    /// Opens a reader of one stream at an offset; each reader is independent of every other.
    ///
    /// # Behaviour
    /// - A reader that keeps up loses nothing, however much it is.
    /// - Output is kept for as long as the sandbox lives, within the provider's quota, and can be read any number of times, also after the
    ///   command ended. What lies far behind every reader while the command runs may be given up: reading from there is
    ///   `FailedPrecondition` with subject `Exec`, and names the first offset that is still there.
    /// - Nobody reading never holds up the command for long; a reader that is behind may, as a full pipe would.
    fn output(&self, stream: OutputStream, offset: u64) -> Box<dyn OutputReader>;

    /// Writes to standard input at an offset (the number of bytes written before).
    ///
    /// # Requires
    /// `capabilities.exec.stdin`, and a command started with [`Stdin::Open`](crate::Stdin::Open).
    ///
    /// # Behaviour
    /// - Bytes below what was already accepted are skipped, so a repeated write does no harm; an offset above it is
    ///   `InvalidArgument`.
    /// - Returns once the provider has accepted the bytes, not when the command has read them; while much waits to be read, that is when the
    ///   command reads. Dropped before, nothing was accepted, or all was.
    /// - A closed input or an ended command is `FailedPrecondition`.
    async fn write_stdin(&self, offset: u64, data: Bytes) -> Result<()>;

    /// Announces the end of standard input; announcing it again, or after the command ended, is success.
    async fn close_stdin(&self) -> Result<()>;

    /// Returns how much input was accepted.
    async fn stdin_status(&self) -> Result<StdinStatus>;

    /// Waits for the command's end.
    ///
    /// # Behaviour
    /// - Returns the same status every time.
    /// - A lost connection or sandbox is an error, never a status (`FailedPrecondition` or `NotFound` with subject
    ///   `Sandbox` where a provider without `capabilities.exec.tells_sandbox_end` finds its sandbox ended).
    async fn wait(&self) -> Result<ExecStatus>;

    /// Returns the status if the command has ended, without waiting for that.
    async fn poll(&self) -> Result<Option<ExecStatus>>;

    /// Sends a signal to the command; success if it has already ended.
    ///
    /// # Requires
    /// `capabilities.exec.signals`.
    async fn kill(&self, signal: Signal) -> Result<()>;

    /// Changes the size of its terminal; success if it has already ended.
    ///
    /// # Requires
    /// `capabilities.exec.pty_resize`, and a command with a terminal: one without is `FailedPrecondition`.
    ///
    /// # Behaviour
    /// - The program in the foreground is told by SIGWINCH.
    /// - A size without lines or columns is `InvalidArgument`.
    async fn resize(&self, size: PtySize) -> Result<()>;
}
