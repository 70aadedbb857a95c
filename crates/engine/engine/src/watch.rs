//! Tells any number of waiting tasks that a folder's files changed or that an agent ended.
//!
//! One thread, one inotify instance and one epoll instance per engine, made at first use. A thread and not a task, because an
//! engine is used from several tokio runtimes, each of which may go away before the others.

mod follow;

use crate::error::{Error, Result};
use crate::store::{Agent, start_time};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fs::inotify,
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use std::{
    collections::HashMap,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};
use tokio::sync::watch;

pub(crate) use follow::{Change, Following};

const WAKE: u64 = 0;
const INOTIFY: u64 = 1;
/// Added to a pid to make its epoll key.
const PIDS: u64 = 1 << 32;

/// The thread and what it serves.
#[derive(Debug)]
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    inotify: OwnedFd,
    wake: OwnedFd,
    stopping: AtomicBool,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    folders: HashMap<i32, Subject>,
    agents: HashMap<u32, (Agent, OwnedFd, Subject)>,
    /// Folders that nobody watches any more. The thread takes them out of the kernel's set: whoever saw a command end has an answer
    /// to give, and the removal takes longer than that.
    left: Vec<i32>,
    /// What is followed of the files of sandboxes.
    followers: HashMap<i32, Vec<Arc<follow::Follower>>>,
}

#[derive(Debug)]
struct Subject {
    sender: watch::Sender<()>,
    watches: usize,
}

/// Wakes its holder at every change from its making on, until dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    key: Key,
    receiver: watch::Receiver<()>,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    Folder(i32),
    Agent(Agent),
}

impl Watcher {
    pub(crate) fn start() -> Result<Self> {
        let shared = Arc::new(Shared::new().map_err(|e| {
            Error::io("cannot watch files: raise fs.inotify.max_user_instances or close other watchers", e)
        })?);
        let served = Arc::clone(&shared);
        let spawned = thread::Builder::new().name("lattice-watch".to_owned()).spawn(move || served.serve());
        let thread = spawned.map_err(|e| Error::io("cannot start the watching thread", e))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Watches the files in a folder.
    pub(crate) fn folder(&self, path: &Path) -> Result<Watch> {
        use inotify::WatchFlags;
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ONLYDIR;
        let mut table = self.shared.table();
        let added = inotify::add_watch(&self.shared.inotify, path, flags);
        let wd = added.map_err(|e| Error::io(format!("cannot watch {}", path.display()), e))?;
        let receiver = table.folders.entry(wd).or_insert_with(Subject::new).subscribe();
        Ok(Watch { shared: Arc::clone(&self.shared), key: Key::Folder(wd), receiver })
    }

    /// Watches for an agent's end; `None` when it has ended.
    pub(crate) fn agent(&self, agent: Agent) -> Result<Option<Watch>> {
        let mut table = self.shared.table();
        if let Some((known, _, subject)) = table.agents.get_mut(&agent.pid)
            && *known == agent
        {
            let receiver = subject.subscribe();
            return Ok(Some(Watch { shared: Arc::clone(&self.shared), key: Key::Agent(agent), receiver }));
        }
        let Some(pidfd) = open_agent(agent)? else { return Ok(None) };
        let data = epoll::EventData::new_u64(PIDS + u64::from(agent.pid));
        let added = epoll::add(&self.shared.epoll, &pidfd, data, epoll::EventFlags::IN);
        added.map_err(|e| Error::io("cannot watch an agent", e))?;
        let mut subject = Subject::new();
        let receiver = subject.subscribe();
        table.agents.insert(agent.pid, (agent, pidfd, subject));
        Ok(Some(Watch { shared: Arc::clone(&self.shared), key: Key::Agent(agent), receiver }))
    }
}

/// A descriptor of the agent's process; `None` when it has ended, whoever has its pid now.
pub(crate) fn open_agent(agent: Agent) -> Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(agent.pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => Ok(None),
        Err(e) => Err(Error::io("cannot open the agent's process", e)),
        // The check after the opening: from here on the descriptor means that process only.
        Ok(pidfd) => Ok((start_time(agent.pid) == Some(agent.start)).then_some(pidfd)),
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        if self.shared.wake()
            && let Some(thread) = self.thread.take()
        {
            // A panic in it has been reported by the panic hook.
            drop(thread.join());
        }
    }
}

impl Subject {
    fn new() -> Self {
        Self { sender: watch::Sender::new(()), watches: 0 }
    }

