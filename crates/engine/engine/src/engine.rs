//! The handle that everything starts from.

use crate::{
    agent::{Connected, Turns},
    config::{EngineConfig, GcReport, GcSpec},
    error::{Error, ErrorKind, Result},
    exec::{self, ExecSpec, ExecState, OutputReader, OutputStream, StdinState, TerminalSize},
    files::Files,
    id::{ExecId, SandboxId},
    image::{self, ImageInfo, PullSpec, SnapshotSpec, pull::Pulls},
    lifecycle::{self, tidy::Tidier},
    ports::{self, PublishedPort},
    probe::{self, Probe},
    sandbox::{SandboxFilter, SandboxInfo, SandboxSpec},
    store::{Phase, Store},
    watch::Watcher,
};
use std::{
    collections::BTreeMap,
    future::Future,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// An open store. Cheap to clone, shared by any number of tasks; needs a tokio runtime with its I/O and time drivers, and may be
/// used from several of them.
#[derive(Clone, Debug)]
pub struct Engine(Arc<Inner>);

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) config: EngineConfig,
    watcher: Mutex<Option<Arc<Watcher>>>,
    turns: Turns,
    /// Fingerprint of the machine's image, and when it was taken.
    pub(crate) host: Mutex<Option<(Instant, String)>>,
    /// Pulls under way.
    pub(crate) pulls: Pulls,
    /// Cleans up in the background.
    pub(crate) tidier: Tidier,
}

impl Inner {
    /// The watching thread, started at first use.
    pub(crate) fn watcher(&self) -> Result<Arc<Watcher>> {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*watcher {
            return Ok(Arc::clone(running));
        }
        let started = Arc::new(Watcher::start()?);
        *watcher = Some(Arc::clone(&started));
        Ok(started)
    }
}

impl Engine {
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Connects to the agent of a sandbox when it is this call's turn. `FailedPrecondition` when the sandbox has ended.
    pub(crate) async fn agent(&self, id: &SandboxId) -> Result<Connected> {
        self.0.turns.connect(id, &self.0.store.sandbox_dir(id)).await
    }

    /// Runs `work` where it may block. It always runs to its end, also when the future is dropped.
    pub(crate) async fn blocking<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnOnce(&Inner) -> Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        joined(tokio::task::spawn_blocking(move || work(&inner)).await)
    }

    /// Runs `work` in a task of its own, which goes on when the future is dropped; its outcome is dropped then.
    pub(crate) async fn detached<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        joined(tokio::spawn(work).await)
    }
}

fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => {
                Err(Error::new(ErrorKind::Internal, "the tokio runtime is shutting down").with_source(error))
            }
        },
    }
}

impl Engine {
    /// Opens (or makes) a store. What a crashed process left half done is finished or undone by who uses it, and by [`Self::gc`].
    ///
    /// # Errors
    /// `Unsupported` when a newer version has laid the store out; `PermissionDenied` and `ResourceExhausted` as the file system says.
    pub async fn open(config: EngineConfig) -> Result<Self> {
        let open = move || {
            let inner = Inner {
                store: Store::open(&config.state_dir)?,
                config,
                watcher: Mutex::default(),
                turns: Turns::default(),
                host: Mutex::default(),
                pulls: Pulls::default(),
                tidier: Tidier::default(),
            };
            Ok(Self(Arc::new(inner)))
        };
        joined(tokio::task::spawn_blocking(open).await)
    }

    /// The store's own id (8 lower-case letters or digits), in the names of its control groups.
    #[must_use]
    pub fn store_id(&self) -> &str {
        self.0.store.id()
    }

    /// Resolves an image by name or id. `host` always exists; it is built at its first use and again when the host's `/usr` has
    /// changed. A name without tag means `:latest` where only that exists, and the other way round.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn image(&self, reference: &str) -> Result<ImageInfo> {
        self.image_row(reference).await.map(|row| row.info)
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn images(&self) -> Result<Vec<ImageInfo>> {
        image::resolve::list(self).await
    }

