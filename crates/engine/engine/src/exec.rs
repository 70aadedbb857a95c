//! Commands in a sandbox: start, output by offset, input by offset, end.

mod folder;
mod output;
pub(crate) mod signal;
mod spool;
pub(crate) mod start;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod stdin;
pub(crate) mod terminal;
mod user;

pub use output::OutputReader;

use crate::id::ExecId;
use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A command to start.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct ExecSpec {
    /// Id; made by the engine when absent. Starting a known id again starts nothing and succeeds.
    pub id: Option<ExecId>,
    /// A digest or the like that stands for the whole request: starting a known id with another one is `AlreadyExists`. It is
    /// kept on disk, so it must not let a secret be guessed.
    pub fingerprint: Option<String>,
    /// Argument vector, program first; no shell. Must not be empty.
    pub argv: Vec<String>,
    /// Added to the sandbox's environment; later ones win.
    pub env: Vec<(String, String)>,
    /// Working directory; absolute. Default: the sandbox's.
    pub workdir: Option<String>,
    /// Time after which the whole tree of the command is killed.
    pub timeout: Option<Duration>,
    /// True: input comes through [`crate::Engine::write_stdin`]. False: `/dev/null`.
    pub stdin: bool,
    /// Throw stdout away.
    pub discard_stdout: bool,
    /// Throw stderr away.
    pub discard_stderr: bool,
    /// stderr goes into stdout.
    pub merge_stderr: bool,
    /// User id inside the sandbox; default: `user`.
    pub uid: Option<u32>,
    /// User inside the sandbox as `USER` of an image has it: name or id, with or without group. Default: the image's user.
    pub user: Option<String>,
    /// A terminal of this size on all three standard streams: its output is stdout, stderr is empty, and the end of input is typed as
    /// its end-of-file character. It ends with the command. `TERM` is `xterm-256color` where nothing else sets it.
    pub terminal: Option<TerminalSize>,
}

/// Size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

impl fmt::Debug for ExecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.env.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ExecSpec")
            .field("id", &self.id)
            .field("argv", &self.argv)
            .field("env", &keys)
            .field("workdir", &self.workdir)
            .field("timeout", &self.timeout)
            .field("terminal", &self.terminal)
            .finish_non_exhaustive()
    }
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl OutputStream {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What is known of a command.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ExecState {
    /// When it started.
    pub started_at: SystemTime,
    /// How it ended; `None` while it runs.
    pub end: Option<ExecEnd>,
    /// When it ended.
    pub ended_at: Option<SystemTime>,
    /// True when the exec's own timeout killed it.
    pub timed_out: bool,
    /// True when the memory limit killed it.
    pub out_of_memory: bool,
    /// Bytes of stdout that were dropped; all bytes before them were kept.
    pub stdout_dropped: u64,
    /// The same of stderr.
    pub stderr_dropped: u64,
    /// Why, of stdout and of stderr.
    pub(crate) drop_reasons: [DropReason; 2],
}

impl ExecState {
    /// How many bytes of a stream were dropped, and why; `None` when none were.
    #[must_use]
    pub fn dropped(&self, stream: OutputStream) -> Option<(u64, DropReason)> {
        let (bytes, reason) = match stream {
            OutputStream::Stdout => (self.stdout_dropped, self.drop_reasons[0]),
            OutputStream::Stderr => (self.stderr_dropped, self.drop_reasons[1]),
        };
        (bytes > 0).then_some((bytes, reason))
    }
}

/// Why output was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Nobody read it, and it reached [`crate::EngineConfig::output_quota`].
    Quota,
    /// The disk of the store was full.
    DiskFull,
    /// A file may not grow further: a limit of the file system or of the process that made the sandbox.
    FileLimit,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecEnd {
    /// Exited with this code.
    Exited(i32),
    /// Died of this signal.
    Signaled(i32),
    /// Its sandbox ended first, and no code was recorded.
    SandboxEnded,
}

/// How far input got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StdinState {
    /// Bytes accepted so far: the next offset.
    pub accepted: u64,
    /// No more is taken.
    pub closed: bool,
}
