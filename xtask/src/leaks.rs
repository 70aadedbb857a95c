//! What a test run must not leave behind: processes, mounts, control groups, network namespaces, temporary folders.
//!
//! Every test makes its stores below one folder, named by `OPENLATTICE_TEST_DIR` and `TMPDIR`. A watcher writes down the id of each
//! store that appears there, so that a leak is found by its store even after the store's folder is gone, and so that
//! other runs on the same machine are never counted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Attempted, Failure, Result};
use crate::process;

/// How often the watcher looks for new stores. A store lives longer than that: it is made, used and removed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a killed process may take to be gone.
const SETTLE: Duration = Duration::from_secs(3);
/// How deep below the test folder a store may lie.
const DEPTH: usize = 4;

/// The folder of one test run, and the ids of the stores that were seen in it.
#[derive(Debug)]
pub(crate) struct TestDir {
    path: PathBuf,
    stop: Sender<()>,
    watcher: JoinHandle<BTreeSet<String>>,
}

impl TestDir {
    /// Makes a fresh folder and starts watching it.
    pub(crate) fn new() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// As [`new`](Self::new), below a folder of the caller's.
    pub(crate) fn below(parent: &Path) -> Result<Self> {
        let path = parent.join(format!("openlattice-test-{}", std::process::id()));
        fs::create_dir(&path).attempted(format!("could not make {}", path.display()))?;
        let (stop, stopped) = mpsc::channel();
        let folder = path.clone();
        let watcher = thread::spawn(move || {
            let mut ids = BTreeSet::new();
            loop {
                store_ids(&folder, DEPTH, &mut ids);
                if stopped.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                    return ids;
                }
            }
        });
        Ok(Self { path, stop, watcher })
    }

    /// The folder below which tests make their stores.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that nothing is left, and removes the folder when that holds.
    ///
    /// A folder with something in it stays, so that the leak can be looked at.
    pub(crate) fn finish(self) -> Result<String> {
        let Self { path, stop, watcher } = self;
        drop(stop);
        let ids = watcher.join().map_err(|_| Failure::new("the watcher of stores panicked"))?;
        let left = settled(|| left(&path, &ids));
        if !left.is_empty() {
            return Err(Failure::new(format!("{} things left behind:\n  {}", left.len(), left.join("\n  "))));
        }
        fs::remove_dir(&path).attempted(format!("could not remove {}", path.display()))?;
        Ok(format!("nothing left of {} stores", ids.len()))
    }
}

/// Everything of this run that is there now.
fn left(path: &Path, ids: &BTreeSet<String>) -> Vec<String> {
    let mut left = folders(path);
    left.extend(processes(path, ids));
    left.extend(groups(Path::new("/sys/fs/cgroup"), ids));
    left
}

/// Looks again for a while: what the kernel was killing when the last test returned is no leak, what stays is one.
fn settled(look: impl Fn() -> Vec<String>) -> Vec<String> {
    let start = Instant::now();
    loop {
        let left = look();
        if left.is_empty() || start.elapsed() > SETTLE {
            return left;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Adds the id of every store at or below `folder`. A store is a folder with a file `id` in it.
fn store_ids(folder: &Path, depth: usize, ids: &mut BTreeSet<String>) {
    if let Ok(id) = fs::read_to_string(folder.join("id")) {
        ids.extend(Some(id.trim().to_owned()).filter(|id| id.len() >= 8));
        return;
    }
    let Ok(entries) = fs::read_dir(folder) else { return };
    if depth == 0 {
        return;
    }
    for entry in entries.filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            store_ids(&entry.path(), depth - 1, ids);
        }
    }
}

fn folders(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    entries.filter_map(Result::ok).map(|entry| format!("folder {}", entry.path().display())).collect()
}

fn processes(path: &Path, ids: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = ids.iter().map(|id| format!("openlattice/{id}")).collect();
    names.push(path.to_string_lossy().into_owned());
    let found = process::all().into_iter().filter_map(|process| {
        let place = process.names(&names)?;
        Some(format!("process {} ({}): {place}", process.pid, process.title()))
    });
    found.collect()
}

/// Control groups of our stores: `<hierarchy>/openlattice/<store id>`.
fn groups(root: &Path, ids: &BTreeSet<String>) -> Vec<String> {
    let hierarchies =
        fs::read_dir(root).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut left = Vec::new();
    for hierarchy in std::iter::once(root.to_path_buf()).chain(hierarchies) {
        let ours = ids.iter().map(|id| hierarchy.join("openlattice").join(id));
        left.extend(
            ours.filter(|group| group.exists()).map(|group| format!("control group {}", group.display())),
        );
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_found_by_its_id_file_and_a_group_by_its_store() {
        let folder = std::env::temp_dir().join(format!("openlattice-leaks-{}", std::process::id()));
        let store = folder.join("case/store");
        fs::create_dir_all(&store).unwrap();
        fs::write(store.join("id"), "0123456789abcdef\n").unwrap();
        fs::create_dir_all(folder.join("cpu/openlattice/0123456789abcdef")).unwrap();
        let mut ids = BTreeSet::new();
        store_ids(&folder, DEPTH, &mut ids);
        let left = groups(&folder, &ids);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(ids.into_iter().collect::<Vec<_>>(), ["0123456789abcdef"]);
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