    /// Imports an OCI layout (folder or tar) or a `docker save` archive under a name; an existing name moves, and an image that
    /// loses its last name so is removed by `gc` a day later. Goes on in the background when the future is dropped.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed name or archive, `NotFound` without a file, `Unsupported` without root or for another
    /// platform's image.
    pub async fn import_image(&self, name: &str, archive: &Path) -> Result<ImageInfo> {
        image::import::import(self, name, archive).await
    }

    /// The image of a reference: the store's where it has one of that name, else its registry's, which is then kept under that name.
    /// Several calls for one image share one pull. `host` and ids never lead to a registry.
    ///
    /// # Errors
    /// As [`Self::pull_image`].
    pub async fn ensure_image(&self, spec: PullSpec) -> Result<ImageInfo> {
        image::pull::ensure(self, spec).await
    }

    /// Pulls an image from its registry by the OCI distribution protocol, whatever the store has, and keeps it under its reference, as
    /// an import does; layers that are there already are not downloaded. TLS always, but for registries on loopback. Dropping the
    /// future, or a failure, leaves nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no reference, `FailedPrecondition` for a damaged image, `NotFound` when the registry has none,
    /// `Unauthenticated` and `PermissionDenied` when it wants other credentials, `Unavailable` when it cannot be reached,
    /// `Unsupported` without root or for another platform's image.
    pub async fn pull_image(&self, spec: PullSpec) -> Result<ImageInfo> {
        image::pull::pull(self, spec).await
    }

