//! Following what happens to files.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::{
    absolute,
    tool::{self, Tool},
};
use crate::error::{Error, Result};
use crate::exec::Exec;
use crate::output::{Output, OutputStream};
use crate::sandbox::Sandbox;

/// The longest line of the tool that is read, in bytes.
const MAX_LINE: usize = 1 << 20;

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileEventKind {
    /// It was opened, read or closed.
    Access,
    /// It came to be.
    Create,
    /// Its content or its attributes changed.
    Modify,
    /// It was removed.
    Remove,
    /// It was renamed; the paths are the old and the new one. Modal's own clients show the three renamings as `Modify`.
    Rename,
    /// It was renamed; the path is the old one.
    RenameFrom,
    /// It was renamed; the path is the new one.
    RenameTo,
    /// Something else, or changes that were lost: look at the path.
    Unknown,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvent {
    /// What happened.
    pub kind: FileEventKind,
    /// The whole paths that it happened to, at least one.
    pub paths: Vec<String>,
}

/// What is watched, and for how long.
#[derive(Debug, Clone, Default)]
pub struct WatchSpec {
    /// Whether directories below are watched too.
    pub recursive: bool,
    /// The kinds that are told; nothing means all. Sent as it is: whoever wants `Modify` as Modal's own clients mean it names
    /// the renamings too.
    pub filter: Option<Vec<FileEventKind>>,
    /// When the watch ends by itself. Whole seconds are sent, rounded up.
    pub timeout: Option<Duration>,
}

/// Follows changes. Dropping it ends the watch on the server, in a task of the runtime in which it is dropped.
pub struct FileWatch {
    path: String,
    exec: Exec,
    output: Output,
    lines: BytesMut,
    over: bool,
}

impl FileEventKind {
    /// The name on the wire.
    fn name(self) -> &'static str {
        match self {
            Self::Access => "Access",
            Self::Create => "Create",
            Self::Modify => "Modify",
            Self::Remove => "Remove",
            Self::Rename => "Rename",
            Self::RenameFrom => "RenameFrom",
            Self::RenameTo => "RenameTo",
            Self::Unknown => "Unknown",
        }
    }

    fn from_name(name: &str) -> Self {
        use FileEventKind::{Access, Create, Modify, Remove, Rename, RenameFrom, RenameTo, Unknown};
        let all = [Access, Create, Modify, Remove, Rename, RenameFrom, RenameTo];
        all.into_iter().find(|kind| kind.name() == name).unwrap_or(Unknown)
    }
}

impl Sandbox {
    /// Follows changes of a file, of the entries of a directory, or of all that is below it.
    ///
    /// This project's server tells what happens after the return; Modal's own does not say when it begins.
    ///
    /// # Errors
    /// Those of starting the file tool. Errors about the path come from [`FileWatch::next`]:
    /// [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied),
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn watch_files(&self, path: &str, spec: &WatchSpec) -> Result<FileWatch> {
        let whole = |limit: Duration| limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
        let filter = spec.filter.as_ref().map(|kinds| kinds.iter().map(|kind| kind.name()).collect());
        let timeout_secs = spec.timeout.map(whole);
        let tool = Tool::Watch { path: absolute(path)?, recursive: spec.recursive, filter, timeout_secs };
        let exec = self.start_tool(&tool).await?;
        let output = exec.output(OutputStream::Stdout, 0);
        Ok(FileWatch { path: path.to_owned(), exec, output, lines: BytesMut::new(), over: false })
    }
}

impl FileWatch {
    /// Waits for the next change; nothing means that the watch is over.
    ///
    /// A broken connection is resumed without loss. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As said at [`watch_files`](Sandbox::watch_files); [`NotFound`](crate::ErrorKind::NotFound) without a path when the sandbox has
    /// ended.
    pub async fn next(&mut self) -> Result<Option<FileEvent>> {
        loop {
            if let Some(line) = self.take_line()? {
                match parse(&line)? {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            if self.over {
                return Ok(None);
            }
            match self.output.read().await? {
                Some(chunk) => self.lines.extend_from_slice(&chunk),
                None => self.settle().await?,
            }
        }
    }

    async fn settle(&mut self) -> Result<()> {
        let tool = Tool::Watch { path: &self.path, recursive: false, filter: None, timeout_secs: None };
        tool::settle(&tool, &self.exec).await?;
        self.over = true;
        Ok(())
    }

    fn take_line(&mut self) -> Result<Option<Bytes>> {
        match self.lines.iter().position(|byte| *byte == b'\n') {
            Some(end) => Ok(Some(self.lines.split_to(end + 1).freeze())),
            None if self.lines.len() > MAX_LINE => {
                Err(Error::unexpected(format!("a line of the file tool is longer than {MAX_LINE} bytes")))
            }
            None => Ok(None),
        }
    }
}

#[derive(Deserialize)]
struct Line {
    event_type: String,
    #[serde(default)]
    paths: Vec<String>,
}

/// Reads a line; nothing for one without paths, which Modal's own clients pass over too.
fn parse(line: &[u8]) -> Result<Option<FileEvent>> {
    let Line { event_type, paths } = super::parse(line)?;
    let kind = FileEventKind::from_name(&event_type);
    Ok((!paths.is_empty()).then_some(FileEvent { kind, paths }))
}

impl Drop for FileWatch {
    fn drop(&mut self) {
        // Without a runtime there is no connection either; the server ends the watch with its sandbox.
        if let (false, Ok(runtime)) = (self.over, tokio::runtime::Handle::try_current()) {
            let exec = self.exec.clone();
            // Accepted whatever the offset. Nobody is left to tell of a failure.
            runtime.spawn(async move { exec.write_stdin(0, Bytes::new(), true).await });
        }
    }
}

impl fmt::Debug for FileWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWatch")
            .field("exec", &self.exec.id())
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m27_a_line_is_an_event() {
        let event = parse(br#"{"event_type":"RenameTo","paths":["/a"]}"#).unwrap().unwrap();
        assert_eq!((event.kind, event.paths), (FileEventKind::RenameTo, vec!["/a".to_owned()]));
        let novel = parse(br#"{"event_type":"Novel","paths":["/a"]}"#).unwrap().unwrap();
        assert_eq!(novel.kind, FileEventKind::Unknown);
        assert!(parse(br#"{"event_type":"Create","paths":[]}"#).unwrap().is_none());
        assert!(parse(b"nonsense").is_err());
    }
}
