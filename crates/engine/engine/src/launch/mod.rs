//! Launch of a sandbox: from an empty folder to an agent that serves.
//!
//! Blocking, some milliseconds long: for a thread that may block. A failure at any point leaves no process, no mount and no control group; the
//! folder is the caller's.

mod channel;
mod plan;
mod processes;
mod program;

use crate::{
    agent::records::Writer,
    cgroup::Groups,
    error::{Error, Result},
    ports::Listeners,
    protocol::{op, role, tag},
    rootfs,
    sandbox::Limits,
};
use channel::Channel;
use processes::{Init, Launcher};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

pub(crate) use plan::AGENT_UID;
pub(crate) use program::memory_file;

/// Everything that a launch needs. (No `Debug`: the environment may hold secrets.)
pub(crate) struct LaunchPlan {
    /// Id of the store, which names its control groups.
    pub(crate) store_id: String,
    /// Id of the sandbox, which names its control groups.
    pub(crate) sandbox: String,
    /// Its folder, with `upper`, `work` and `mnt`, and with `usr-upper` and `usr-work` when there are `usr_layers`.
    pub(crate) dir: PathBuf,
    /// The locked file that says it lives.
    pub(crate) lock: OwnedFd,
    /// Where its agent is to listen.
    pub(crate) listener: OwnedFd,
    /// Where its agent is to write how it ended.
    pub(crate) result: OwnedFd,
    /// Layers of the root, lowest first.
    pub(crate) root_layers: Vec<PathBuf>,
    /// Layers over the host's `/usr`, lowest first; `None`: `/usr` is part of the root.
    pub(crate) usr_layers: Option<Vec<PathBuf>>,
    /// Volumes.
    pub(crate) volumes: Vec<VolumePlan>,
    /// Host name inside.
    pub(crate) hostname: String,
    /// Environment of every command.
    pub(crate) env: Vec<(String, String)>,
    /// Where commands start that name no place.
    pub(crate) workdir: String,
    /// Resource bounds.
    pub(crate) limits: Limits,
    /// Longest life.
    pub(crate) lifetime: Duration,
    /// Longest idle time.
    pub(crate) idle: Option<Duration>,
    /// Open files of one process.
    pub(crate) nofile: u64,
    /// Size of `/dev/shm`.
    pub(crate) shm_bytes: u64,
    /// Where its published ports are reached.
    pub(crate) listeners: Listeners,
}

/// A volume that is to appear in a sandbox.
#[derive(Debug)]
pub(crate) struct VolumePlan {
    /// Its folder on the host.
    pub(crate) dir: PathBuf,
    /// The folder in it that appears, instead of the whole.
    pub(crate) sub_path: Option<String>,
    /// Absolute path inside, without `.`, `..` and empty parts.
    pub(crate) target: String,
    /// Whether writes are refused.
    pub(crate) read_only: bool,
}

/// A launched sandbox.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The agent's pid on the host.
    pub(crate) pid: u32,
}

/// Launches a sandbox and returns when its agent serves.
pub(crate) fn launch(plan: LaunchPlan) -> Result<Launched> {
    let groups = Groups::create(&plan.store_id, &plan.sandbox, &plan.limits)?;
    let (channel, theirs) = Channel::new()?;
    let launcher = Launcher::start(theirs, &plan.dir.join("mnt"))?;
    let file = memory_file("lattice-plan", &plan::encode(&plan, &targets(&plan)))
        .map_err(|e| Error::io("cannot write the plan", e))?;
    let mut fds = vec![file.as_fd()];
    fds.extend(groups.agent());
    channel.send(&Writer::packet(op::LAUNCH, 0).finish(), &fds)?;
    // While the launcher makes its namespaces.
    let mut mounts = rootfs::Mounts::new(&plan.dir, &plan.root_layers)?;
    let init = Init::new(channel.expect(op::CLONED)?)?;
    launcher.wait()?;
    let userns = init.map_ids()?;
    if let Some(layers) = &plan.usr_layers {
        mounts.add_usr(&plan.dir, layers, userns.as_fd())?;
    }
    for volume in &plan.volumes {
        mounts.add_volume(volume)?;
    }
    set_up(&channel, &plan, &mounts, &groups)?;
    channel.expect(op::READY)?;
    groups.keep();
    Ok(Launched { pid: init.keep() })
}

/// Where the mounts beside the root belong, in their order.
fn targets(plan: &LaunchPlan) -> Vec<&str> {
    let fixed = rootfs::targets(plan.usr_layers.is_some()).iter().copied();
    fixed.chain(plan.volumes.iter().map(|volume| volume.target.as_str())).collect()
}

fn set_up(channel: &Channel, plan: &LaunchPlan, mounts: &rootfs::Mounts, groups: &Groups) -> Result<()> {
    let mut handles: Vec<(u8, BorrowedFd<'_>)> = vec![(role::ROOT, mounts.root())];
    handles.extend(mounts.others().map(|mount| (role::MOUNT, mount)));
    handles.extend([
        (role::LISTENER, plan.listener.as_fd()),
        (role::LOCK, plan.lock.as_fd()),
        (role::RESULT, plan.result.as_fd()),
    ]);
    handles.extend(plan.listeners.sockets.iter().map(|socket| (role::PORT, socket.as_fd())));
    handles.extend(groups.tasks().map(|fd| (role::TASKS, fd)));
    handles.extend(groups.work().map(|fd| (role::WORK_CGROUP, fd)));
    handles.extend(groups.oom_events().map(|fd| (role::OOM_EVENTS, fd)));
    let (roles, fds): (Vec<u8>, Vec<BorrowedFd<'_>>) = handles.into_iter().unzip();
    channel.send(&Writer::packet(op::SETUP, 0).bytes(tag::ROLES, &roles).finish(), &fds)
}

#[cfg(test)]
mod tests;
