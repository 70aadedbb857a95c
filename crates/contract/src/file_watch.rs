//! Following what happens to files.

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Result;

/// Says what happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileEventKind {
    /// It was opened, read, or closed after writing, as far as the provider tells.
    Access,
    /// It came to be.
    Create,
    /// Its content or its attributes changed. A file that a write of [`Files`](crate::Files) replaced has changed, too.
    Modify,
    /// It was removed.
    Remove,
    /// It was renamed, with both ends in what is watched: the paths are the old and the new one.
    Rename,
    /// It was renamed; the path is the old one. The new one is in the next event, or outside of what is watched.
    RenameFrom,
    /// It was renamed; the path is the new one.
    RenameTo,
    /// Changes at or below the path that are not told one by one: too many came at once, or their kind has no name here. What
    /// is there now must be looked at. Every filter lets these through but the empty one.
    Unknown,
}

impl FileEventKind {
    /// Lists every kind.
    pub const ALL: [Self; 8] = [
        Self::Access,
        Self::Create,
        Self::Modify,
        Self::Remove,
        Self::Rename,
        Self::RenameFrom,
        Self::RenameTo,
        Self::Unknown,
    ];

    /// Returns the kind's name, such as `renameFrom`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Create => "create",
            Self::Modify => "modify",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::RenameFrom => "renameFrom",
            Self::RenameTo => "renameTo",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for FileEventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells one change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEvent {
    /// What happened.
    pub kind: FileEventKind,
    /// The absolute paths that it happened to, at least one; of [`Rename`](FileEventKind::Rename) the old and the new one.
    pub paths: Vec<String>,
}

/// Says what is watched, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct WatchOptions {
    /// Whether directories below the watched one are watched too, those that come to be later included. Links are not followed.
    pub recursive: bool,
    /// The kinds that are told; absent for all, empty for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<BTreeSet<FileEventKind>>,
    /// Whole seconds after which the watch ends; absent for as long as it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
}

impl WatchOptions {
    /// Watches what is below directories too.
    #[must_use]
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Tells only these kinds.
    #[must_use]
    pub fn with_filter(mut self, kinds: impl IntoIterator<Item = FileEventKind>) -> Self {
        self.filter = Some(kinds.into_iter().collect());
        self
    }

    /// Ends the watch after so many seconds.
    #[must_use]
    pub fn with_timeout_seconds(mut self, seconds: u32) -> Self {
        self.timeout_seconds = Some(seconds);
        self
    }
}

/// Follows changes of files, from [`Files::watch`](crate::Files::watch). Dropping it ends the watch.
#[async_trait]
pub trait FileWatch: fmt::Debug + Send {
    /// Waits for the next change; `None` when the watch is over: its time is up, or what it watched is gone.
    ///
    /// # Behaviour
    /// - Changes come in the order in which they happened.
    /// - None is left out in silence: where that cannot be kept up, [`FileEventKind::Unknown`] says where to look again.
    /// - The end of the sandbox is `NotFound` with subject `Sandbox`.
    /// - Dropping the future loses nothing: the next call returns what this one would have.
    async fn next_event(&mut self) -> Result<Option<FileEvent>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m27_options_and_events_survive_json() {
        let options = WatchOptions::default().recursive().with_filter([FileEventKind::Create]);
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(json, r#"{"recursive":true,"filter":["create"]}"#);
        assert_eq!(serde_json::from_str::<WatchOptions>(&json).unwrap(), options);
        for kind in FileEventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert!(serde_json::from_str::<WatchOptions>(r#"{"depth":1}"#).is_err());
    }
}
