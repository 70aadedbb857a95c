//! Control groups of a sandbox: limits, a place for its agent and its commands, freeze and removal.
//!
//! Limits go to cgroup v1 controllers where they are mounted and to v2 where it has them; kill, freeze and the groups of single commands
//! always to v2, where it is mounted. The agent itself stays out of all limits, so that it can record the end of what they kill.

mod hierarchy;
mod limits;
mod tree;

use crate::{
    error::{Error, ErrorKind, Result},
    idmap::BASE,
    launch::AGENT_UID,
    sandbox::Limits,
};
use hierarchy::{Controller, Hierarchies};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
};
use std::{
    collections::BTreeSet,
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::chown,
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Folder of all stores in every hierarchy.
const TOP: &str = "openlattice";
/// Longest wait for a freeze, and for dead processes to leave a group.
const PATIENCE: Duration = Duration::from_secs(10);

/// Control groups of a sandbox that is being launched; dropped before [`Groups::keep`] they are removed.
#[derive(Debug)]
pub(crate) struct Groups {
    place: Place,
    agent: Option<OwnedFd>,
    work: Option<OwnedFd>,
    tasks: Vec<OwnedFd>,
    oom_events: Option<OwnedFd>,
    kept: bool,
}

impl Groups {
    /// Makes them and sets the limits. `Unsupported` when a limit is asked for that no hierarchy can enforce.
    pub(crate) fn create(store: &str, sandbox: &str, limits: &Limits) -> Result<Self> {
        Self::create_in(Hierarchies::of_host()?, store, sandbox, limits)
    }

    fn create_in(hierarchies: Hierarchies, store: &str, sandbox: &str, limits: &Limits) -> Result<Self> {
        let place = Place { hierarchies, group: Path::new(TOP).join(store).join(sandbox) };
        let mut groups =
            Self { place, agent: None, work: None, tasks: Vec::new(), oom_events: None, kept: false };
        groups.make_unified(limits)?;
        for controller in [Controller::Cpu, Controller::Memory, Controller::Pids] {
            groups.make_v1(controller, limits)?;
        }
        Ok(groups)
    }

    fn make_unified(&mut self, limits: &Limits) -> Result<()> {
        let Some(root) = self.place.unified() else { return Ok(()) };
        let (agent, work) = (root.join("agent"), root.join("work"));
        let asked = limits::unified(&self.place.hierarchies, limits)?;
        let made = (|| {
            tree::make_all(&root)?;
            for name in ["agent", "work"] {
                tree::make(&root.join(name))?;
            }
            if !asked.is_empty() {
                tree::delegate(self.place.hierarchies.unified.as_deref().unwrap_or(&root), &root, &asked)?;
            }
            for (_, file, value) in &asked {
                fs::write(work.join(file), value)?;
            }
            // Entering a group takes write access to `cgroup.procs` of the nearest common ancestor too (cgroups(7), "Delegation").
            let id = Some(BASE + AGENT_UID);
            for path in [&work, &work.join("cgroup.procs"), &root.join("cgroup.procs")] {
                chown(path, id, id)?;
            }
            let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.agent = Some(open(&agent, directory)?);
            self.work = Some(open(&work, directory)?);
            if asked.iter().any(|(controller, ..)| *controller == Controller::Memory) {
                self.oom_events = Some(open(&work.join("memory.events"), OFlags::RDONLY | OFlags::CLOEXEC)?);
            }
            io::Result::Ok(())
        })();
        made.map_err(|e| Error::io(format!("cannot make the control group {}", root.display()), e))
    }

    fn make_v1(&mut self, controller: Controller, limits: &Limits) -> Result<()> {
        let Some(group) = self.place.v1(controller) else { return Ok(()) };
        let made = (|| {
            tree::make_all(&group)?;
            for (file, value) in limits::v1(controller, limits) {
                write_limit(&group.join(file), &value)?;
            }
            self.tasks.push(open(&group.join("tasks"), OFlags::WRONLY | OFlags::CLOEXEC)?);
            if controller == Controller::Memory {
                self.oom_events =
                    Some(open(&group.join("memory.oom_control"), OFlags::RDONLY | OFlags::CLOEXEC)?);
            }
            io::Result::Ok(())
        })();
        made.map_err(|e| Error::io(format!("cannot make the control group {}", group.display()), e))
    }

    /// Directory to clone the agent into.
    pub(crate) fn agent(&self) -> Option<BorrowedFd<'_>> {
        self.agent.as_ref().map(AsFd::as_fd)
    }

    /// Directory of the commands' groups.
    pub(crate) fn work(&self) -> Option<BorrowedFd<'_>> {
        self.work.as_ref().map(AsFd::as_fd)
    }

    /// v1 files by which a process joins.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.tasks.iter().map(AsFd::as_fd)
    }

    /// Where memory kills are counted.
    pub(crate) fn oom_events(&self) -> Option<BorrowedFd<'_>> {
        self.oom_events.as_ref().map(AsFd::as_fd)
    }

    /// Lets them live on.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if !self.kept {
            // The launch has failed already, for a reason that matters more than this one.
            drop(self.place.remove(PATIENCE));
        }
    }
}

