//! One run of the helper as an exec: output in files that any reader takes by offset, input by offset, one exit.

use super::{content::Origin, failure::Failure};
use crate::{ids, router::exec::Exit};
use bytes::Bytes;
use openlattice_engine::OutputStream;
use std::{
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    future::Future,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Mutex, mpsc, watch};
use tonic::Status;

/// File that names the file that a run read.
const ORIGIN: &str = "origin";
/// Bytes sent to a reader at once.
const CHUNK: u64 = 256 << 10;
/// Pieces of content that wait to be written: so many that their writer is not woken for each.
const INPUT_PIECES: usize = 16;
/// A write whose content does not go on for so long is given up; nothing of it becomes a file.
const INPUT_PATIENCE: Duration = Duration::from_secs(600);
/// Signal that stands for a kill of ours.
const SIGKILL: i32 = 9;

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    stdout: u64,
    stderr: u64,
    exit: Option<Exit>,
}

/// What the input of a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// None is taken.
    Nothing,
    /// It is a file's content, which must keep coming.
    Content,
    /// Its end is a sign.
    End,
}

/// The writer's end of the input.
pub(super) struct Input {
    sender: Option<mpsc::Sender<Bytes>>,
    must_go_on: bool,
}

impl Input {
    fn none() -> Self {
        Self { sender: None, must_go_on: false }
    }
}

/// Both ends.
pub(super) fn input(taken: Taken) -> (Input, mpsc::Receiver<Bytes>) {
    let (sender, receiver) = mpsc::channel(INPUT_PIECES);
    let sender = (taken != Taken::Nothing).then_some(sender);
    (Input { sender, must_go_on: taken == Taken::Content }, receiver)
}

/// One run.
pub(crate) struct FileExec {
    folder: PathBuf,
    stdout: Arc<File>,
    stderr: Arc<File>,
    progress: watch::Sender<Progress>,
    /// The file that it read.
    origin: std::sync::Mutex<Option<Origin>>,
    /// Where content goes; nothing once no more is taken.
    stdin: Mutex<Option<mpsc::Sender<Bytes>>>,
    /// Bytes of content taken. Changed by whoever holds `stdin`.
    accepted: AtomicU64,
    input_seen: watch::Sender<()>,
    must_go_on: bool,
}

impl fmt::Debug for FileExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileExec").field("progress", &self.progress).finish_non_exhaustive()
    }
}

