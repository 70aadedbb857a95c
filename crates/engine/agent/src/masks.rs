//! Read-only and covered paths.

use crate::mounts;
use crate::plan::Plan;
use crate::protocol::tag;
use crate::records;
use crate::setup::Handles;
use crate::sys::{self, Errno, Fd, Result};
use core::ffi::CStr;

/// Applies the plan's read-only paths, then its masks (the other way round a read-only copy would hide the masks below it).
pub(crate) fn apply(plan: &Plan, handles: &Handles) -> Result<()> {
    let root = sys::open(sys::AT_FDCWD, c"/", sys::O_PATH | sys::O_DIRECTORY)?;
    for path in records::strings(plan.records.bytes(tag::READ_ONLY)) {
        if let Some(place) = find(&root, path)? {
            let tree = sys::open_tree_clone(place.raw(), sys::AT_RECURSIVE)?;
            sys::make_read_only(&tree)?;
            sys::move_mount(tree.raw(), place.raw())?;
        }
    }
    for path in records::strings(plan.records.bytes(tag::MASK)) {
        if let Some(place) = find(&root, path)? {
            cover(handles, &place)?;
        }
    }
    Ok(())
}

/// Opens an existing path; what this kernel does not have needs no cover.
fn find(root: &Fd, path: &CStr) -> Result<Option<Fd>> {
    match sys::open_in_root(root.raw(), path, 0) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn cover(handles: &Handles, place: &Fd) -> Result<()> {
    const DIRECTORY: u16 = 0o4;
    let mount = if sys::stat(place.raw())?.mode >> 12 == DIRECTORY {
        mounts::empty_directory()?
    } else {
        sys::open_tree_clone(handles.null.raw(), 0)?
    };
    sys::move_mount(mount.raw(), place.raw())
}
