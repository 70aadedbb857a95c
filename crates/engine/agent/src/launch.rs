//! The launcher: makes namespaces as real root, leaves the clone behind, and ends.

use crate::plan::Plan;
use crate::protocol::{SETUP_FD, op, stage, tag};
use crate::records::{Packet, Reply};
use crate::setup;
use crate::sys::{self, Errno, Fd, Result};

/// What stopped a step, and which.
pub(crate) struct Failure {
    /// One of the `stage` numbers.
    pub(crate) stage: u32,
    /// Cause.
    pub(crate) errno: Errno,
}

/// Adds the stage to an error.
pub(crate) trait At<T> {
    /// Names the stage at which this failed.
    fn at(self, stage: u32) -> core::result::Result<T, Failure>;
}

impl<T> At<T> for Result<T> {
    fn at(self, stage: u32) -> core::result::Result<T, Failure> {
        self.map_err(|errno| Failure { stage, errno })
    }
}

/// What the clone inherits from the launcher.
pub(crate) struct Inherited {
    /// The plan.
    pub(crate) plan: Plan,
    /// Detached, read-only sysfs of the sandbox's network namespace.
    pub(crate) sysfs: Fd,
}

/// Runs as launcher, and in the clone as process 1.
pub(crate) fn run() -> ! {
    match launch() {
        Ok(Some(inherited)) => setup::run(inherited),
        Ok(None) => sys::exit(0),
        Err(failure) => {
            // If the engine is gone nobody is left to tell.
            let _ = Reply::failed(op::CLONED, 0, failure.errno, failure.stage).send(SETUP_FD, 0);
            sys::exit(1)
        }
    }
}

/// `Some` in the clone, `None` in the launcher.
fn launch() -> core::result::Result<Option<Inherited>, Failure> {
    prepare_process().at(stage::RESOURCES)?;
    let mut packet = Packet::receive(SETUP_FD).and_then(|p| p.ok_or(Errno::EPIPE)).at(stage::PROTOCOL)?;
    let (header, _) = packet.open().at(stage::PROTOCOL)?;
    if header.op != op::LAUNCH {
        return Err(Failure { stage: stage::PROTOCOL, errno: Errno::EPROTO });
    }
    let plan = Plan::read(&packet.fds.take(0)).at(stage::PROTOCOL)?;
    let cgroup = packet.fds.take(1);
    enter_network().at(stage::NETWORK)?;
    let sysfs = mount_sysfs().at(stage::MOUNT)?;
    become_owner(plan.records.u32(tag::OWNER).at(stage::PROTOCOL)?).at(stage::IDENTITY)?;
    Ok(if divide(&cgroup)? { Some(Inherited { plan, sysfs }) } else { None })
}

/// Starts from a known state, whatever the engine's process is like.
fn prepare_process() -> Result<()> {
    const AGENT_FILES: u64 = 65_536;
    const STACK: u64 = 8 << 20;
    sys::set_name(c"lattice-agent");
    sys::close_range(3, u32::MAX)?;
    sys::setsid();
    sys::default_signals();
    sys::set_limit(sys::RLIMIT_NOFILE, AGENT_FILES, AGENT_FILES)?;
    sys::set_limit(sys::RLIMIT_STACK, STACK, u64::MAX)?;
    sys::set_limit(sys::RLIMIT_CORE, 0, u64::MAX)?;
    sys::set_limit(sys::RLIMIT_NPROC, u64::MAX, u64::MAX)?;
    protect_from_oom()
}

/// Keeps the agent from being chosen when the host runs out of memory.
///
/// The old interface sets the score without the lower bound that `oom_score_adj` would set along with it and that all commands
/// would inherit: with a bound of -1000 a command could protect itself.
fn protect_from_oom() -> Result<()> {
    let protected = write_file(c"/proc/self/oom_adj", b"-17");
    match protected {
        // A root without CAP_SYS_RESOURCE cannot protect anything, nor a kernel without the interface; sandboxes work all the same.
        Err(Errno::EACCES | Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// A network namespace of the parent user namespace, so that nobody inside can administer it.
fn enter_network() -> Result<()> {
    sys::unshare(sys::CLONE_NEWNET)?;
    sys::loopback_up()?;
    write_file(c"/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0")?;
    write_file(c"/proc/sys/net/ipv4/ping_group_range", b"0 2147483647")
}

fn write_file(path: &core::ffi::CStr, bytes: &[u8]) -> Result<()> {
    let file = sys::open(sys::AT_FDCWD, path, sys::O_WRONLY)?;
    sys::write(file.raw(), bytes).map(drop)
}

/// sysfs shows the network namespace of its mounter, and only its owner may mount it.
fn mount_sysfs() -> Result<Fd> {
    let fs = sys::fs_open(c"sysfs")?;
    sys::fs_flag(&fs, c"ro")?;
    let attributes =
        sys::MOUNT_ATTR_RDONLY | sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;
    sys::fs_mount(&fs, attributes)
}

/// Takes the effective id that is to own the user namespace, but keeps every capability.
fn become_owner(owner: u32) -> Result<()> {
    const NO_SETUID_FIXUP: usize = 1 << 2;
    sys::prctl(sys::PR_SET_SECUREBITS, NO_SETUID_FIXUP)?;
    sys::set_effective_uid(owner)
}

/// Clones into the other namespaces; true in the clone.
fn divide(cgroup: &Fd) -> core::result::Result<bool, Failure> {
    let mut flags = sys::CLONE_NEWUSER
        | sys::CLONE_NEWNS
        | sys::CLONE_NEWPID
        | sys::CLONE_NEWIPC
        | sys::CLONE_NEWUTS
        | sys::CLONE_PIDFD;
    if cgroup.is_some() {
        flags |= sys::CLONE_INTO_CGROUP;
    }
    let mut pidfd = 0;
    let Some(pid) = sys::clone(flags, &mut pidfd, cgroup.raw()).at(stage::CLONE)? else { return Ok(true) };
    let pidfd = Fd::own(pidfd);
    let reply = Reply::new(op::CLONED, 0).u32(tag::PID, pid as u32);
    if reply.send(SETUP_FD, pidfd.raw()).is_err() {
        // The engine is gone: the clone sees that too, when it waits for its set-up.
        sys::exit(1);
    }
    Ok(false)
}