impl FileExec {
    /// Makes the folder of a new run; `None` when there is one.
    pub(super) fn make(folder: &Path, input: Input) -> io::Result<Option<Self>> {
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(folder.parent().unwrap_or(folder))?;
        match builder.recursive(false).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            other => other?,
        }
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let stderr = options.open(folder.join("stderr"))?;
        let unlocked = folder.join("stdout.new");
        let stdout = options.open(&unlocked)?;
        // Held until the run is over and dropped: other servers of the store see that it is not cut. It gets its name,
        // by which they know a run, with the lock on.
        stdout.lock()?;
        std::fs::rename(unlocked, folder.join("stdout"))?;
        Ok(Some(Self::of(folder, stdout, stderr, Progress::default(), input, 0)))
    }

    fn of(
        folder: &Path,
        stdout: File,
        stderr: File,
        progress: Progress,
        input: Input,
        accepted: u64,
    ) -> Self {
        Self {
            folder: folder.to_owned(),
            stdout: Arc::new(stdout),
            stderr: Arc::new(stderr),
            progress: watch::Sender::new(progress),
            origin: std::sync::Mutex::new(read_origin(folder)),
            stdin: Mutex::new(input.sender),
            accepted: AtomicU64::new(accepted),
            input_seen: watch::Sender::new(()),
            must_go_on: input.must_go_on,
        }
    }

    /// A run of before, from its folder; `None` when there is none. One without an exit was cut by the end of its server.
    ///
    /// # Errors
    /// While a server still runs it.
    pub(super) fn load(folder: &Path) -> Result<Option<Self>, StillRuns> {
        let open = |name: &str| File::open(folder.join(name)).ok();
        let Some(stdout) = open("stdout") else { return Ok(None) };
        let exit = match read_exit(&folder.join("exit")) {
            Some(exit) => exit,
            None if stdout.try_lock_shared().is_err() => return Err(StillRuns),
            // It may have ended between the two looks.
            None => read_exit(&folder.join("exit")).unwrap_or_else(|| mark_cut(folder)),
        };
        let Some(stderr) = open("stderr") else { return Ok(None) };
        let length = |file: &File| file.metadata().map_or(0, |meta| meta.len());
        let progress = Progress { stdout: length(&stdout), stderr: length(&stderr), exit: Some(exit) };
        Ok(Some(Self::of(folder, stdout, stderr, progress, Input::none(), read_accepted(folder))))
    }

    /// Runs `work` to its end, which becomes the exit.
    pub(super) async fn run(
        &self,
        work: impl Future<Output = Result<(), Failure>>,
        timeout: Option<Duration>,
    ) {
        let limit = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            done = work => done,
            () = limit => return self.finish(Exit::Signal(SIGKILL)).await,
            () = self.input_stalls() => Err(Failure::new("Unknown", "the content stopped arriving")),
        };
        let exit = match done {
            Ok(()) => Exit::Code(0),
            Err(failure) if failure.is_kill() => Exit::Signal(SIGKILL),
            Err(failure) => {
                let text = serde_json::to_vec(&failure).unwrap_or_default();
                if let Err(error) = self.append(OutputStream::Stderr, text.into()).await {
                    tracing::warn!(%error, "cannot keep an error text");
                }
                Exit::Code(1)
            }
        };
        self.finish(exit).await;
    }

    /// Completes when input is needed and none came for long.
    async fn input_stalls(&self) {
        if !self.must_go_on {
            return std::future::pending().await;
        }
        let mut seen = self.input_seen.subscribe();
        while tokio::time::timeout(INPUT_PATIENCE, seen.changed()).await.is_ok() {}
        if self.stdin.lock().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    async fn finish(&self, exit: Exit) {
        let (folder, accepted) = (self.folder.clone(), self.accepted.load(Ordering::Acquire));
        let keep = move || write_accepted(&folder, accepted).and_then(|()| write_exit(&folder, exit));
        match tokio::task::spawn_blocking(keep).await {
            Ok(Ok(())) => {}
            // The exit is told to those who wait now; after a restart the run counts as cut.
            Ok(Err(error)) => tracing::warn!(%error, "cannot keep an exit"),
            Err(error) => tracing::warn!(%error, "cannot keep an exit"),
        }
        self.progress.send_modify(|progress| progress.exit = Some(exit));
    }

    /// The file that it read, if it did.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says which file it read: its content comes from there.
    pub(super) async fn set_origin(&self, origin: Origin) -> io::Result<()> {
        let (path, text) = (self.folder.join(ORIGIN), serde_json::to_vec(&origin)?);
        let keep = move || std::fs::write(path, text);
        tokio::task::spawn_blocking(keep).await.map_err(io::Error::other)??;
        *self.origin.lock().unwrap_or_else(PoisonError::into_inner) = Some(origin);
        Ok(())
    }

    /// Adds to an output.
    pub(super) async fn append(&self, stream: OutputStream, data: Bytes) -> io::Result<()> {
        let file = self.file(stream);
        let length = data.len() as u64;
        tokio::task::spawn_blocking(move || (&*file).write_all(&data)).await.map_err(io::Error::other)??;
        self.progress.send_modify(|progress| match stream {
            OutputStream::Stdout => progress.stdout += length,
            OutputStream::Stderr => progress.stderr += length,
        });
        Ok(())
    }

    fn file(&self, stream: OutputStream) -> Arc<File> {
        match stream {
            OutputStream::Stdout => self.stdout.clone(),
            OutputStream::Stderr => self.stderr.clone(),
        }
    }

    /// The next bytes of an output from `offset` on; waits for them; `None` at the end.
    pub(in crate::router) async fn read(
        &self,
        stream: OutputStream,
        offset: u64,
    ) -> Result<Option<Bytes>, Status> {
        let mut progress = self.progress.subscribe();
        let reached = |progress: &Progress| match stream {
            OutputStream::Stdout => progress.stdout,
            OutputStream::Stderr => progress.stderr,
        };
        let more = progress.wait_for(|progress| reached(progress) > offset || progress.exit.is_some()).await;
        let end = more.map(|progress| reached(&progress)).map_err(|_| Status::internal("the run is gone"))?;
        if end <= offset {
            return Ok(None);
        }
        let file = self.file(stream);
        let length = usize::try_from((end - offset).min(CHUNK)).unwrap_or(usize::MAX);
        let read = tokio::task::spawn_blocking(move || {
            let mut buffer = vec![0; length];
            file.read_exact_at(&mut buffer, offset).map(|()| Bytes::from(buffer))
        });
        let read = read.await.map_err(|error| Status::internal(error.to_string()))?;
        read.map(Some).map_err(|error| Status::internal(format!("kept output: {error}")))
    }

    /// Whether somebody waits for output now.
    pub(super) fn is_read(&self) -> bool {
        self.progress.receiver_count() > 0
    }

    /// The exit, once there is one.
    pub(in crate::router) fn exit(&self) -> Option<Exit> {
        self.progress.borrow().exit
    }

    /// Waits for the exit.
    pub(in crate::router) async fn ended(&self) -> Exit {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.exit.is_some()).await;
        ended.ok().and_then(|progress| progress.exit).unwrap_or(Exit::Signal(SIGKILL))
    }

    /// Offers content from `offset` on: what came before is skipped, a gap refused. `FAILED_PRECONDITION` when no more
    /// is taken; the exit is visible by then.
    pub(in crate::router) async fn write(&self, offset: u64, data: Bytes, eof: bool) -> Result<(), Status> {
        let mut stdin = self.stdin.lock().await;
        let end = offset.saturating_add(data.len() as u64);
        let accepted = self.accepted.load(Ordering::Acquire);
        if offset > accepted && !data.is_empty() {
            return Err(Status::invalid_argument(format!("offset {offset} leaves a gap after {accepted}")));
        }
        let skipped = usize::try_from(accepted.saturating_sub(offset)).unwrap_or(usize::MAX);
        let fresh = data.slice(skipped.min(data.len())..);
        let sender = match &*stdin {
            Some(sender) => sender.clone(),
            None if fresh.is_empty() => return Ok(()),
            None => return Err(self.closed().await),
        };
        self.input_seen.send_replace(());
        if !fresh.is_empty() {
            // Counted in the same step as it is sent, so that a caller who goes away in between loses nothing.
            let Ok(place) = sender.reserve().await else { return Err(self.closed().await) };
            self.accepted.store(end, Ordering::Release);
            place.send(fresh);
        }
        if eof {
            let Ok(place) = sender.reserve().await else { return Err(self.closed().await) };
            // An empty chunk says that the content is complete.
            place.send(Bytes::new());
            *stdin = None;
        }
        Ok(())
    }

    async fn closed(&self) -> Status {
        self.ended().await;
        Status::failed_precondition("the operation takes no more input")
    }

    /// Bytes accepted, and whether no more is taken.
    pub(in crate::router) async fn stdin_state(&self) -> (u64, bool) {
        let stdin = self.stdin.lock().await;
        (self.accepted.load(Ordering::Acquire), stdin.is_none())
    }
}

