//! What is asked of a copy, and what became of it.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Skipped paths that are named; more are counted only.
const NAMED: usize = 100;

/// Who is told how far a copy got.
type Progress = Arc<dyn Fn(&CopyReport) + Send + Sync>;

/// Says how a directory is copied.
#[derive(Clone)]
pub struct CopyOptions {
    pub(crate) at_once: usize,
    progress: Option<Progress>,
}

impl Default for CopyOptions {
    /// Eight files at once, and nobody is told how far it got.
    fn default() -> Self {
        Self { at_once: 8, progress: None }
    }
}

impl CopyOptions {
    /// Sets how many files are copied at once; 0 counts as 1. Each holds some MiB of memory at most.
    #[must_use]
    pub fn with_files_at_once(mut self, files: usize) -> Self {
        self.at_once = files.max(1);
        self
    }

    /// Has a function told how far it got, after each piece of a file, each directory and each link. It must not block.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(&CopyReport) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }
}

impl fmt::Debug for CopyOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOptions").field("at_once", &self.at_once).finish_non_exhaustive()
    }
}

/// Counts what was copied, by then or in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyReport {
    /// Regular files that are complete.
    pub files: u64,
    /// Directories, the copied one itself included.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Files and directories in a sandbox whose permission bits could not be set.
    pub modes_not_set: u64,
    /// Files, directories and links in a sandbox whose times could not be set.
    pub times_not_set: u64,
    /// Files and directories that came out of a sandbox without the set-id bits that they have there.
    pub set_id_dropped: u64,
    /// Bytes of content that are known to be copied in all, as far as directories have been listed.
    #[serde(skip)]
    pub bytes_found: u64,
    /// What was left out.
    pub skipped: u64,
    /// The first hundred that were left out.
    pub skipped_paths: Vec<Skipped>,
}

/// Names something that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Its path on the side that was copied from, with replacement characters for what is no text. It may have control characters.
    pub path: String,
    /// Why.
    pub reason: SkipReason,
}

/// Says why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its name, or where it points, is not UTF-8, and the provider has no other names.
    Name,
    /// It is a device, a fifo or a socket, or something in an archive that is not known.
    Kind,
    /// It went away before it was copied.
    Gone,
    /// It is a link, and neither the provider nor the sandbox can make one.
    Link,
    /// At its target is something that is not replaced: all but a regular file, and a directory for a directory.
    InTheWay,
    /// Its path in an archive leads out of the target.
    Outside,
    /// It became shorter while it was copied: the end of the copy is zeros.
    Changed,
}

impl SkipReason {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "its name or target is not UTF-8, which this provider does not take",
            Self::Kind => "it is a device, a fifo, a socket or of an unknown kind",
            Self::Gone => "it went away before it was copied",
            Self::Link => "it is a link, and the sandbox cannot make one",
            Self::InTheWay => "something that is not replaced is in its way",
            Self::Outside => "its path leads out of the target",
            Self::Changed => "it became shorter while it was copied",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Counts, for all files under way; clones count together.
#[derive(Clone)]
pub(crate) struct Count {
    progress: Option<Progress>,
    report: Arc<Mutex<CopyReport>>,
}

impl Count {
    pub(crate) fn new(options: &CopyOptions) -> Self {
        Self { progress: options.progress.clone(), report: Arc::default() }
    }

    pub(crate) fn add(&self, change: impl FnOnce(&mut CopyReport)) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut report);
        if let Some(progress) = &self.progress {
            progress(&report);
        }
    }

    pub(crate) fn skip(&self, path: &Path, reason: SkipReason) {
        self.add(|report| {
            report.skipped += 1;
            if report.skipped_paths.len() < NAMED {
                report.skipped_paths.push(Skipped { path: path.to_string_lossy().into_owned(), reason });
            }
        });
    }

    /// What was counted so far.
    pub(crate) fn report(&self) -> CopyReport {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Count").field("report", &self.report()).finish_non_exhaustive()
    }
}
