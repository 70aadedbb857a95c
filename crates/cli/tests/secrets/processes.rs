//! The process list, searched over and over while something runs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::planted::search_bytes;

/// How long it rests between two looks, so that a busy machine can go on.
const REST: Duration = Duration::from_millis(10);

/// A thread that looks. It ends when this is dropped.
pub(crate) struct Sampler {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    rounds: Mutex<u64>,
    turned: Condvar,
    stop: AtomicBool,
}

impl Sampler {
    pub(crate) fn start() -> Self {
        let state = Arc::new(State::default());
        let its = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            let lattice = fs::canonicalize(env!("CARGO_BIN_EXE_lattice")).unwrap();
            let depth = namespaces(Path::new("/proc/self")).len();
            while !its.stop.load(Ordering::Relaxed) {
                look(&lattice, depth);
                *its.rounds.lock().unwrap() += 1;
                its.turned.notify_all();
                std::thread::sleep(REST);
            }
        });
        Self { state, thread: Some(thread) }
    }

    /// Returns when everything that ran at the moment of the call has been looked at.
    pub(crate) fn look(&self) {
        let rounds = self.state.rounds.lock().unwrap();
        // The round under way may be past a process already; the one after it is whole.
        let enough = *rounds + 2;
        drop(self.state.turned.wait_while(rounds, |rounds| *rounds < enough).unwrap());
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn look(lattice: &Path, depth: usize) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.path();
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            look_at(&process, lattice, depth);
        }
    }
}

/// A process that ends meanwhile has nothing to be found.
fn look_at(process: &Path, lattice: &Path, depth: usize) {
    let program = fs::read_link(process.join("exe")).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let has_them = program == lattice || is_command(process, depth);
    if let Ok(line) = fs::read(process.join("cmdline")) {
        search_bytes(&format!("command line of {name}"), &line);
    }
    // Who calls `lattice` may hand it variables, and a sandbox's commands are who they are for; nobody else may have them.
    if !has_them && let Ok(variables) = fs::read(process.join("environ")) {
        search_bytes(&format!("environment of {name}"), &variables);
    }
}

/// Whether it is a command of a sandbox: below our process namespace, and not the first process there.
fn is_command(process: &Path, depth: usize) -> bool {
    let ids = namespaces(process);
    ids.len() > depth && ids.last().is_some_and(|id| id != "1")
}

/// Its ids in the namespaces that it is in, ours first.
fn namespaces(process: &Path) -> Vec<String> {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

/// Searches every file below a store, which must be its owner's alone; what is removed meanwhile is not at rest.
pub(crate) fn search_files(place: &str, folder: &Path) -> usize {
    let mode = fs::metadata(folder).unwrap().mode();
    assert_eq!(mode & 0o077, 0, "others may look into {}: {mode:o}", folder.display());
    let mut left: Vec<PathBuf> = vec![folder.to_owned()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else if metadata.is_file()
            && let Ok(bytes) = fs::read(&path)
        {
            seen += 1;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let parent = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            search_bytes(&format!("{place}: file {parent}/{name}"), &bytes);
        }
    }
    seen
}
