//! Set-up of the clone: from SETUP to READY.

use crate::launch::{At, Failure, Inherited};
use crate::plan::Plan;
use crate::protocol::{MAX_PORTS, MAX_VOLUMES, SETUP_FD, op, role, stage, tag};
use crate::records::{Fds, Packet, Records, Reply};
use crate::sys::{self, Errno, Fd, Result};
use crate::{masks, mounts, serve};

/// Most v1 hierarchies that a command joins.
pub(crate) const MAX_TASKS: usize = 8;
/// Most mounts beside the root: two and the volumes.
pub(crate) const MAX_MOUNTS: usize = 2 + MAX_VOLUMES;

/// Descriptors of SETUP by role.
pub(crate) struct Handles {
    /// Detached root.
    pub(crate) root: Fd,
    /// Detached mounts for the plan's targets.
    pub(crate) mounts: [Fd; MAX_MOUNTS],
    /// Where fronts connect.
    pub(crate) listener: Fd,
    /// Held open, so that the sandbox counts as alive.
    pub(crate) lock: Fd,
    /// How it ended.
    pub(crate) result: Fd,
    /// v1 `tasks` files.
    pub(crate) tasks: [Fd; MAX_TASKS],
    /// v2 directory for commands.
    pub(crate) work: Fd,
    /// Counter of memory kills.
    pub(crate) oom: Fd,
    /// Listeners of the published ports.
    pub(crate) ports: [Fd; MAX_PORTS],
    /// The null device.
    pub(crate) null: Fd,
    /// Root of the sandbox's devpts.
    pub(crate) terminals: Fd,
}

/// Becomes process 1.
pub(crate) fn run(inherited: Inherited) -> ! {
    match set_up(&inherited) {
        Ok(handles) => serve::run(inherited.plan, handles),
        Err(failure) => {
            // If the engine is gone nobody is left to tell.
            let _ = Reply::failed(op::READY, 0, failure.errno, failure.stage).send(SETUP_FD, 0);
            sys::exit(1)
        }
    }
}

fn set_up(inherited: &Inherited) -> core::result::Result<Handles, Failure> {
    let plan = &inherited.plan;
    let mut handles = receive().at(stage::PROTOCOL)?;
    // From here on nothing of this process can be looked at from inside, whatever id it has.
    sys::prctl(sys::PR_SET_DUMPABLE, 0).at(stage::IDENTITY)?;
    sys::umask(0o022);
    become_root_inside().at(stage::IDENTITY)?;
    sys::set_hostname(plan.records.bytes(tag::HOSTNAME)).at(stage::IDENTITY)?;
    mounts::assemble(plan, &mut handles, &inherited.sysfs).at(stage::MOUNT)?;
    handles.null = open_null().at(stage::MOUNT)?;
    masks::apply(plan, &handles).at(stage::MASK)?;
    drop_privileges(plan).at(stage::PRIVILEGES)?;
    Ok(handles)
}

fn receive() -> Result<Handles> {
    let mut packet = Packet::receive(SETUP_FD)?.ok_or(Errno::EPIPE)?;
    let (header, records) = packet.open()?;
    if header.op != op::SETUP {
        return Err(Errno::EPROTO);
    }
    let mut roles = [0u8; crate::protocol::MAX_FDS];
    let count = copy_roles(&records, &mut roles)?;
    if count != packet.fds.count() {
        return Err(Errno::EPROTO);
    }
    sort(&roles[..count], &mut packet.fds)
}