/// A limit may be missing from a kernel (swap accounting, for example); what was not limited is not refused.
fn write_limit(file: &Path, value: &str) -> io::Result<()> {
    match fs::write(file, value) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && file.ends_with("memory.memsw.limit_in_bytes") => {
            Ok(())
        }
        other => other,
    }
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Where the groups of a sandbox are.
#[derive(Debug)]
struct Place {
    hierarchies: Hierarchies,
    group: PathBuf,
}

impl Place {
    fn of(store: &str, sandbox: &str) -> Result<Self> {
        Ok(Self { hierarchies: Hierarchies::of_host()?, group: Path::new(TOP).join(store).join(sandbox) })
    }

    fn unified(&self) -> Option<PathBuf> {
        self.hierarchies.unified.as_ref().map(|root| root.join(&self.group))
    }

    fn v1(&self, controller: Controller) -> Option<PathBuf> {
        self.hierarchies.v1(controller).map(|root| root.join(&self.group))
    }

    /// Kills what is left and removes the groups, and those of the store when they are empty then; false when somebody is in one after
    /// `patience`.
    fn remove(&self, patience: Duration) -> Result<bool> {
        let limit = Instant::now() + patience;
        for root in self.hierarchies.roots() {
            let group = root.join(&self.group);
            let removed = tree::remove(&group, limit)
                .map_err(|e| Error::io(format!("cannot remove the control group {}", group.display()), e))?;
            if !removed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Processes in its groups, each once.
    fn members(&self) -> BTreeSet<u32> {
        let roots = self.hierarchies.roots();
        roots.into_iter().flat_map(|root| tree::members(&root.join(&self.group))).collect()
    }
}

/// Removes the groups of a sandbox, and kills what is in them; false when somebody is in one after `patience`. Missing ones are no error.
pub(crate) fn remove(store: &str, sandbox: &str, patience: Duration) -> Result<bool> {
    Place::of(store, sandbox)?.remove(patience)
}

/// The processes in the groups of a sandbox.
pub(crate) fn members(store: &str, sandbox: &str) -> Result<BTreeSet<u32>> {
    Ok(Place::of(store, sandbox)?.members())
}

/// Names of the sandboxes of a store that have a group in any hierarchy.
pub(crate) fn sandboxes(store: &str) -> Result<BTreeSet<String>> {
    let hierarchies = Hierarchies::of_host()?;
    let groups = hierarchies.roots().into_iter().map(|root| root.join(TOP).join(store));
    Ok(groups.flat_map(|group| tree::children(&group)).collect())
}

/// Stops every command of a sandbox and returns when all stand still. `Unsupported` without cgroup v2.
pub(crate) fn freeze(store: &str, sandbox: &str) -> Result<()> {
    let place = Place::of(store, sandbox)?;
    let Some(group) = place.unified() else {
        return Err(Error::new(ErrorKind::Unsupported, "cannot freeze a sandbox: cgroup v2 is not mounted"));
    };
    let work = group.join("work");
    fs::write(work.join("cgroup.freeze"), "1")
        .and_then(|()| wait_frozen(&work))
        .map_err(|e| Error::io(format!("cannot freeze {}", work.display()), e))
}

/// Lets the commands of a sandbox run again; one that has no group is no error.
pub(crate) fn thaw(store: &str, sandbox: &str) -> Result<()> {
    let Some(group) = Place::of(store, sandbox)?.unified() else { return Ok(()) };
    match fs::write(group.join("work/cgroup.freeze"), "0") {
        Err(e) if !tree::is_gone(&e) && e.kind() != io::ErrorKind::NotADirectory => {
            Err(Error::io(format!("cannot thaw {}", group.display()), e))
        }
        _ => Ok(()),
    }
}

/// The kernel notifies `cgroup.events` of the change.
fn wait_frozen(work: &Path) -> io::Result<()> {
    let start = Instant::now();
    let file = fs::File::open(work.join("cgroup.events"))?;
    loop {
        let events = fs::read_to_string(work.join("cgroup.events"))?;
        if events.lines().any(|line| line == "frozen 1") {
            return Ok(());
        }
        if start.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let step = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&step))?;
    }
}

#[cfg(test)]
mod tests;
