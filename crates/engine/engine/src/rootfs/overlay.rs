//! Overlays of stored layers, and of the host's `/usr`.

use crate::error::{Error, ErrorKind, Result};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_fd,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
    },
};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Opens stored layers.
pub(super) fn open_layers(layers: &[PathBuf]) -> Result<Vec<OwnedFd>> {
    layers.iter().map(|layer| clone_tree(layer)).collect()
}

/// A detached mount of a directory. What an overlay is made of can be read in `/proc/self/mountinfo` inside: of a detached mount that
/// shows paths below it only, nothing of the host's. It goes away with its descriptor, unless an overlay holds it.
fn clone_tree(path: &Path) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, path, flags)
        .map_err(|e| Error::io(format!("cannot clone the mount of {}", path.display()), e))
}

/// The host's `/usr`, owned by the ids of `userns`.
pub(super) fn host_usr(userns: BorrowedFd<'_>) -> Result<OwnedFd> {
    let tree = clone_tree(Path::new("/usr"))?;
    openlattice_sys::idmap(tree.as_fd(), userns).map_err(|e| {
        Error::new(
            ErrorKind::Unsupported,
            "cannot map the owners of /usr: its file system does not support idmapped mounts",
        )
        .with_source(e)
    })?;
    Ok(tree)
}

/// Mounts an overlay of `lower` (lowest first) with the directories `upper` and `work` of `dir`.
///
/// `volatile`: unmounting would else sync the whole file system below, other tenants' data too. The features that are switched off would put
/// things into the upper that no other host reads.
pub(super) fn mount(lower: &[OwnedFd], dir: &Path, upper: &str, work: &str) -> Result<OwnedFd> {
    // Upper and work directory have to be on one mount.
    let dir = clone_tree(dir)?;
    let (upper, work) = (open_directory(&dir, upper)?, open_directory(&dir, work)?);
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|e| Error::io("cannot use overlay file systems", e))?;
    try_mount(&fs, lower, &upper, &work).map_err(|e| {
        let ((major, minor), log) = (super::MINIMAL_KERNEL, log(&fs));
        let needed = format!("layers by descriptor need Linux {major}.{minor}");
        Error::io(format!("cannot mount the sandbox's overlay ({needed}): {log}"), e)
    })
}

fn open_directory(dir: &OwnedFd, name: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
        .map_err(|e| Error::io(format!("cannot open the directory {name} of the sandbox"), e))
}

fn try_mount(
    fs: &OwnedFd,
    lower: &[OwnedFd],
    upper: &OwnedFd,
    work: &OwnedFd,
) -> rustix::io::Result<OwnedFd> {
    // The kernel takes the topmost first.
    for layer in lower.iter().rev() {
        fsconfig_set_fd(fs, "lowerdir+", layer)?;
    }
    fsconfig_set_fd(fs, "upperdir", upper)?;
    fsconfig_set_fd(fs, "workdir", work)?;
    for option in ["xino", "redirect_dir", "metacopy", "index"] {
        fsconfig_set_string(fs, option, "off")?;
    }
    fsconfig_set_flag(fs, "volatile")?;
    fsconfig_create(fs)?;
    fsmount(fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// What the kernel says about a refusal (fsopen(2): messages are read from the descriptor).
fn log(fs: &OwnedFd) -> String {
    let mut text = String::new();
    let mut line = [0; 256];
    while let Ok(len) = rustix::io::read(fs, &mut line) {
        text.push_str(String::from_utf8_lossy(&line[..len]).trim_end());
        text.push(' ');
    }
    text.trim_end().to_owned()
}
