//! Volumes as mounts, and the places where they appear.

use crate::{
    error::{Error, Result},
    idmap,
    launch::VolumePlan,
};
use rustix::{
    fs::{CWD, Gid, Mode, OFlags, Uid, fchmod, fchown, mkdirat, openat},
    io::Errno,
    mount::{OpenTreeFlags, open_tree},
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A detached mount of a volume or of a folder in it. Plain: its files belong to the ids of the store's range already.
pub(super) fn mount(volume: &VolumePlan) -> Result<OwnedFd> {
    let whole = openat(CWD, &volume.dir, DIRECTORY, Mode::empty())
        .map_err(|e| Error::io(format!("cannot open the volume {}", volume.dir.display()), e))?;
    let folder = match &volume.sub_path {
        Some(path) => descend(whole.as_fd(), path)
            .map_err(|(part, e)| in_the_way("the volume's folder", path, part, e))?,
        None => whole,
    };
    try_mount(&folder, volume.read_only)
        .map_err(|e| Error::io(format!("cannot mount the volume {}", volume.dir.display()), e))
}

fn try_mount(folder: &OwnedFd, read_only: bool) -> std::io::Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let mount = open_tree(folder, c"", flags)?;
    openlattice_sys::restrict(mount.as_fd(), read_only)?;
    Ok(mount)
}

/// Makes the directory `path` below `tree` where it is missing; nothing in the sandbox runs yet. `shown` is its path inside.
pub(super) fn make_place(tree: BorrowedFd<'_>, path: &str, shown: &str) -> Result<()> {
    descend(tree, path)
        .map(|_place| ())
        .map_err(|(part, e)| in_the_way("the place of a volume", shown, part, e))
}

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory name by name, so that no link is followed, and makes what is missing. An error comes with the name it is about.
fn descend<'a>(from: BorrowedFd<'_>, path: &'a str) -> Result<OwnedFd, (&'a str, Errno)> {
    let mut folder = None;
    for part in path.split('/') {
        let parent = folder.as_ref().map_or(from, AsFd::as_fd);
        folder = Some(enter(parent, part).map_err(|e| (part, e))?);
    }
    folder.ok_or((path, Errno::INVAL))
}

fn enter(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    match openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        found => return found,
    }
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        // By another sandbox's launch, in a volume.
        Err(Errno::EXIST) => {}
        made => {
            made?;
            give(parent, name)?;
        }
    }
    openat(parent, name, DIRECTORY, Mode::empty())
}

/// Makes it the sandbox root's, whatever this process's umask is. In a volume, a sandbox can put something else in its place
/// meanwhile: no link is followed, and what it has is its own anyway.
fn give(parent: BorrowedFd<'_>, name: &str) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, name, flags, Mode::empty())?;
    fchown(&made, Some(Uid::from_raw(idmap::BASE)), Some(Gid::from_raw(idmap::BASE)))?;
    fchmod(&made, Mode::from_raw_mode(0o755))
}

fn in_the_way(what: &str, path: &str, part: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOTDIR | Errno::LOOP => Error::invalid(format!(
            "{what} {path:?} cannot be: {part:?} is a link or no directory, choose another path"
        ))
        .with_source(std::io::Error::from(errno)),
        _ => Error::io(format!("cannot make {what} {path:?}"), errno),
    }
}