    /// Removes an image.
    ///
    /// # Errors
    /// `FailedPrecondition` while a living sandbox uses it and for `host`; `NotFound` when there is none.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        image::remove::remove(self, reference).await
    }

    /// Creates a sandbox and returns when it is ready for commands and its main command runs. Dropping the future, or a failure,
    /// leaves nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for wrong values, `NotFound` for the image, `AlreadyExists` for a taken id or name, `ProgramNotFound` and
    /// `ProgramNotExecutable` for the main command, `Unsupported` without root or on a kernel that lacks something.
    pub async fn create(&self, spec: SandboxSpec) -> Result<SandboxInfo> {
        lifecycle::create::create(self, spec).await
    }

    /// What is known of a sandbox. Ended ones stay known (7 days) with their result.
    ///
    /// # Errors
    /// `NotFound` for unknown ones.
    pub async fn sandbox(&self, id: &SandboxId) -> Result<SandboxInfo> {
        self.row(id).await.map(|row| row.info)
    }

    /// The living sandbox of a name in a scope (or with `include_ended` the newest that had it).
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn sandbox_by_name(&self, scope: &str, name: &str, include_ended: bool) -> Result<SandboxInfo> {
        let (scope, name) = (scope.to_owned(), name.to_owned());
        self.blocking(move |inner| inner.by_name(&scope, &name, include_ended)).await
    }

    /// Sandboxes, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sandboxes(&self, filter: &SandboxFilter) -> Result<Vec<SandboxInfo>> {
        let filter = filter.clone();
        self.blocking(move |inner| inner.list(&filter)).await
    }

    /// Waits until it has ended, or `timeout` has passed (then the info says running). Cancel-safe.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn wait(&self, id: &SandboxId, timeout: Option<Duration>) -> Result<SandboxInfo> {
        lifecycle::wait::wait(self, id, timeout).await
    }

    /// Ends a sandbox: kills everything in it and frees what the kernel holds; the result of one that has ended already is kept. Returns
    /// when nothing runs any more. Its files are gone then, unless its spec keeps them; its output stays readable as long as
    /// [`EngineConfig::output_retention`] says, its result for 7 days. Goes on when the future is dropped.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn terminate(&self, id: &SandboxId) -> Result<SandboxInfo> {
        lifecycle::terminate::terminate(self, id).await
    }

    /// Ends a sandbox and removes all of it: files, output, result, name. Goes on when the future is dropped.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn remove(&self, id: &SandboxId) -> Result<()> {
        lifecycle::remove::remove(self, id).await
    }

    /// Replaces the tags.
    ///
    /// # Errors
    /// `NotFound` for an unknown one, `InvalidArgument` for too many or too long ones.
    pub async fn set_tags(&self, id: &SandboxId, tags: BTreeMap<String, String>) -> Result<()> {
        let id = id.clone();
        self.blocking(move |inner| inner.set_tags(&id, &tags)).await
    }

    /// Takes a living sandbox that another call made for one's own, as a repeated request does: from then on [`Self::take_back`] by that
    /// call, and the undoing of its creation, leave it alone. `None` when it has ended or its end was begun.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn adopt(&self, id: &SandboxId) -> Result<Option<SandboxInfo>> {
        let id = id.clone();
        self.blocking(move |inner| {
            let adopted = inner.store.adopt(&id, crate::id::random_birth())?;
            let info = inner.store.sandbox_row(&id)?.info;
            Ok(adopted.then_some(info))
        })
        .await
    }

    /// Ends a sandbox that one's own call has created or adopted, as `info` describes it, unless another call has adopted it since. Goes
    /// on when the future is dropped.
    ///
    /// # Errors
    /// `Unavailable` when something in it does not die.
    pub async fn take_back(&self, info: &SandboxInfo) -> Result<()> {
        lifecycle::terminate::take_back(self, info).await
    }

    /// Makes a living sandbox whose owner is gone this process's own, and replaces the free text beside it; says whether it did.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn take_over(&self, id: &SandboxId, note: &str) -> Result<bool> {
        let (id, note) = (id.clone(), note.to_owned());
        self.blocking(move |inner| inner.take_over(&id, &note)).await
    }

    /// Names an unnamed, living sandbox.
    ///
    /// # Errors
    /// `AlreadyExists` when taken, `FailedPrecondition` when named or ended, `NotFound` for an unknown one.
    pub async fn set_name(&self, id: &SandboxId, name: &str) -> Result<()> {
        let (id, name) = (id.clone(), name.to_owned());
        self.blocking(move |inner| inner.set_name(&id, &name)).await
    }

    /// Makes an image of the file system as it is; a running sandbox is frozen for the time of the copy only. Goes on when the
    /// future is dropped.
    ///
    /// # Errors
    /// `NotFound` for an unknown sandbox, `FailedPrecondition` when its folder or its image is gone or the host has restarted since it
    /// ran, `ResourceExhausted` without space.
    pub async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<ImageInfo> {
        image::snapshot::snapshot(self, id, spec).await
    }

    /// Ends what nobody owns any more and removes what nothing uses, and what `spec` says besides.
    ///
    /// # Errors
    /// The first failure; what was done by then stays done.
    pub async fn gc(&self, spec: GcSpec) -> Result<GcReport> {
        self.blocking(move |inner| lifecycle::gc::round(inner, &spec)).await
    }

    /// Does as [`gc`](Self::gc) in the background, on a thread, once a minute at most for the whole store, as long as a clone of this engine
    /// lives. Every front that people start does it; calling it again changes nothing.
    pub fn keep_tidy(&self) {
        Tidier::start(&self.0);
    }

    /// Starts a command; returns when the program runs. A dropped future leaves the command of a caller's id running, because a
    /// repeated call finds it; one whose id nobody knows is killed.
    ///
    /// # Errors
    /// `ProgramNotFound` / `ProgramNotExecutable` when it cannot run, `FailedPrecondition` when the sandbox has ended, `NotFound` when it
    /// is unknown, `InvalidArgument` for wrong values, an unknown user and a working directory that cannot be entered,
    /// `ResourceExhausted` when too many run or no terminal is left, `Unsupported` for a terminal in a sandbox that was made by a version
    /// without.
    pub async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<ExecId> {
        exec::start::start(self, id, spec).await
    }

    /// State of a command now.
    ///
    /// # Errors
    /// `NotFound` for an unknown one, also once its sandbox's folder is removed.
    pub async fn exec_state(&self, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
        exec::state::now(self, id, exec).await
    }

    /// Waits for its end. Cancel-safe.
    ///
    /// # Errors
    /// As [`Self::exec_state`].
    pub async fn exec_wait(&self, id: &SandboxId, exec: &ExecId) -> Result<ExecState> {
        exec::state::wait(self, id, exec).await
    }

    /// Reads output from `offset` on, live. A reader that keeps up loses nothing at any size: what lies
    /// [`EngineConfig::output_window`] behind every reader is taken off the disk while the command runs, and a reader that is behind
    /// holds the command up as a full pipe would. The reader counts from its first byte to when it is dropped, or its process ends.
    ///
    /// # Errors
    /// As [`Self::exec_state`]; `OutOfRange` when the output at `offset` was taken off the disk.
    pub async fn output(
        &self,
        id: &SandboxId,
        exec: &ExecId,
        stream: OutputStream,
        offset: u64,
    ) -> Result<OutputReader> {
        OutputReader::open(self, id, exec, stream, offset).await
    }

    /// Offers input that starts at `offset`; bytes already accepted are skipped. `eof` closes the input after it (whatever the
    /// offset when `data` is empty); repeating what was accepted before the close succeeds. Returns the state after it.
    ///
    /// Waits while [`EngineConfig::output_window`] and half as much again wait to be read, for at most
    /// [`EngineConfig::reader_patience`] when the command does not read, and while the quota is used up. Cancel-safe: nothing was accepted
    /// then, or all of it was.
    ///
    /// # Errors
    /// `InvalidArgument` for a gap, `FailedPrecondition` when closed or the command has ended, also while this waits,
    /// `ResourceExhausted` for more at once than the quota, `NotFound` for an unknown command.
    pub async fn write_stdin(
        &self,
        id: &SandboxId,
        exec: &ExecId,
        offset: u64,
        data: &[u8],
        eof: bool,
    ) -> Result<StdinState> {
        exec::stdin::write(self, id, exec, offset, data, eof).await
    }

    /// How far input got.
    ///
    /// # Errors
    /// `NotFound` for an unknown command.
    pub async fn stdin_state(&self, id: &SandboxId, exec: &ExecId) -> Result<StdinState> {
        exec::stdin::state(self, id, exec).await
    }

    /// Sends a signal to a command's process group; SIGKILL to its whole tree.
    ///
    /// # Errors
    /// `FailedPrecondition` when it has ended, `NotFound` for an unknown one, `InvalidArgument` for no signal number.
    pub async fn signal(&self, id: &SandboxId, exec: &ExecId, signal: i32) -> Result<()> {
        exec::signal::send(self, id, exec, signal).await
    }

    /// Changes the size of a command's terminal; its processes in the foreground are told by SIGWINCH.
    ///
    /// # Errors
    /// `FailedPrecondition` when it has ended or has no terminal, `NotFound` for an unknown one, `Unsupported` in a sandbox that was
    /// made by a version without terminals.
    pub async fn resize(&self, id: &SandboxId, exec: &ExecId, size: TerminalSize) -> Result<()> {
        exec::terminal::resize(self, id, exec, size).await
    }

    /// Connects to a port of the sandbox's own loopback address, `127.0.0.1`, from outside. Cancel-safe. The connection keeps the
    /// sandbox's network namespace, and nothing else of it, alive until it is dropped. How long a connection may take to be accepted
    /// is for the caller to bound.
    ///
    /// # Errors
    /// `FailedPrecondition` when nothing listens there, or the sandbox is being made or has ended; `NotFound` for an unknown one;
    /// `PermissionDenied` without the right to enter its namespace.
    pub async fn connect(&self, id: &SandboxId, port: u16) -> Result<TcpStream> {
        crate::connect::connect(self, id, port).await
    }

    /// The published ports of a sandbox, in the order in which they were asked for. None are left of one that has ended.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn ports(&self, id: &SandboxId) -> Result<Vec<PublishedPort>> {
        let row = self.row(id).await?;
        if row.phase == Phase::Ended {
            return Ok(Vec::new());
        }
        self.blocking(move |inner| ports::read(&inner.store.sandbox_dir(&row.info.id))).await
    }

    /// Tries a sandbox until a probe passes, first at once, then every `interval`; one that keeps failing is tried ever less often, at
    /// least every hundredth of the time waited. Cancel-safe; how long it may take is for the caller to bound.
    ///
    /// # Errors
    /// `FailedPrecondition` when the sandbox ends before; `NotFound` for an unknown one.
    pub async fn until_ready(&self, id: &SandboxId, probe: &Probe, interval: Duration) -> Result<()> {
        probe::until_ready(self, id, probe, interval).await
    }

    /// File operations on a running sandbox.
    #[must_use]
    pub fn files(&self, id: &SandboxId) -> Files {
        Files::new(self, id)
    }
}
