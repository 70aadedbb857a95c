//! What a command shall be.

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice_modal_proto::client as wire;

use crate::secret::Secret;
use crate::stored_secret::SecretSource;

/// A command asked for. Only the argument vector is needed; no shell is involved.
#[derive(Debug, Clone, Default)]
pub struct ExecSpec {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The absolute working directory; nothing means the sandbox's.
    pub workdir: Option<String>,
    /// Variables for this command only, over the sandbox's.
    pub env: BTreeMap<String, Secret>,
    /// More variables; a later source wins over an earlier one, and `env` over all of them.
    pub secrets: Vec<SecretSource>,
    /// The longest run. Whole seconds are sent, rounded up; the server kills the command then.
    pub timeout: Option<Duration>,
    /// Whether standard output is thrown away.
    pub discard_stdout: bool,
    /// Where standard error goes.
    pub stderr: ErrorOutput,
    /// A terminal of this size instead of pipes; all output is then on standard output.
    pub pty: Option<PtySize>,
    /// The command's id; nothing means a new one. Starting the same id again does not run it twice.
    pub id: Option<String>,
}

/// Where standard error goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorOutput {
    /// To a stream of its own.
    #[default]
    Pipe,
    /// Nowhere.
    Discard,
}

/// The size of a terminal in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtySize {
    /// Lines.
    pub rows: u16,
    /// Columns.
    pub cols: u16,
}

impl Default for PtySize {
    /// 24 lines of 80 columns.
    fn default() -> Self {
        Self { rows: 24, cols: 80 }
    }
}

impl ExecSpec {
    /// Makes a spec that runs an argument vector in the sandbox's own directory and environment.
    pub fn new<A: Into<String>>(argv: impl IntoIterator<Item = A>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// Writes a terminal as Modal's JavaScript client does.
pub(super) fn pty_info(size: PtySize) -> wire::PtyInfo {
    wire::PtyInfo {
        enabled: true,
        winsz_rows: u32::from(size.rows),
        winsz_cols: u32::from(size.cols),
        env_term: "xterm-256color".to_owned(),
        env_colorterm: "truecolor".to_owned(),
        pty_type: wire::pty_info::PtyType::Shell.into(),
        no_terminate_on_idle_stdin: true,
        ..Default::default()
    }
}
