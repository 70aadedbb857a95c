//! The file helper: an exec of one fixed program with one JSON argument, which clients take for a program in the sandbox
//! (modal-protocol, section 6). The server does the work itself, below the sandbox's root, and shows it as an exec whose
//! output and exit are kept in the store's folder for a while. The content of a file that is read is no output: it comes from the
//! sandbox when it is taken.

mod content;
mod entry;
mod exec;
mod failure;
mod operation;
mod watch;

pub(super) use content::Content;
pub(crate) use exec::FileExec;

use crate::shared::Shared;
use openlattice_engine::{ExecId, SandboxId};
use openlattice_modal_proto::task_command_router::TaskExecStartRequest;
use operation::Operation;
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tonic::Status;

/// Path by which clients name the helper.
pub(super) const PROGRAM: &str = "/__modal/.bin/modal-sandbox-fs-tools";
/// How long output and exit are kept after the last change. Clients read them right after the end.
const KEPT: Duration = Duration::from_secs(900);
/// How often old ones are looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);

/// The helper's execs: those under way in memory, ended ones in the folder.
#[derive(Debug)]
pub(crate) struct FileExecs {
    folder: PathBuf,
    live: Mutex<HashMap<(SandboxId, ExecId), Arc<FileExec>>>,
}

impl FileExecs {
    /// Execs kept below `folder`, which is made when the first one starts.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, live: Mutex::default() }
    }

    fn path(&self, sandbox: &SandboxId, id: &ExecId) -> PathBuf {
        self.folder.join(sandbox.as_str()).join(id.as_str())
    }

    fn live(&self, sandbox: &SandboxId, id: &ExecId) -> Option<Arc<FileExec>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.get(&(sandbox.clone(), id.clone())).cloned()
    }

    /// The exec of an id, under way or ended; `None` when the id is none of the helper's. `UNAVAILABLE` while another
    /// server of the store runs it.
    pub(super) async fn find(
        &self,
        sandbox: &SandboxId,
        id: &ExecId,
    ) -> Result<Option<Arc<FileExec>>, Status> {
        if let Some(exec) = self.live(sandbox, id) {
            return Ok(Some(exec));
        }
        let path = self.path(sandbox, id);
        // Every call about a command asks this, and it is mostly none of the helper's: looked up where we are, since the way to
        // a thread that may block and back costs more.
        if !path.exists() {
            return Ok(None);
        }
        let kept = tokio::task::spawn_blocking(move || FileExec::load(&path)).await;
        match kept.map_err(|error| Status::internal(error.to_string()))? {
            Ok(kept) => Ok(kept.map(Arc::new)),
            // It may be ours and have started meanwhile.
            Err(exec::StillRuns) => match self.live(sandbox, id) {
                Some(exec) => Ok(Some(exec)),
                None => Err(Status::unavailable("another server of this store runs the operation")),
            },
        }
    }

    /// Makes the folder of a new exec; `None` when the id is known.
    fn begin(
        &self,
        sandbox: &SandboxId,
        id: &ExecId,
        input: exec::Input,
    ) -> io::Result<Option<Arc<FileExec>>> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(exec) = FileExec::make(&self.path(sandbox, id), input)? else { return Ok(None) };
        let exec = Arc::new(exec);
        live.insert((sandbox.clone(), id.clone()), exec.clone());
        Ok(Some(exec))
    }

    fn end(&self, sandbox: &SandboxId, id: &ExecId) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(&(sandbox.clone(), id.clone()));
    }

    /// Removes what was not changed for long, and the folders of sandboxes that hold nothing any more. Blocks.
    pub(crate) fn sweep(&self) {
        for sandbox in entries(&self.folder) {
            for exec in entries(&sandbox).iter().filter(|exec| is_old(exec) && !self.is_live(exec)) {
                if let Err(error) = fs::remove_dir_all(exec) {
                    tracing::warn!(%error, path = %exec.display(), "cannot remove old output");
                }
            }
            // Fails while something is left in it, which is meant.
            fs::remove_dir(&sandbox).unwrap_or_default();
        }
    }

    fn is_live(&self, path: &Path) -> bool {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.keys().any(|(sandbox, id)| self.path(sandbox, id) == *path)
    }
}

/// Starts the helper on a request's JSON. A known id starts nothing and succeeds.
pub(super) async fn start(
    shared: &Arc<Shared>,
    sandbox: SandboxId,
    id: ExecId,
    request: &TaskExecStartRequest,
) -> Result<(), Status> {
    let gone = |text: String| Status::not_found(text);
    let info = shared.engine.sandbox(&sandbox).await.map_err(|error| gone(error.to_string()))?;
    if !info.is_living() {
        return Err(gone(format!("sandbox {sandbox} has ended")));
    }
    let operation = match request.command_args.as_slice() {
        [_, json] => Operation::parse(json),
        _ => Err(failure::Failure::argument("the helper takes one argument")),
    };
    let taken = operation.as_ref().map_or(exec::Taken::Nothing, Operation::input);
    let (input, chunks) = exec::input(taken);
    let (owner, key) = (shared.clone(), (sandbox.clone(), id.clone()));
    let begun = tokio::task::spawn_blocking(move || owner.file_execs.begin(&key.0, &key.1, input));
    let begun = begun.await.map_err(|error| Status::internal(error.to_string()))?;
    let Some(exec) = begun.map_err(|error| Status::internal(format!("output folder: {error}")))? else {
        return Ok(());
    };
    let timeout = request.timeout_secs.filter(|secs| *secs > 0).map(|secs| Duration::from_secs(secs.into()));
    let shared = shared.clone();
    let (begun, in_place) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let files = shared.engine.files(&sandbox);
        exec.run(operation::run(&files, operation, &exec, chunks, begun), timeout).await;
        shared.file_execs.end(&sandbox, &id);
    });
    if taken == exec::Taken::End {
        // What happens after the answer is told. A watch that failed tells that as its exit.
        let _ = in_place.await;
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// True when neither the folder nor a file in it was changed for long.
fn is_old(exec: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let newest = entries(exec).iter().filter_map(|path| changed(path)).chain(changed(exec)).max();
    newest.is_some_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > KEPT))
}
