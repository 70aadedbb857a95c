//! Builds of images under way in this process: their logs, their ends, and the sandboxes that they run in.
//!
//! A build lives in the server's process. What must outlive it is in the store: its definition, so that a successor can do it again,
//! and for each sandbox a lock that says whether somebody still works in it.

mod workshop;

pub(crate) use workshop::{Workshop, failure, words};

use crate::ids;
use openlattice_engine::Engine;
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longest log of one build; what comes later is left out, and the log says so.
const LOG: usize = 16 << 20;
/// How long the log and the end of a build are kept after it.
const KEPT: Duration = Duration::from_secs(600);
/// Builds that are over and kept at most.
const MOST_KEPT: usize = 256;

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The image is there.
    Built,
    /// It cannot be built; the text is for the user.
    Failed(String),
    /// The server stops; another one, or this one later, does it again.
    Stopped,
}

/// One build. Whoever holds it can follow it.
pub(crate) struct Build {
    /// Differs between two builds of the same image, so that a place in one's log is none in the other's.
    pub(crate) run: String,
    state: Mutex<State>,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    log: String,
    full: bool,
    over: Option<(Outcome, Instant)>,
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Build").field("run", &self.run).finish_non_exhaustive()
    }
}

impl Build {
    fn new() -> Self {
        Self { run: ids::random(8), state: Mutex::default(), changes: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends to the log.
    pub(crate) fn log(&self, text: &str) {
        let mut state = self.state();
        if state.full {
            return;
        }
        if state.log.len() + text.len() > LOG {
            state.full = true;
            state.log.push_str("\n[the log is longer than this server keeps; the rest is left out]\n");
        } else {
            state.log.push_str(text);
        }
        drop(state);
        self.changes.send_replace(());
    }

    /// The log from `offset` on, at most `limit` bytes of it, and the outcome once all of it has been read. An offset that is none
    /// starts anew.
    pub(crate) fn read(&self, offset: usize, limit: usize) -> (String, usize, Option<Outcome>) {
        let state = self.state();
        let start = if state.log.is_char_boundary(offset) { offset } else { 0 };
        let mut end = state.log.len().min(start.saturating_add(limit));
        while !state.log.is_char_boundary(end) {
            end -= 1;
        }
        let over = state.over.as_ref().filter(|_| end == state.log.len());
        (state.log[start..end].to_owned(), end, over.map(|(outcome, _)| outcome.clone()))
    }

    /// Says when the log or the outcome changes after now.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn is_over(&self) -> bool {
        self.state().over.is_some()
    }

    fn end(&self, outcome: Outcome) {
        self.state().over = Some((outcome, Instant::now()));
        self.changes.send_replace(());
    }

    /// When it ended.
    fn ended(&self) -> Option<Instant> {
        self.state().over.as_ref().map(|(_, at)| *at)
    }
}

/// All builds of this process.
pub(crate) struct Builds {
    /// Locks of the sandboxes that builds run in.
    folder: PathBuf,
    all: Mutex<HashMap<String, Arc<Build>>>,
    cut: CancellationToken,
    /// Every build's task holds a receiver, so that the end of all of them can be waited for.
    tasks: watch::Sender<()>,
}

impl fmt::Debug for Builds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builds").finish_non_exhaustive()
    }
}

impl Builds {
    /// Builds with locks in `folder`, which is made when the first one starts.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, all: Mutex::default(), cut: CancellationToken::new(), tasks: watch::Sender::new(()) }
    }

    /// Ends all builds when cancelled.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Waits until no build runs any more; after [`cut`](Self::cut).
    pub(crate) async fn over(&self) {
        self.tasks.closed().await;
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Build>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The build of an image, under way or over for not long.
    pub(crate) fn get(&self, id: &str) -> Option<Arc<Build>> {
        self.all().get(id).cloned()
    }

    /// The build of an image that is under way.
    pub(crate) fn running(&self, id: &str) -> Option<Arc<Build>> {
        self.get(id).filter(|build| !build.is_over())
    }

    /// Starts the build of an image, unless it is under way, and gives it either way.
    pub(crate) fn start<F, Work>(&self, id: &str, work: F) -> Arc<Build>
    where
        F: FnOnce(Arc<Build>) -> Work,
        Work: Future<Output = Outcome> + Send + 'static,
    {
        let mut all = self.all();
        if let Some(build) = all.get(id).filter(|build| !build.is_over()) {
            return Arc::clone(build);
        }
        forget_old(&mut all);
        let build = Arc::new(Build::new());
        all.insert(id.to_owned(), Arc::clone(&build));
        drop(all);
        let (work, cut, held) = (work(Arc::clone(&build)), self.cut.clone(), self.tasks.subscribe());
        let ending = Ending(Arc::clone(&build));
        tokio::spawn(async move {
            let _held = held;
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = cut.cancelled() => Outcome::Stopped,
            };
            ending.0.end(outcome);
        });
        build
    }

    /// Removes the sandboxes of builds whose process is gone.
    pub(crate) async fn sweep(&self, engine: &Engine) {
        workshop::sweep(&self.folder, engine).await;
    }
}

/// Ends a build whose task panics or is dropped with its runtime.
struct Ending(Arc<Build>);

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.0.is_over() {
            self.0.end(Outcome::Stopped);
        }
    }
}

fn forget_old(all: &mut HashMap<String, Arc<Build>>) {
    all.retain(|_, build| build.ended().is_none_or(|at| at.elapsed() < KEPT));
    while all.len() >= MOST_KEPT {
        let oldest = all.iter().filter_map(|(id, build)| Some((build.ended()?, id.clone()))).min();
        let Some((_, id)) = oldest else { return };
        all.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_in_pieces_and_then_its_outcome() {
        let build = Build::new();
        build.log("aé");
        assert_eq!(build.read(0, 2), ("a".to_owned(), 1, None));
        build.end(Outcome::Built);
        assert_eq!(build.read(0, 2), ("a".to_owned(), 1, None));
        assert_eq!(build.read(1, 9), ("é".to_owned(), 3, Some(Outcome::Built)));
        assert_eq!(build.read(3, 9), (String::new(), 3, Some(Outcome::Built)));
        // Inside a character, and past the end.
        assert_eq!(build.read(2, 9).0, "aé");
        assert_eq!(build.read(99, 9).0, "aé");
    }

    #[test]
    fn a_log_has_a_bound() {
        let build = Build::new();
        build.log(&"x".repeat(LOG));
        build.log("y");
        build.log("z");
        let end = build.read(LOG, 1000).0;
        assert!(end.contains("left out") && !end.contains('z'), "{end}");
    }

    #[tokio::test]
    async fn one_image_is_built_once_at_a_time() {
        let builds = Builds::new(PathBuf::new());
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let first = builds.start("a", |_| async move {
            gone.await.unwrap();
            Outcome::Failed("no".to_owned())
        });
        let second = builds.start("a", |_| async { Outcome::Built });
        assert_eq!(first.run, second.run);
        let mut changes = first.changes();
        go.send(()).unwrap();
        changes.changed().await.unwrap();
        assert_eq!(first.read(0, 1).2, Some(Outcome::Failed("no".to_owned())));
        assert_ne!(builds.start("a", |_| async { Outcome::Built }).run, first.run);
    }

    #[tokio::test]
    async fn all_of_them_stop() {
        let builds = Builds::new(PathBuf::new());
        let build = builds.start("a", |_| std::future::pending());
        builds.cut().cancel();
        builds.over().await;
        assert_eq!(build.read(0, 1).2, Some(Outcome::Stopped));
    }
}
