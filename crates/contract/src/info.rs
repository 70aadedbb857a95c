//! Sandboxes observed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ExitStatus, SandboxId, Timestamp};

/// Says where a sandbox is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SandboxState {
    /// Being made, or waiting for a machine.
    Starting,
    /// Ready for commands.
    Running,
    /// Ready for commands, but the process that it belongs to is gone: `gc` ends it.
    Abandoned,
    /// Held by `pause`.
    Paused,
    /// Its end was begun and is not over: something in it still runs, or waits for a device or file system.
    Ending,
    /// Ended, or unknown to the provider.
    Terminated,
}

impl SandboxState {
    /// Returns the state in one word, such as `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Abandoned => "abandoned",
            Self::Paused => "paused",
            Self::Ending => "ending",
            Self::Terminated => "terminated",
        }
    }
}

/// Says why a sandbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    /// Its main process exited by itself.
    Exited,
    /// Its life time passed.
    TimedOut,
    /// It was idle for its idle time.
    IdleTimedOut,
    /// The kernel ended it because it reached its memory limit.
    OutOfMemory,
    /// `destroy` ended it, or `gc`.
    Destroyed,
    /// It was ended from outside of the provider: its machine or its agent went away.
    Lost,
    /// The provider does not know, or does not know the sandbox.
    Unknown,
}

/// Says how and why a sandbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxEnd {
    /// Why it ended.
    pub reason: EndReason,
    /// How its main process ended, where there was one and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
}

/// Names the process that a sandbox belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Owner {
    /// The machine's id.
    pub host: String,
    /// The id of the machine's present boot.
    pub boot: String,
    /// The process id.
    pub pid: u32,
    /// The process's start time, in the clock ticks since boot that `proc_pid_stat(5)` reports.
    pub started: u64,
}

/// Describes a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SandboxInfo {
    /// Its id.
    pub id: SandboxId,
    /// Where it is in its life.
    pub state: SandboxState,
    /// How it ended; present exactly when the state is `terminated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SandboxEnd>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When its life time will be over, where the provider tells; absent once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The image that it was made from, in the provider's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The process that it belongs to; absent for a detached one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// What the provider wants the caller to know, such as an unknown GPU name that was passed on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl SandboxInfo {
    /// Describes a sandbox of which only the state is known.
    pub fn new(id: SandboxId, state: SandboxState) -> Self {
        let end = (state == SandboxState::Terminated)
            .then_some(SandboxEnd { reason: EndReason::Unknown, exit: None });
        Self {
            id,
            state,
            end,
            created_at: None,
            expires_at: None,
            ended_at: None,
            image: None,
            name: None,
            tags: BTreeMap::new(),
            owner: None,
            warnings: Vec::new(),
        }
    }

    /// Describes a running sandbox.
    pub fn running(id: SandboxId) -> Self {
        Self::new(id, SandboxState::Running)
    }

    /// Describes an ended sandbox.
    pub fn terminated(id: SandboxId, reason: EndReason, exit: Option<ExitStatus>) -> Self {
        Self { end: Some(SandboxEnd { reason, exit }), ..Self::new(id, SandboxState::Terminated) }
    }
}

/// Chooses sandboxes for `list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ListFilter {
    /// Labels that all must match.
    pub tags: BTreeMap<String, String>,
    /// The name that must match.
    pub name: Option<String>,
    /// Whether ended sandboxes that the provider still remembers are listed too.
    pub include_ended: bool,
}

/// Says what `gc` ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GcReport {
    /// The sandboxes that were ended because their owner is gone.
    pub ended: Vec<SandboxId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_a_report_of_gc_has_the_known_json_shape() {
        let report = GcReport { ended: vec!["sb-1".into()] };
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(text, r#"{"ended":["sb-1"]}"#);
        assert_eq!(serde_json::from_str::<GcReport>(&text).unwrap(), report);
        assert_eq!(serde_json::from_str::<GcReport>("{}").unwrap(), GcReport::default());
        assert!(serde_json::from_str::<GcReport>(r#"{"terminated":[]}"#).is_err());
    }
}
