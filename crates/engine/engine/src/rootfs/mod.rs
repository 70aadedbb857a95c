//! The sandbox's file systems as detached mounts: nothing is attached anywhere on the host.
//!
//! Minimal kernel: 6.13, for overlay layers by descriptor (`lowerdir+`, `upperdir` and `workdir` with `FSCONFIG_SET_FD`).

mod dev;
mod overlay;

use crate::error::Result;
use std::{
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The mounts of a sandbox that the engine makes.
pub(crate) struct Mounts {
    /// The root.
    pub(crate) root: OwnedFd,
    /// Others, with where they belong.
    pub(crate) others: Vec<(&'static str, OwnedFd)>,
}

/// Makes them. `root_layers` and `usr_layers` are lowest first; with `usr_layers` the host's `/usr`, seen through `userns`, lies below them
/// at `/usr`. `dir` is the sandbox's folder.
pub(crate) fn build(
    dir: &Path,
    root_layers: &[PathBuf],
    usr_layers: Option<&[PathBuf]>,
    userns: BorrowedFd<'_>,
) -> Result<Mounts> {
    let mut lower = overlay::open_layers(root_layers)?;
    let root = overlay::mount(&lower, &dir.join("upper"), &dir.join("work"))?;
    let mut others = Vec::new();
    if let Some(layers) = usr_layers {
        let (_mount, usr) = overlay::host_usr(userns)?;
        lower = vec![usr];
        lower.extend(overlay::open_layers(layers)?);
        others.push(("/usr", overlay::mount(&lower, &dir.join("usr-upper"), &dir.join("usr-work"))?));
    }
    others.push(("/dev", dev::mount()?));
    Ok(Mounts { root, others })
}
