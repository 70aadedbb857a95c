//! The mount interface by descriptor (fsopen(2), open_tree(2), move_mount(2)).

use super::{
    AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, Fd, MOUNT_ATTR_RDONLY, O_CLOEXEC, Result, at, call, owned, text,
};
use crate::arch::nr;
use core::ffi::CStr;

/// Makes every mount of this namespace private.
pub(crate) fn make_mounts_private() -> Result<()> {
    const REC_PRIVATE: usize = 0x4000 | 0x4_0000;
    call(nr::MOUNT, [0, text(c"/"), 0, REC_PRIVATE, 0, 0]).map(drop)
}

pub(crate) fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    call(nr::PIVOT_ROOT, [text(new), text(old), 0, 0, 0, 0]).map(drop)
}

/// Takes the topmost mount at `path` away, with what is below it.
pub(crate) fn detach(path: &CStr) -> Result<()> {
    const MNT_DETACH: usize = 2;
    call(nr::UMOUNT2, [text(path), MNT_DETACH, 0, 0, 0, 0]).map(drop)
}

pub(crate) fn fs_open(kind: &CStr) -> Result<Fd> {
    const FSOPEN_CLOEXEC: usize = 1;
    owned(call(nr::FSOPEN, [text(kind), FSOPEN_CLOEXEC, 0, 0, 0, 0]))
}

pub(crate) fn fs_set(fs: &Fd, key: &CStr, value: &CStr) -> Result<()> {
    const SET_STRING: usize = 1;
    call(nr::FSCONFIG, [at(fs.raw()), SET_STRING, text(key), text(value), 0, 0]).map(drop)
}

pub(crate) fn fs_flag(fs: &Fd, key: &CStr) -> Result<()> {
    const SET_FLAG: usize = 0;
    call(nr::FSCONFIG, [at(fs.raw()), SET_FLAG, text(key), 0, 0, 0]).map(drop)
}

/// Makes the file system and a detached mount of it.
pub(crate) fn fs_mount(fs: &Fd, attributes: u64) -> Result<Fd> {
    const CREATE: usize = 6;
    const FSMOUNT_CLOEXEC: usize = 1;
    call(nr::FSCONFIG, [at(fs.raw()), CREATE, 0, 0, 0, 0])?;
    owned(call(nr::FSMOUNT, [at(fs.raw()), FSMOUNT_CLOEXEC, attributes as usize, 0, 0, 0]))
}

/// A detached copy of the mount at a descriptor, from that file on.
pub(crate) fn open_tree_clone(fd: i32, flags: usize) -> Result<Fd> {
    const OPEN_TREE_CLONE: usize = 1;
    owned(call(
        nr::OPEN_TREE,
        [at(fd), text(c""), OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | flags, 0, 0, 0],
    ))
}

/// Attaches the detached mount `mount` on the file `target`.
pub(crate) fn move_mount(mount: i32, target: i32) -> Result<()> {
    const BOTH_EMPTY: usize = 0x4 | 0x40;
    call(nr::MOVE_MOUNT, [at(mount), text(c""), at(target), text(c""), BOTH_EMPTY, 0]).map(drop)
}

/// Attaches the detached mount `mount` on the working directory.
pub(crate) fn move_mount_here(mount: i32) -> Result<()> {
    const FROM_EMPTY: usize = 0x4;
    call(nr::MOVE_MOUNT, [at(mount), text(c""), at(AT_FDCWD), text(c"."), FROM_EMPTY, 0]).map(drop)
}

/// Makes the mounts of a detached tree read-only.
pub(crate) fn make_read_only(tree: &Fd) -> Result<()> {
    let attributes = [MOUNT_ATTR_RDONLY, 0, 0, 0];
    let flags = AT_EMPTY_PATH | AT_RECURSIVE;
    call(
        nr::MOUNT_SETATTR,
        [at(tree.raw()), text(c""), flags, attributes.as_ptr() as usize, size_of_val(&attributes), 0],
    )
    .map(drop)
}
