//! Following the directories of sandboxes: changes are handed on, one by one, to whoever follows them.
//!
//! What a sandbox does there must hold nobody up. A follower has a queue of bounded length, and one that does not keep up is told
//! that it has lost changes; so is everyone when the kernel's own queue ran over. The number of directories is bounded per
//! follower and in all, far below the kernel's own bound for a user (`fs.inotify.max_user_watches`, measured 192,536 with 24 GiB of memory).

use super::{Shared, Table, Watcher};
use crate::error::{Error, ErrorKind, Result};
use rustix::{fs::inotify, io::Errno};
use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    fmt,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::mpsc;

/// Changes that wait for one follower.
const QUEUE: usize = 4096;
/// Directories of one follower.
pub(crate) const DIRECTORIES: usize = 8192;
/// Directories of all followers of an engine.
const ALL_DIRECTORIES: usize = 65_536;

/// One change of a followed directory, as the kernel tells it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The directory.
    pub(crate) wd: i32,
    /// What happened.
    pub(crate) flags: inotify::ReadFlags,
    /// Both halves of a renaming have the same one.
    pub(crate) cookie: u32,
    /// The entry that it happened to; `None` for the directory itself.
    pub(crate) name: Option<OsString>,
}

/// The other end of a [`Following`].
#[derive(Debug)]
pub(crate) struct Follower {
    changes: mpsc::Sender<Change>,
    lost: AtomicBool,
    wds: Mutex<HashSet<i32>>,
}

/// Directories that are followed, until it is dropped.
pub(crate) struct Following {
    shared: Arc<Shared>,
    follower: Arc<Follower>,
}

impl Watcher {
    /// Follows nothing yet; changes of what is added come through the receiver.
    pub(crate) fn follow(&self) -> (Following, mpsc::Receiver<Change>) {
        let (changes, receiver) = mpsc::channel(QUEUE);
        let follower = Arc::new(Follower { changes, lost: AtomicBool::new(false), wds: Mutex::default() });
        (Following { shared: Arc::clone(&self.shared), follower }, receiver)
    }
}

impl Following {
    /// Adds a directory by a descriptor that names it, and gives the number by which its changes are known; adding one again gives
    /// the same number.
    ///
    /// # Errors
    /// `ResourceExhausted` at a bound of ours or of the kernel's.
    pub(crate) fn add(&self, directory: &OwnedFd, flags: inotify::WatchFlags) -> Result<i32> {
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        // Held from before the kernel knows, so that the first change finds its follower.
        let mut table = self.shared.table();
        let mut wds = self.follower.wds();
        if wds.len() >= DIRECTORIES || table.followers.len() >= ALL_DIRECTORIES {
            return Err(exhausted(&format!("more than {}", wds.len()), "watch a part of the tree"));
        }
        let wd = match inotify::add_watch(&self.shared.inotify, path, flags | inotify::WatchFlags::MASK_ADD) {
            Err(Errno::NOSPC) => return Err(exhausted("more", "raise fs.inotify.max_user_watches")),
            wd => wd.map_err(|e| Error::io("cannot watch a directory", e))?,
        };
        if wds.insert(wd) {
            table.followers.entry(wd).or_default().push(Arc::clone(&self.follower));
        }
        Ok(wd)
    }

    /// Forgets a directory, which the kernel may have forgotten already.
    pub(crate) fn remove(&self, wd: i32) {
        if self.follower.wds().remove(&wd) {
            self.shared.unfollow(wd, &self.follower);
        }
    }

    /// Whether changes were lost since the last call.
    pub(crate) fn take_lost(&self) -> bool {
        self.follower.lost.swap(false, Ordering::AcqRel)
    }
}

fn exhausted(count: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::ResourceExhausted, format!("cannot watch {count} directories: {remedy}"))
}

impl Drop for Following {
    fn drop(&mut self) {
        let wds = std::mem::take(&mut *self.follower.wds());
        for wd in wds {
            self.shared.unfollow(wd, &self.follower);
        }
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("directories", &self.follower.wds().len()).finish()
    }
}

impl Follower {
    fn wds(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.wds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, change: Change) {
        // A full queue is read to its end before the mark is looked at; a closed one is of a follower that is being dropped.
        if self.changes.try_send(change).is_err() {
            self.lost.store(true, Ordering::Release);
        }
    }
}

impl Shared {
    fn unfollow(&self, wd: i32, follower: &Arc<Follower>) {
        let mut table = self.table();
        let Some(all) = table.followers.get_mut(&wd) else { return };
        all.retain(|one| !Arc::ptr_eq(one, follower));
        if all.is_empty() {
            table.followers.remove(&wd);
            // A directory that was deleted has taken its watch along.
            let _ = inotify::remove_watch(&self.inotify, wd);
        }
    }
}

impl Table {
    /// Hands a change to those who follow the directory; false when nobody does.
    pub(super) fn tell(&mut self, event: &inotify::Event<'_>) -> bool {
        let wd = event.wd();
        let Some(followers) = self.followers.get(&wd) else { return false };
        let change = Change {
            wd,
            flags: event.events(),
            cookie: event.cookie(),
            name: event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
        };
        followers.iter().for_each(|follower| follower.send(change.clone()));
        if event.events().contains(inotify::ReadFlags::IGNORED) {
            self.followers.remove(&wd);
        }
        true
    }

    /// Tells every follower that the kernel has dropped changes.
    pub(super) fn tell_lost(&self) {
        for follower in self.followers.values().flatten() {
            if !follower.lost.swap(true, Ordering::AcqRel) {
                let flags = inotify::ReadFlags::QUEUE_OVERFLOW;
                follower.send(Change { wd: -1, flags, cookie: 0, name: None });
            }
        }
    }
}
