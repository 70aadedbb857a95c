//! What is asked of a sandbox and what is known of one.

use crate::{
    exec::TerminalSize,
    id::{ImageId, SandboxId},
    ports::PublishPort,
    volume::VolumeMount,
};
use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, SystemTime},
};

/// What to create. `Default` is an idle sandbox of image `host` with no limits, no main command and 24 hours to live.
#[derive(Clone)]
#[non_exhaustive]
pub struct SandboxSpec {
    /// Id to use; made by the engine when absent. A known one is `AlreadyExists`.
    pub id: Option<SandboxId>,
    /// Image name or id.
    pub image: String,
    /// Main command: the sandbox ends when it does. Empty: none, the sandbox lives until its time is over or it is terminated.
    pub command: Vec<String>,
    /// A terminal for the main command, as [`ExecSpec::terminal`](crate::ExecSpec::terminal).
    pub terminal: Option<TerminalSize>,
    /// Environment of every command; later ones win. Never written to disk, hidden from `Debug`.
    pub env: Vec<(String, String)>,
    /// Working directory of every command that names none; absolute. Made when missing. Default: the image's, else `/`.
    pub workdir: Option<String>,
    /// Resource bounds.
    pub limits: Limits,
    /// Longest life, from readiness. `None`: 24 hours.
    pub lifetime: Option<Duration>,
    /// Longest time without a running command, an open connection to a published port, and a request.
    pub idle_timeout: Option<Duration>,
    /// Keep its files when it has ended, so that they can be snapshot then; [`Engine::remove`](crate::Engine::remove) removes them. Without
    /// it they are gone at its end.
    pub keep_files: bool,
    /// Network.
    pub network: NetworkMode,
    /// Volumes that appear in it, at most 32. None may lie in another, over the root, or in `/proc`, `/sys` and `/dev`.
    pub volumes: Vec<VolumeMount>,
    /// Ports to publish on this machine's loopback address, as plain TCP, for as long as the sandbox lives. At most 32, with 256
    /// connections at once; more wait to be accepted.
    pub ports: Vec<PublishPort>,
    /// Name, unique among living sandboxes of the same scope.
    pub name: Option<String>,
    /// Scope of `name` (the Modal server: the app id; others: empty).
    pub scope: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Whose it is.
    pub owner: Owner,
    /// Free text kept with the sandbox for the front that made it (JSON of its own; no secrets).
    pub note: String,
}

impl Default for SandboxSpec {
    fn default() -> Self {
        Self {
            id: None,
            image: "host".to_owned(),
            command: Vec::new(),
            terminal: None,
            env: Vec::new(),
            workdir: None,
            limits: Limits::default(),
            lifetime: None,
            idle_timeout: None,
            keep_files: false,
            network: NetworkMode::default(),
            volumes: Vec::new(),
            ports: Vec::new(),
            name: None,
            scope: String::new(),
            tags: BTreeMap::new(),
            owner: Owner::default(),
            note: String::new(),
        }
    }
}

impl fmt::Debug for SandboxSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.env.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("SandboxSpec")
            .field("id", &self.id)
            .field("image", &self.image)
            .field("command", &self.command)
            .field("env", &keys)
            .field("limits", &self.limits)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Resource bounds; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory and swap together, in bytes. Above it processes are killed.
    pub memory_bytes: Option<u64>,
    /// Processor time in thousandths of a processor.
    pub milli_cpus: Option<u64>,
    /// Processes and threads; `None` is 4096 all the same, because a fork bomb must not reach the host.
    pub pids: Option<u64>,
}

/// What the sandbox's network reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkMode {
    /// A namespace of its own with loopback only.
    #[default]
    None,
}

/// Whose a sandbox is; `gc` ends those whose owner is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's: it lives until its life time ends.
    #[default]
    Detached,
    /// The calling process's: it is ended by `gc` once that process (boot id, pid, start time) is gone.
    ThisProcess,
}

/// Whether a sandbox runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SandboxState {
    /// Being made by a process that still lives.
    Creating,
    /// It takes commands.
    Running,
    /// Its end was begun and is not over: something in it still runs, or waits in the kernel for a device or file system.
    Ending,
    /// Over, with one final result.
    Ended(SandboxEnd),
}

/// The one, final result of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxEnd {
    /// Why.
    pub reason: EndReason,
    /// When.
    pub at: SystemTime,
}

/// Why a sandbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The main command exited with this code.
    Exited(i32),
    /// The main command died of this signal.
    Signaled(i32),
    /// The main command was killed by the memory limit.
    OutOfMemory,
    /// Life time over.
    TimedOut,
    /// Idle time over.
    Idle,
    /// Terminated on request.
    Terminated,
    /// Its agent was killed or the host restarted; commands' results that were recorded before are kept.
    Lost,
    /// It was never ready: its creator died or creation failed.
    Failed,
}

/// What is known of a sandbox.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SandboxInfo {
    /// Id.
    pub id: SandboxId,
    /// Whether it runs.
    pub state: SandboxState,
    /// Image it was made from.
    pub image: ImageId,
    /// Image name as it was asked for.
    pub image_name: String,
    /// When it was made.
    pub created_at: SystemTime,
    /// When its life time is over.
    pub expires_at: Option<SystemTime>,
    /// Main command.
    pub command: Vec<String>,
    /// Bounds.
    pub limits: Limits,
    /// Volumes that appear in it.
    pub volumes: Vec<VolumeMount>,
    /// Name.
    pub name: Option<String>,
    /// Scope of the name.
    pub scope: String,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// True when a process owns it, false when detached.
    pub owned: bool,
    /// The front's own text.
    pub note: String,
    /// Longest life as asked for.
    pub lifetime: Duration,
    /// Idle time as asked for.
    pub idle_timeout: Option<Duration>,
    /// Names the call that made or adopted it last, for [`Engine::take_back`](crate::Engine::take_back).
    pub(crate) birth: i64,
}

impl SandboxInfo {
    /// Whether it takes commands, or will once it is created; false from the moment that its end was begun.
    #[must_use]
    pub fn is_living(&self) -> bool {
        matches!(self.state, SandboxState::Creating | SandboxState::Running)
    }
}

/// Which sandboxes to list, newest first.
#[derive(Clone, Debug, Default)]
pub struct SandboxFilter {
    /// Only of this scope.
    pub scope: Option<String>,
    /// Only those made strictly before.
    pub before: Option<SystemTime>,
    /// Ended ones too.
    pub include_ended: bool,
    /// Only those that carry all of these tags.
    pub tags: BTreeMap<String, String>,
    /// At most this many; 0 = all.
    pub limit: usize,
}
