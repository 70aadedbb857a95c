//! The sandbox's file systems as detached mounts: nothing is attached anywhere on the host.

mod dev;
mod overlay;
mod volume;

use crate::{error::Result, launch::VolumePlan};
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// Oldest kernel, major and minor number, that sandboxes work on: overlay layers by descriptor (`FSCONFIG_SET_FD`, with `O_PATH`)
/// that are detached mounts. Measured on 6.18.
pub const MINIMAL_KERNEL: (u32, u32) = (6, 15);

/// The mounts of a sandbox that the engine makes: the root and others.
pub(crate) struct Mounts {
    root: OwnedFd,
    /// `/usr`, when it is not part of the root, is the second.
    others: Vec<OwnedFd>,
    usr: bool,
}

impl Mounts {
    /// Makes those that need no process of the sandbox yet: the root of `layers` (lowest first) and `/dev`. `dir` is the sandbox's folder.
    pub(crate) fn new(dir: &Path, layers: &[PathBuf]) -> Result<Self> {
        let lower = overlay::open_layers(layers)?;
        let root = overlay::mount(&lower, dir, "upper", "work")?;
        Ok(Self { root, others: vec![dev::mount()?], usr: false })
    }

    /// Adds `/usr`: `layers` (lowest first) over the host's, whose owners are seen through `userns`.
    pub(crate) fn add_usr(&mut self, dir: &Path, layers: &[PathBuf], userns: BorrowedFd<'_>) -> Result<()> {
        let mut lower = vec![overlay::host_usr(userns)?];
        lower.extend(overlay::open_layers(layers)?);
        self.others.push(overlay::mount(&lower, dir, "usr-upper", "usr-work")?);
        self.usr = true;
        Ok(())
    }

    /// Adds a volume, and makes the place where it is to appear. After [`Self::add_usr`].
    pub(crate) fn add_volume(&mut self, volume: &VolumePlan) -> Result<()> {
        let (tree, path) = match volume.target.strip_prefix("/usr/") {
            Some(rest) if self.usr => (self.others[1].as_fd(), rest),
            _ => (self.root.as_fd(), volume.target.trim_start_matches('/')),
        };
        volume::make_place(tree, path, &volume.target)?;
        self.others.push(volume::mount(volume)?);
        Ok(())
    }

    /// The root.
    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// The others, in the order of [`targets`], then the volumes.
    pub(crate) fn others(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.others.iter().map(AsFd::as_fd)
    }
}

/// Where the other mounts of a sandbox belong; `usr`: with [`Mounts::add_usr`].
pub(crate) fn targets(usr: bool) -> &'static [&'static str] {
    if usr { &["/dev", "/usr"] } else { &["/dev"] }
}