    fn subscribe(&mut self) -> watch::Receiver<()> {
        self.watches += 1;
        self.sender.subscribe()
    }
}

impl Shared {
    fn new() -> rustix::io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC)?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &inotify, epoll::EventData::new_u64(INOTIFY), epoll::EventFlags::IN)?;
        Ok(Self { epoll, inotify, wake, stopping: AtomicBool::new(false), table: Mutex::default() })
    }

    /// Makes the thread look at what is to be done.
    fn wake(&self) -> bool {
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).is_ok()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return self.notify_all(),
            }
            for event in &events {
                match event.data.u64() {
                    WAKE if self.stopping.load(Ordering::Acquire) => return self.notify_all(),
                    WAKE => self.remove_left(),
                    INOTIFY => self.take_changes(),
                    key => self.agent_ended(key - PIDS),
                }
            }
        }
    }

    fn remove_left(&self) {
        // The count does not matter: all are taken out.
        let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        let mut table = self.table();
        for wd in std::mem::take(&mut table.left) {
            // One that is watched again by now keeps its number and stays; a folder that was deleted has taken its watch along.
            if !table.folders.contains_key(&wd) {
                let _ = inotify::remove_watch(&self.inotify, wd);
            }
        }
    }

    fn take_changes(&self) {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) {
                self.notify_all();
                self.table().tell_lost();
            } else if self.table().tell(&event) {
            } else if let Some(subject) = self.table().folders.get(&event.wd()) {
                subject.sender.send_replace(());
            }
        }
    }

    fn agent_ended(&self, pid: u64) {
        let Ok(pid) = u32::try_from(pid) else { return };
        // Taken out, which closes the descriptor: a level-triggered end would be reported for ever. Whoever asks after this finds
        // the process gone.
        if let Some((_, pidfd, subject)) = self.table().agents.remove(&pid) {
            let removed = epoll::delete(&self.epoll, &pidfd);
            debug_assert!(removed.is_ok(), "a watched pidfd is in the set");
            subject.sender.send_replace(());
        }
    }

    fn notify_all(&self) {
        let table = self.table();
        for subject in table.folders.values().chain(table.agents.values().map(|(_, _, subject)| subject)) {
            subject.sender.send_replace(());
        }
    }
}

impl Watch {
    /// Forgets the changes so far. Call it before looking at the state, then [`Self::changed`] misses nothing.
    pub(crate) fn mark_seen(&mut self) {
        self.receiver.mark_unchanged();
    }

    /// Waits for a change since the making or the last [`Self::mark_seen`]. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        // A sender that is gone (an agent that ended, an engine that closed) is a change, too.
        drop(self.receiver.changed().await);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut table = self.shared.table();
        match self.key {
            Key::Folder(wd) => {
                if let Some(subject) = table.folders.get_mut(&wd) {
                    subject.watches -= 1;
                    if subject.watches == 0 {
                        table.folders.remove(&wd);
                        table.left.push(wd);
                        drop(table);
                        self.shared.wake();
                    }
                }
            }
            Key::Agent(agent) => {
                // One that has ended is out of the table; a newer one may have its pid.
                if let Some((known, pidfd, subject)) = table.agents.get_mut(&agent.pid)
                    && *known == agent
                {
                    subject.watches -= 1;
                    if subject.watches == 0 {
                        let _ = epoll::delete(&self.shared.epoll, &*pidfd);
                        table.agents.remove(&agent.pid);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::fd::AsRawFd,
        time::{Duration, Instant},
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_folder_that_is_watched_again_at_once_tells_its_changes() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::start().unwrap();
        for turn in 0..200 {
            drop(watcher.folder(dir.path()).unwrap());
            let mut watch = watcher.folder(dir.path()).unwrap();
            fs::write(dir.path().join("f"), turn.to_string()).unwrap();
            tokio::time::timeout(PATIENCE, watch.changed()).await.expect("the change is told");
        }
    }

    #[test]
    fn what_nobody_watches_leaves_the_kernels_set() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = Watcher::start().unwrap();
        let info = format!("/proc/self/fdinfo/{}", watcher.shared.inotify.as_raw_fd());
        let watched = || fs::read_to_string(&info).unwrap().matches("inotify wd:").count();
        let watch = watcher.folder(dir.path()).unwrap();
        assert_eq!(watched(), 1);
        drop(watch);
        let start = Instant::now();
        while watched() > 0 {
            assert!(start.elapsed() < PATIENCE, "it is watched still");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
