//! The sandbox's tree of mounts, all by descriptor.

use crate::plan::Plan;
use crate::protocol::tag;
use crate::records;
use crate::setup::Handles;
use crate::sys::{self, Errno, Fd, Result};
use core::ffi::CStr;

const PLAIN: u64 = sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;

/// Replaces the root by the plan's, and mounts what every sandbox has.
pub(crate) fn assemble(plan: &Plan, handles: &mut Handles, sysfs: &Fd) -> Result<()> {
    // A procfs of one's own may only be mounted where one is fully visible already: before the host's goes away.
    let proc = sys::fs_mount(&sys::fs_open(c"proc")?, PLAIN)?;
    enter_root(&handles.root)?;
    let root = handles.root.take();
    let mut mounts = handles.mounts.iter_mut();
    for target in records::strings(plan.records.bytes(tag::TARGETS)) {
        let mount = mounts.next().ok_or(Errno::EPROTO)?.take();
        attach(&root, target, &mount)?;
    }
    attach(&root, c"/proc", &proc)?;
    attach(&root, c"/sys", sysfs)?;
    handles.terminals = terminals()?;
    attach(&root, c"/dev/pts", &handles.terminals)?;
    attach(&root, c"/dev/shm", &shared_memory(plan.records.u64(tag::SHM_SIZE)?)?)
}

/// Makes the detached `root` this namespace's root and forgets the host's tree.
fn enter_root(root: &Fd) -> Result<()> {
    sys::make_mounts_private()?;
    sys::move_mount_here(root.raw())?;
    sys::fchdir(root.raw())?;
    // Old and new root on the same name: the old one ends up on top and is detached at once (pivot_root(2), NOTES).
    sys::pivot_root(c".", c".")?;
    sys::detach(c".")?;
    sys::chdir(c"/")
}

/// Attaches `mount` on `target` inside, following no link; a missing directory of one component is made.
fn attach(root: &Fd, target: &CStr, mount: &Fd) -> Result<()> {
    let place = match sys::open_in_root(root.raw(), target, sys::O_DIRECTORY) {
        Err(Errno::ENOENT) => make(root, target)?,
        other => other?,
    };
    sys::move_mount(mount.raw(), place.raw())
}

fn make(root: &Fd, target: &CStr) -> Result<Fd> {
    let bytes = target.to_bytes_with_nul();
    let name = bytes.strip_prefix(b"/").unwrap_or(bytes);
    if name.contains(&b'/') {
        return Err(Errno::ENOENT);
    }
    let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::EINVAL)?;
    sys::mkdir(root.raw(), name, 0o755)?;
    sys::open_in_root(root.raw(), name, sys::O_DIRECTORY)
}

fn terminals() -> Result<Fd> {
    let fs = sys::fs_open(c"devpts")?;
    sys::fs_set(&fs, c"ptmxmode", c"0666")?;
    sys::fs_set(&fs, c"mode", c"0620")?;
    sys::fs_set(&fs, c"gid", c"5")?;
    // The host has 4096 in all by default.
    sys::fs_set(&fs, c"max", c"256")?;
    sys::fs_mount(&fs, sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NOEXEC)
}

fn shared_memory(size: u64) -> Result<Fd> {
    let fs = sys::fs_open(c"tmpfs")?;
    let mut digits = [0u8; 21];
    sys::fs_set(&fs, c"size", decimal(size, &mut digits))?;
    sys::fs_set(&fs, c"mode", c"1777")?;
    sys::fs_mount(&fs, PLAIN)
}

/// An empty directory that nothing can be put into.
pub(crate) fn empty_directory() -> Result<Fd> {
    let fs = sys::fs_open(c"tmpfs")?;
    sys::fs_set(&fs, c"mode", c"0555")?;
    sys::fs_set(&fs, c"nr_inodes", c"1")?;
    sys::fs_flag(&fs, c"ro")?;
    sys::fs_mount(&fs, PLAIN | sys::MOUNT_ATTR_RDONLY)
}

/// Writes a number at the end of `digits`.
fn decimal(mut number: u64, digits: &mut [u8; 21]) -> &CStr {
    let mut start = digits.len() - 1;
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    CStr::from_bytes_until_nul(&digits[start..]).unwrap_or(c"0")
}