/// A run that a server has under way.
#[derive(Debug)]
pub(super) struct StillRuns;

/// Gives a cut run its error text and exit. Where the files cannot be written, the next look does it again.
fn mark_cut(folder: &Path) -> Exit {
    let failure = Failure::new("Unknown", "the server was restarted during the operation");
    let text = serde_json::to_vec(&failure).unwrap_or_default();
    let marked = std::fs::write(folder.join("stderr"), text).and_then(|()| write_exit(folder, Exit::Code(1)));
    if let Err(error) = marked {
        tracing::warn!(%error, "cannot keep an exit");
    }
    Exit::Code(1)
}

fn read_origin(folder: &Path) -> Option<Origin> {
    serde_json::from_slice(&std::fs::read(folder.join(ORIGIN)).ok()?).ok()
}

/// Before the exit: a client whose stream broke asks after the end how much was taken.
fn write_accepted(folder: &Path, accepted: u64) -> io::Result<()> {
    if accepted == 0 { Ok(()) } else { std::fs::write(folder.join("accepted"), accepted.to_string()) }
}

fn read_accepted(folder: &Path) -> u64 {
    let text = std::fs::read_to_string(folder.join("accepted")).unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// Whole or not at all: a reader that finds the file finds the exit.
fn write_exit(folder: &Path, exit: Exit) -> io::Result<()> {
    let text = match exit {
        Exit::Code(code) => format!("code {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    };
    let temporary = folder.join(format!("exit.{}", ids::random(8)));
    std::fs::write(&temporary, text)?;
    std::fs::rename(temporary, folder.join("exit"))
}

fn read_exit(path: &Path) -> Option<Exit> {
    let mut text = String::new();
    File::open(path).ok()?.take(64).read_to_string(&mut text).ok()?;
    let (kind, number) = text.split_once(' ')?;
    let number = number.parse().ok()?;
    match kind {
        "code" => Some(Exit::Code(number)),
        "signal" => Some(Exit::Signal(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(taken: Taken) -> (tempfile::TempDir, FileExec, mpsc::Receiver<Bytes>) {
        let folder = tempfile::tempdir().unwrap();
        let (input, chunks) = input(taken);
        let exec = FileExec::make(&folder.path().join("sb/e"), input).unwrap().unwrap();
        (folder, exec, chunks)
    }

    #[tokio::test]
    async fn output_is_read_from_any_offset_while_it_grows_and_after() {
        let (folder, exec, _chunks) = exec(Taken::Nothing);
        let text = || Bytes::from_static(b"hello");
        let (read, appended) =
            tokio::join!(exec.read(OutputStream::Stdout, 3), exec.append(OutputStream::Stdout, text()));
        appended.unwrap();
        assert_eq!(read.unwrap().unwrap(), "lo");
        exec.run(async { Ok(()) }, None).await;
        assert_eq!(exec.read(OutputStream::Stdout, 5).await.unwrap(), None);
        assert_eq!(exec.read(OutputStream::Stdout, 99).await.unwrap(), None);
        let again = FileExec::load(&folder.path().join("sb/e")).unwrap().unwrap();
        assert_eq!(again.read(OutputStream::Stdout, 0).await.unwrap().unwrap(), "hello");
        assert_eq!(again.exit(), Some(Exit::Code(0)));
    }

    #[tokio::test]
    async fn a_run_cut_by_a_restart_failed() {
        let (folder, cut, _chunks) = exec(Taken::Nothing);
        drop(cut);
        let again = FileExec::load(&folder.path().join("sb/e")).unwrap().unwrap();
        assert_eq!(again.ended().await, Exit::Code(1));
        let text = again.read(OutputStream::Stderr, 0).await.unwrap().unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&text).unwrap()["message"].is_string());
    }

    #[tokio::test]
    async fn a_known_id_starts_nothing() {
        let (folder, _exec, _chunks) = exec(Taken::Nothing);
        assert!(FileExec::make(&folder.path().join("sb/e"), Input::none()).unwrap().is_none());
        assert!(FileExec::load(&folder.path().join("sb/other")).unwrap().is_none());
        assert!(FileExec::load(&folder.path().join("sb/e")).is_err(), "it still runs");
    }

    #[tokio::test]
    async fn repeated_bytes_are_skipped_and_gaps_refused() {
        let (_folder, exec, mut chunks) = exec(Taken::Content);
        exec.write(0, "abc".into(), false).await.unwrap();
        exec.write(1, "bcde".into(), false).await.unwrap();
        assert_eq!(exec.write(9, "x".into(), false).await.unwrap_err().code(), tonic::Code::InvalidArgument);
        assert_eq!(exec.stdin_state().await, (5, false));
        exec.write(0, Bytes::new(), true).await.unwrap();
        exec.write(0, "abcde".into(), true).await.unwrap();
        assert_eq!(exec.stdin_state().await, (5, true));
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            seen.push(chunk);
        }
        assert_eq!(seen, ["abc", "de", ""]);
    }

    #[tokio::test]
    async fn what_was_taken_is_known_after_the_end() {
        let (folder, exec, _chunks) = exec(Taken::Content);
        exec.write(0, "abc".into(), true).await.unwrap();
        exec.run(async { Ok(()) }, None).await;
        let again = FileExec::load(&folder.path().join("sb/e")).unwrap().unwrap();
        assert_eq!(again.stdin_state().await, (3, true));
        again.write(0, "abc".into(), true).await.unwrap();
    }

    #[tokio::test]
    async fn input_after_the_end_fails_once_the_exit_shows() {
        let (_folder, exec, chunks) = exec(Taken::Content);
        drop(chunks);
        let (written, ()) =
            tokio::join!(exec.write(0, "abc".into(), false), exec.run(async { Ok(()) }, None));
        assert_eq!(written.unwrap_err().code(), tonic::Code::FailedPrecondition);
        assert_eq!(exec.exit(), Some(Exit::Code(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn content_that_stops_arriving_is_given_up() {
        let (_folder, exec, _chunks) = exec(Taken::Content);
        exec.run(std::future::pending(), None).await;
        assert_eq!(exec.exit(), Some(Exit::Code(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn input_whose_end_is_a_sign_may_be_long_in_coming() {
        let (_folder, exec, mut chunks) = exec(Taken::End);
        let work = async {
            chunks.recv().await;
            Ok(())
        };
        let (written, ()) = tokio::join!(
            async {
                tokio::time::sleep(10 * INPUT_PATIENCE).await;
                exec.write(0, Bytes::new(), true).await
            },
            exec.run(work, None)
        );
        written.unwrap();
        assert_eq!(exec.exit(), Some(Exit::Code(0)));
    }

    #[tokio::test]
    async fn the_end_of_the_sandbox_is_a_kill() {
        let (_folder, exec, _chunks) = exec(Taken::End);
        exec.run(async { Err(Failure::sandbox_ended()) }, None).await;
        assert_eq!(exec.exit(), Some(Exit::Signal(SIGKILL)));
        assert_eq!(exec.read(OutputStream::Stderr, 0).await.unwrap(), None);
    }
}
