//! The trait that every provider implements.

use std::fmt;

use async_trait::async_trait;

use crate::{
    Capabilities, ExecId, ExecSession, ExecSpec, Extensions, GcReport, Health, ListFilter, OutputReader,
    OutputStream, ProvisionSpec, Result, SandboxId, SandboxInfo, SnapshotRef, SnapshotSpec,
};

/// Supplies sandboxes.
///
/// The documentation of each method is the contract; `openlattice-conformance` has a test for each line of a *Behaviour* list.
/// For all of them:
///
/// - A request is first checked against [`capabilities`](Self::capabilities) ([`Capabilities::check_provision`] and its
///   siblings). What is not offered is `Unsupported` and what is malformed is `InvalidArgument`, each with the field's name, before anything
///   is sent. No field is ignored.
/// - A failure of provider or transport is an [`Error`](crate::Error), never an exit code; an exit code is never an error.
/// - Every future can be dropped at any point: the system is then as if the call had ended or had never begun.
/// - A provider does not retry on its own beyond the rules of its wire protocol; the error says whether a retry is safe.
/// - No secret appears in an error, a log or a process list.
///
/// There are no default bodies, so that a new method makes every provider and wrapper answer. Conveniences are in
/// [`ComputeProviderExt`](crate::ComputeProviderExt).
#[async_trait]
pub trait ComputeProvider: fmt::Debug + Send + Sync + 'static {
    /// Returns the provider's name, such as `modal`; it is the `provider` of its snapshot references.
    fn name(&self) -> &'static str;

    /// Returns what this instance offers; the same for its whole life.
    fn capabilities(&self) -> &Capabilities;

    /// Returns the powers beyond this trait; the same for the provider's whole life.
    fn extensions(&self) -> &Extensions;

    /// Asks whether the provider would serve a request now.
    ///
    /// # Behaviour
    /// - Healthy, with the latency in milliseconds.
    /// - A provider that cannot be reached is unhealthy, with a message that starts with `unreachable` and says why.
    /// - Makes nothing.
    async fn health(&self) -> Health;

    /// Makes one sandbox and returns once it takes commands.
    ///
    /// # Behaviour
    /// - Makes exactly one sandbox and returns its id, state, owner and warnings.
    /// - An image that does not exist is `NotFound` with subject `Image`.
    /// - Without `runtime.image` the provider's default image is used.
    /// - `runtime.workdir` and `env` hold for all commands.
    /// - A volume has what other sandboxes have written into it; one that does not exist is `NotFound` with subject `Volume`.
    /// - `runtime.command` runs in the new sandbox; when it fails, provision fails with `FailedPrecondition`, subject
    ///   `InitialCommand` and its output in [`Error::output`](crate::Error::output), and leaves no sandbox.
    /// - `runtime.main` runs when provision answers, beside that command; provision does not wait for its end. When it ends, the sandbox
    ///   ends with the reason `Exited` and its exit status, and a provision that is under way fails. Nothing can be written to its input.
    ///   A missing program fails provision as it fails `exec`, and leaves no sandbox, where `capabilities.exec.tells_missing_program`.
    /// - Without `runtime.main` there is no main process, whatever the image: what an image sets as its own command (`ENTRYPOINT` and
    ///   `CMD`) is not run, in a restored sandbox neither. Such a sandbox runs until its times are over or `destroy`.
    /// - `readiness` is waited for after that command: it is about the sandbox, and about what the command started. A probe is tried
    ///   until its first success; when it has none within the provider's limit, provision fails with `Timeout`, subject `Sandbox`, and
    ///   leaves no sandbox.
    /// - `duration.max_seconds` ends the sandbox; without it, it lives 24 hours at most.
    /// - The same `key` and spec give the same sandbox, even if it has ended; the same key and another spec is
    ///   `AlreadyExists` with subject `Name`.
    /// - A `name` that a running sandbox has is `AlreadyExists` with subject `Name`.
    /// - A provision that fails or is dropped leaves no sandbox.
    async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo>;

    /// Describes a sandbox.
    ///
    /// # Behaviour
    /// - `running` for a live one; `abandoned` where the provider can tell that its owner is gone.
    /// - `terminated` for one that has ended, with reason and exit code where known.
    /// - `terminated` with reason `Unknown` for an id that the provider does not know; not an error.
    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo>;

    /// Lists sandboxes, newest first.
    ///
    /// # Requires
    /// `capabilities.identity.list`; `capabilities.identity.tags` for a filter by tags, `capabilities.identity.names` for one by name.
    ///
    /// # Behaviour
    /// - Ended sandboxes are left out unless asked for; the provider may have forgotten old ones.
    /// - All given tags must match.
    async fn list(&self, filter: ListFilter) -> Result<Vec<SandboxInfo>>;

    /// Starts a command and returns once it runs.
    ///
    /// # Behaviour
    /// - The argument vector reaches the program as it is; no shell is involved.
    /// - `cwd` and `env` hold for this command only, and travel as data.
    /// - Variables come, each over the one before, from the image, the sandbox and the command.
    /// - A missing program is `NotFound` and one that may not be executed `PermissionDenied`, with subject `Program`, where
    ///   `capabilities.exec.tells_missing_program`; elsewhere the kind may be `InvalidArgument`.
    /// - A missing `cwd` is `NotFound` with subject `WorkingDirectory`.
    /// - At `timeout_ms` the command and what it started are killed, and its status is `TimedOut`.
    /// - An `exec_id` that is known attaches to that command, which runs once. Another spec under a known id starts nothing: it is
    ///   `AlreadyExists` with subject `Exec` where the provider can tell, and attaches elsewhere.
    /// - An unknown or ended sandbox is `NotFound` with subject `Sandbox`.
    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>>;

    /// Follows a command that was started earlier, also by another process.
    ///
    /// # Requires
    /// `capabilities.exec.attach`.
    ///
    /// # Behaviour
    /// - Its output can be read from offset 0, and its status waited for, also when it has ended.
    /// - An unknown command is `NotFound` with subject `Exec`; an unknown sandbox has subject `Sandbox`.
    /// - Dropping this session only detaches.
    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>>;

    /// Keeps a sandbox's file system (or memory).
    ///
    /// # Requires
    /// `capabilities.snapshot`; `capabilities.snapshots.memory` for memory.
    ///
    /// # Behaviour
    /// - Commands run on; what they wrote before the call is in the snapshot.
    /// - The reference carries this provider's name, its own id, the time and the kind, and serialises.
    /// - An unknown sandbox is `NotFound` with subject `Sandbox`; so is an ended one, unless
    ///   `capabilities.snapshots.after_end`.
    async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef>;

    /// Makes a new sandbox from a snapshot.
    ///
    /// # Requires
    /// `capabilities.snapshot`.
    ///
    /// # Behaviour
    /// - A new id; the file system is that of the snapshot.
    /// - The spec applies as in `provision`; its `runtime.image` must be empty.
    /// - Another provider's reference is `InvalidArgument`; an unknown one `NotFound`; subject `Snapshot`.
    async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo>;

    /// Ends a sandbox and all that runs in it.
    ///
    /// # Behaviour
    /// - Once it returns, `inspect` says `terminated`, and no process of the sandbox is left.
    /// - An unknown or ended sandbox is success.
    /// - A failure that may have left it running is an error; its retry is safe.
    async fn destroy(&self, id: &SandboxId) -> Result<()>;

    /// Holds all processes of a sandbox.
    ///
    /// # Requires
    /// `capabilities.pause`.
    async fn pause(&self, id: &SandboxId) -> Result<()>;

    /// Releases a sandbox that `pause` holds; a running one is success.
    ///
    /// # Requires
    /// `capabilities.pause`.
    async fn resume(&self, id: &SandboxId) -> Result<()>;

    /// Starts an ended sandbox again, or a running one anew, with its id and disk.
    ///
    /// # Requires
    /// `capabilities.restart`.
    async fn restart(&self, id: &SandboxId) -> Result<()>;

    /// Reads the output of a sandbox's main process, also after it ended.
    ///
    /// # Requires
    /// `capabilities.logs`.
    async fn logs(&self, id: &SandboxId, stream: OutputStream, offset: u64) -> Result<Box<dyn OutputReader>>;

    /// Ends the sandboxes whose owner is gone.
    ///
    /// # Requires
    /// `capabilities.identity.owners`.
    ///
    /// # Behaviour
    /// - Owners of this machine are judged by their process, others by an expired lease.
    /// - Detached sandboxes and those of live owners are left alone.
    async fn gc(&self) -> Result<GcReport>;
}