/// Copies the ROLES record out of a packet.
pub(crate) fn copy_roles(records: &Records<'_>, roles: &mut [u8]) -> Result<usize> {
    let bytes = records.bytes(tag::ROLES);
    roles.get_mut(..bytes.len()).ok_or(Errno::EPROTO)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

fn sort(roles: &[u8], fds: &mut Fds) -> Result<Handles> {
    let mut handles = Handles {
        root: Fd::NONE,
        mounts: [const { Fd::NONE }; MAX_MOUNTS],
        listener: Fd::NONE,
        lock: Fd::NONE,
        result: Fd::NONE,
        tasks: [const { Fd::NONE }; MAX_TASKS],
        work: Fd::NONE,
        oom: Fd::NONE,
        ports: [const { Fd::NONE }; MAX_PORTS],
        null: Fd::NONE,
        terminals: Fd::NONE,
    };
    let (mut tasks, mut mounts) = (handles.tasks.iter_mut(), handles.mounts.iter_mut());
    let mut ports = handles.ports.iter_mut();
    for (index, role) in roles.iter().enumerate() {
        let slot = match *role {
            role::ROOT => &mut handles.root,
            role::MOUNT => mounts.next().ok_or(Errno::EPROTO)?,
            role::LISTENER => &mut handles.listener,
            role::LOCK => &mut handles.lock,
            role::RESULT => &mut handles.result,
            role::TASKS => tasks.next().ok_or(Errno::EPROTO)?,
            role::WORK_CGROUP => &mut handles.work,
            role::OOM_EVENTS => &mut handles.oom,
            role::PORT => ports.next().ok_or(Errno::EPROTO)?,
            // Of a newer engine: not ours to keep.
            _ => continue,
        };
        *slot = fds.take(index);
    }
    let complete = handles.root.is_some()
        && handles.listener.is_some()
        && handles.lock.is_some()
        && handles.result.is_some();
    if complete { Ok(handles) } else { Err(Errno::EPROTO) }
}

fn become_root_inside() -> Result<()> {
    sys::set_groups(&[])?;
    sys::set_gid(0)?;
    sys::set_uid(0)
}

/// The null device of the sandbox's own /dev, checked, as a workload could replace the name later.
fn open_null() -> Result<Fd> {
    const CHARACTER: u16 = 0o2;
    let null = sys::open(sys::AT_FDCWD, c"/dev/null", sys::O_RDWR)?;
    let stat = sys::stat(null.raw())?;
    if stat.mode >> 12 != CHARACTER || stat.device != (1, 3) {
        return Err(Errno::EINVAL);
    }
    Ok(null)
}

/// Capabilities of the agent beside those that it hands to commands: identity of commands, signals, a cgroup namespace for each.
const AGENT_CAPABILITIES: u64 = CAP_KILL | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 21;
const CAP_KILL: u64 = 1 << 5;

/// Gives up all but the capabilities of commands and the few of its own, most of them only permitted, not effective.
fn drop_privileges(plan: &Plan) -> Result<()> {
    const LAST_CAPABILITY: usize = 63;
    for capability in 0..=LAST_CAPABILITY {
        if plan.capabilities >> capability & 1 == 0 && sys::prctl(sys::PR_CAPBSET_DROP, capability).is_err() {
            // Beyond the last one that this kernel knows.
            break;
        }
    }
    sys::prctl(sys::PR_SET_KEEPCAPS, 1)?;
    sys::set_gid(plan.agent_uid)?;
    sys::set_uid(plan.agent_uid)?;
    sys::prctl(sys::PR_SET_KEEPCAPS, 0)?;
    sys::set_capabilities(permitted(plan), CAP_KILL)?;
    sys::prctl(sys::PR_SET_NO_NEW_PRIVS, 1)?;
    // One keyring for the sandbox: one for each command would exhaust the id's key quota.
    match sys::new_session_keyring() {
        // A kernel without keyrings has none to protect.
        Err(Errno::ENOSYS) | Ok(()) => {}
        Err(errno) => return Err(errno),
    }
    // A change of identity resets it to the host's fs.suid_dumpable.
    sys::prctl(sys::PR_SET_DUMPABLE, 0).map(drop)
}

/// All that the agent holds; a command's child makes it effective to shape itself.
pub(crate) fn permitted(plan: &Plan) -> u64 {
    AGENT_CAPABILITIES | plan.capabilities
}
