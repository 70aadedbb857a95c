//! Running the file tool.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use tokio_stream::Stream;

use super::failure;
use crate::error::{Error, ErrorKind, Result, Retry};
use crate::exec::{Exec, ExecSpec, ExecStatus};
use crate::output::OutputStream;
use crate::sandbox::Sandbox;

/// The program that every server answers for.
const PROGRAM: &str = "/__modal/.bin/modal-sandbox-fs-tools";
/// The most that is read of the tool's complaint.
const MAX_COMPLAINT: usize = 64 << 10;
/// The most that is taken of an answer which describes files; a listing of 500,000 entries fits.
const MAX_DESCRIPTION: usize = 256 << 20;
/// The most that is taken of an answer which describes one file or nothing.
const MAX_ANSWER: usize = 1 << 20;

/// One operation, written as the tool's only argument.
#[derive(Debug, Serialize)]
pub(super) enum Tool<'a> {
    ReadFile { path: &'a str },
    WriteFile { path: &'a str },
    ListFiles { path: &'a str },
    Stat { path: &'a str },
    MakeDirectory { path: &'a str, parents: bool },
    Remove { path: &'a str, recursive: bool },
    Watch { path: &'a str, recursive: bool, filter: Option<Vec<&'static str>>, timeout_secs: Option<u64> },
}

impl<'a> Tool<'a> {
    pub(super) fn path(&self) -> &'a str {
        match self {
            Self::ReadFile { path }
            | Self::WriteFile { path }
            | Self::ListFiles { path }
            | Self::Stat { path }
            | Self::MakeDirectory { path, .. }
            | Self::Remove { path, .. }
            | Self::Watch { path, .. } => path,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ReadFile { .. } => "ReadFile",
            Self::WriteFile { .. } => "WriteFile",
            Self::ListFiles { .. } => "ListFiles",
            Self::Stat { .. } => "Stat",
            Self::MakeDirectory { .. } => "MakeDirectory",
            Self::Remove { .. } => "Remove",
            Self::Watch { .. } => "Watch",
        }
    }

    /// Whether doing it twice is the same as once.
    fn is_repeatable(&self) -> bool {
        !matches!(self, Self::MakeDirectory { parents: false, .. } | Self::Remove { .. })
    }

    /// Judges the error of a start, which may have come to pass all the same.
    fn not_started(&self, error: Error) -> Error {
        let safe = error.retry() == Retry::Unknown && self.is_repeatable();
        if safe { error.with_retry(Retry::Safe) } else { error }
    }

    /// Judges an error after the start: the tool has done its work, or will.
    fn interrupted(&self, error: Error) -> Error {
        let unsafe_now = error.retry() == Retry::Safe && !self.is_repeatable();
        if unsafe_now { error.with_retry(Retry::Unknown).with_retry_after(None) } else { error }
    }

    /// The most bytes that the tool may answer; the size of a file is the server's to bound.
    fn most(&self) -> usize {
        match self {
            // What watching says goes on without an end and is read by events.
            Self::ReadFile { .. } | Self::Watch { .. } => usize::MAX,
            Self::ListFiles { .. } => MAX_DESCRIPTION,
            Self::WriteFile { .. } | Self::Stat { .. } | Self::MakeDirectory { .. } | Self::Remove { .. } => {
                MAX_ANSWER
            }
        }
    }
}

impl Sandbox {
    /// Runs the tool and gives its standard output, or the error that it reports.
    pub(super) async fn run_tool(&self, tool: &Tool<'_>, input: Option<&Bytes>) -> Result<Bytes> {
        let exec = self.start_tool(tool).await?;
        follow(&exec, tool, input).await.map_err(|error| tool.interrupted(error))
    }

    /// Starts the tool.
    pub(super) async fn start_tool(&self, tool: &Tool<'_>) -> Result<Exec> {
        let argument = serde_json::to_string(tool).expect("a tool is plain strings and switches");
        let exec = self.exec(&ExecSpec::new([PROGRAM.to_owned(), argument])).await;
        exec.map_err(|error| tool.not_started(error))
    }
}

async fn follow(exec: &Exec, tool: &Tool<'_>, input: Option<&Bytes>) -> Result<Bytes> {
    let (fed, stdout, stderr, end) =
        tokio::try_join!(feed(exec, input), answer(exec, tool), complaint(exec), exec.wait())?;
    judge(tool, end.status, fed, &stderr).map(|()| stdout)
}

/// Waits for the end of a tool whose output was read, and gives the error that it reports.
pub(super) async fn settle(tool: &Tool<'_>, exec: &Exec) -> Result<()> {
    let (stderr, end) = tokio::try_join!(complaint(exec), exec.wait())?;
    judge(tool, end.status, Fed::Whole, &stderr)
}

/// Feeds the tool with content given by pieces, and gives the error that either reports.
pub(super) async fn feed_from<S, E>(tool: &Tool<'_>, exec: &Exec, pieces: S) -> Result<()>
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let feed = async { judge_feed(exec, exec.stream_stdin_from(pieces).await).await };
    let (fed, stderr, end) = tokio::try_join!(feed, complaint(exec), exec.wait())?;
    judge(tool, end.status, fed, &stderr)
}

fn judge(tool: &Tool<'_>, status: ExecStatus, fed: Fed, stderr: &[u8]) -> Result<()> {
    match (status, fed) {
        (ExecStatus::Code(0), Fed::Whole) => Ok(()),
        // The tool ended well and yet did not take all of its input: that is not a whole file.
        (ExecStatus::Code(0), Fed::Part(error)) => {
            Err(error.with_kind(ErrorKind::UnexpectedReply).during(tool.name()))
        }
        // What goes on until the end of the sandbox is killed by that.
        (ExecStatus::Signal(_), _) if matches!(tool, Tool::Watch { .. }) => {
            Err(Error::new(ErrorKind::NotFound, "the sandbox has ended").during(tool.name()))
        }
        (status, _) => Err(failure::error(tool, &shown(status), stderr)),
    }
}

/// How much of the input the tool took.
enum Fed {
    Whole,
    Part(Error),
}

/// Sends the input. A tool that refuses it has mostly ended with a reason of its own, which is the better error.
async fn feed(exec: &Exec, input: Option<&Bytes>) -> Result<Fed> {
    let Some(data) = input else { return Ok(Fed::Whole) };
    judge_feed(exec, exec.stream_stdin(data).await).await
}

async fn judge_feed(exec: &Exec, sent: Result<()>) -> Result<Fed> {
    let Err(error) = sent else { return Ok(Fed::Whole) };
    if error.kind() == ErrorKind::Local {
        return Err(error);
    }
    match exec.poll().await? {
        Some(_) => Ok(Fed::Part(error)),
        None => Err(error),
    }
}

/// Reads the answer to its end; one that is too long is given up.
async fn answer(exec: &Exec, tool: &Tool<'_>) -> Result<Bytes> {
    let mut output = exec.output(OutputStream::Stdout, 0);
    let mut kept = BytesMut::new();
    while let Some(chunk) = output.read().await? {
        if chunk.len() > tool.most() - kept.len() {
            let text = format!("the file tool's answer is longer than {} bytes", tool.most());
            return Err(Error::unexpected(text).during(tool.name()));
        }
        kept.extend_from_slice(&chunk);
    }
    Ok(kept.freeze())
}

/// Reads the complaint to its end and keeps the start of it.
async fn complaint(exec: &Exec) -> Result<Bytes> {
    let mut output = exec.output(OutputStream::Stderr, 0);
    let mut kept = BytesMut::new();
    while let Some(chunk) = output.read().await? {
        let room = (MAX_COMPLAINT - kept.len()).min(chunk.len());
        kept.extend_from_slice(&chunk[..room]);
    }
    Ok(kept.freeze())
}

fn shown(status: ExecStatus) -> String {
    match status {
        ExecStatus::Code(code) => format!("exit code {code}"),
        ExecStatus::Signal(signal) => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_a_tool_is_safe_to_repeat_when_twice_is_the_same_as_once() {
        let lost = |retry| Error::unexpected("lost").with_retry(retry);
        let both = |tool: &Tool<'_>| {
            (tool.not_started(lost(Retry::Unknown)).retry(), tool.interrupted(lost(Retry::Safe)).retry())
        };
        assert_eq!(both(&Tool::Remove { path: "/a", recursive: true }), (Retry::Unknown, Retry::Unknown));
        let mkdir = |parents| Tool::MakeDirectory { path: "/a", parents };
        assert_eq!(both(&mkdir(false)), (Retry::Unknown, Retry::Unknown));
        assert_eq!(both(&mkdir(true)), (Retry::Safe, Retry::Safe));
        assert_eq!(both(&Tool::WriteFile { path: "/a" }), (Retry::Safe, Retry::Safe));
    }

    #[test]
    fn the_argument_is_the_operation_and_its_members() {
        let json = |tool: &Tool<'_>| serde_json::to_string(tool).unwrap();
        assert_eq!(json(&Tool::ReadFile { path: "/a b" }), r#"{"ReadFile":{"path":"/a b"}}"#);
        let mkdir = Tool::MakeDirectory { path: "/d", parents: true };
        assert_eq!(json(&mkdir), r#"{"MakeDirectory":{"path":"/d","parents":true}}"#);
    }
}
