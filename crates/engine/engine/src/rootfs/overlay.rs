//! Overlays of stored layers, and of the host's `/usr`.

use crate::error::{Error, ErrorKind, Result};
use rustix::{
    fs::{Mode, OFlags},
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
    layers.iter().map(|layer| open_directory(layer)).collect()
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .map_err(|e| Error::io(format!("cannot open the layer {}", path.display()), e))
}

/// The host's `/usr` as a detached mount. Its first descriptor holds the mount, which goes away when that is closed, the second opens it.
pub(super) fn host_usr(userns: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd)> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(rustix::fs::CWD, "/usr", flags)
        .map_err(|e| Error::io("cannot clone the mount of /usr", e))?;
    openlattice_sys::idmap(tree.as_fd(), userns).map_err(|e| {
        Error::new(
            ErrorKind::Unsupported,
            "cannot map the owners of /usr: its file system does not support idmapped mounts",
        )
        .with_source(e)
    })?;
    // `open_tree` gives an O_PATH descriptor, which `FSCONFIG_SET_FD` takes only since Linux 6.15.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(&tree, ".", flags, Mode::empty())
        .map_err(|e| Error::io("cannot open the clone of /usr", e))?;
    Ok((tree, open))
}

/// Mounts an overlay of `lower` (lowest first) with an upper and a work directory.
///
/// `volatile`: unmounting would else sync the whole file system below, other tenants' data too. The features that are switched off would put
/// things into the upper that no other host reads.
pub(super) fn mount(lower: &[OwnedFd], upper: &Path, work: &Path) -> Result<OwnedFd> {
    let (upper, work) = (open_directory(upper)?, open_directory(work)?);
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(|e| Error::io("cannot use overlay file systems", e))?;
    try_mount(&fs, lower, &upper, &work).map_err(|e| {
        let log = log(&fs);
        Error::io(
            format!("cannot mount the sandbox's overlay (layers by descriptor need Linux 6.13): {log}"),
            e,
        )
    })
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
