//! The handle that everything starts from.

use crate::{error::Result, exec::*, files::Files, id::*, image::*, sandbox::*};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// How to open a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineConfig {
    /// The store's folder; made (mode 0700) when missing.
    pub state_dir: PathBuf,
    /// Bytes that one output stream of one command may keep. Default 1 GiB.
    pub output_quota: u64,
}

impl EngineConfig {
    /// Defaults for a store in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { state_dir: state_dir.into(), output_quota: 1 << 30 }
    }
}

/// What `gc` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcReport {
    /// Sandboxes ended because their owner or creator is gone.
    pub ended: Vec<SandboxId>,
    /// Folders of ended sandboxes removed.
    pub removed: Vec<SandboxId>,
    /// Images removed (expired, used by nothing).
    pub images: Vec<ImageId>,
    /// Bytes given back.
    pub bytes: u64,
}

/// An open store. Cheap to clone, shared by any number of tasks; needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct Engine {
    _private: (),
}

#[allow(unused_variables, clippy::missing_errors_doc, reason = "skeleton")]
impl Engine {
    /// Opens (or makes) a store, and finishes or undoes what a crashed process left half done.
    pub async fn open(config: EngineConfig) -> Result<Self> {
        unimplemented!("skeleton")
    }
    /// The store's own id (8 lower-case letters or digits), in the names of its control groups.
    pub fn store_id(&self) -> &str {
        unimplemented!("skeleton")
    }

    /// Resolves an image by name or id: `NotFound` when there is none. `host` always exists.
    pub async fn image(&self, reference: &str) -> Result<ImageInfo> {
        unimplemented!("skeleton")
    }
    /// All images, newest first.
    pub async fn images(&self) -> Result<Vec<ImageInfo>> {
        unimplemented!("skeleton")
    }
    /// Imports an OCI layout (folder or tar) or a `docker save` archive under a name; an existing name moves.
    pub async fn import_image(&self, name: &str, archive: &Path) -> Result<ImageInfo> {
        unimplemented!("skeleton")
    }
    /// Removes an image; `FailedPrecondition` while a sandbox uses it.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        unimplemented!("skeleton")
    }

    /// Creates a sandbox and returns when it is ready for commands. Dropping the future, or a failure, leaves nothing.
    pub async fn create(&self, spec: SandboxSpec) -> Result<SandboxInfo> {
        unimplemented!("skeleton")
    }
    /// What is known of a sandbox; `NotFound` for unknown ones. Ended ones stay known (7 days) with their result.
    pub async fn sandbox(&self, id: &SandboxId) -> Result<SandboxInfo> {
        unimplemented!("skeleton")
    }
    /// The living sandbox of a name in a scope (or with `include_ended` the newest that had it).
    pub async fn sandbox_by_name(&self, scope: &str, name: &str, include_ended: bool) -> Result<SandboxInfo> {
        unimplemented!("skeleton")
    }
    /// Sandboxes, newest first.
    pub async fn sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxInfo>> {
        unimplemented!("skeleton")
    }
    /// Waits until it has ended, or `timeout` has passed (then the info says running).
    pub async fn wait(&self, id: &SandboxId, timeout: Option<Duration>) -> Result<SandboxInfo> {
        unimplemented!("skeleton")
    }
    /// Ends a sandbox: kills everything in it and frees what the kernel holds; the result of one that has ended already is kept. Returns
    /// when nothing runs any more. Its outputs stay readable until `remove` or `gc`.
    pub async fn terminate(&self, id: &SandboxId) -> Result<SandboxInfo> {
        unimplemented!("skeleton")
    }
    /// Terminates and removes its folder; its result stays known.
    pub async fn remove(&self, id: &SandboxId) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Replaces the tags.
    pub async fn set_tags(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Names an unnamed, living sandbox: `AlreadyExists` when taken, `FailedPrecondition` when named or ended.
    pub async fn set_name(&self, id: &SandboxId, name: &str) -> Result<()> {
        unimplemented!("skeleton")
    }
    /// Makes an image of the file system as it is; a running sandbox is frozen for the time of the copy only.
    pub async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<ImageInfo> {
        unimplemented!("skeleton")
    }
    /// Ends what nobody owns any more and removes what nothing uses.
    pub async fn gc(&self) -> Result<GcReport> {
        unimplemented!("skeleton")
    }

    /// Starts a command; returns when the program runs. `ProgramNotFound` / `ProgramNotExecutable` when it cannot, `FailedPrecondition`
    /// when the sandbox has ended, `NotFound` when it is unknown.
    pub async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<ExecId> {
        unimplemented!("skeleton")
    }
    /// State of a command now.
    pub async fn exec_state(&self, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
        unimplemented!("skeleton")
    }
    /// Waits for its end. Cancel-safe.
    pub async fn exec_wait(&self, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
        unimplemented!("skeleton")
    }
    /// Reads output from `offset` on, live.
    pub async fn output(
        &self,
        id: &SandboxId,
        exec: &ExecId,
        stream: OutputStream,
        offset: u64,
    ) -> Result<OutputReader> {
        unimplemented!("skeleton")
    }
    /// Offers input that starts at `offset`; bytes already accepted are skipped, a gap is `InvalidArgument`. `eof` closes the input after it
    /// (whatever the offset when `data` is empty). `FailedPrecondition` when closed or the command has ended. Returns the state after it.
    pub async fn write_stdin(
        &self,
        id: &SandboxId,
        exec: &ExecId,
        offset: u64,
        data: &[u8],
        eof: bool,
    ) -> Result<StdinState> {
        unimplemented!("skeleton")
    }
    /// How far input got.
    pub async fn stdin_state(&self, id: &SandboxId, exec: &ExecId) -> Result<StdinState> {
        unimplemented!("skeleton")
    }
    /// Sends a signal to a command's process group; SIGKILL to its whole tree.
    pub async fn signal(&self, id: &SandboxId, exec: &ExecId, signal: i32) -> Result<()> {
        unimplemented!("skeleton")
    }

    /// File operations on a running sandbox.
    pub fn files(&self, id: &SandboxId) -> Files {
        unimplemented!("skeleton")
    }
}
