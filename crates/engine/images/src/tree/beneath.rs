//! Opening paths below a directory, with the kernel as the judge.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::path::Arg;

/// No path component may be a link of any kind, nor lead above the directory or onto another mount (openat2(2)).
const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Opens the directory at `path` below `root`; an empty path is `root` itself.
pub(crate) fn open_directory(root: impl AsFd, path: impl Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = path.into_c_str()?;
    let path = if path.is_empty() { c"." } else { &path };
    Ok(rustix::fs::openat2(root, path, flags, Mode::empty(), STRICT)?)
}

/// Opens the regular file at `path` below `root` for reading; never blocks on a fifo.
pub(crate) fn open_file(root: impl AsFd, path: impl Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(root, path, flags, Mode::empty(), STRICT)?;
    let stat = rustix::fs::fstat(&file)?;
    if file_type(&stat) == FileType::RegularFile {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The type of what `stat` describes.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether `stat` describes overlayfs's mark for a deleted path.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    file_type(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// The names in a directory, without `.` and `..`.
pub(crate) fn names(directory: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Device and inode number, which say whether two descriptors are the same file.
pub(crate) fn identity(file: impl AsFd) -> io::Result<(u64, u64)> {
    let stat = rustix::fs::fstat(file)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Goes from `directory` to its parent, which must still be the one that was left.
///
/// A walk that comes back through `..` needs one descriptor at any depth; the check keeps a rename from turning it
/// into a walk of another tree.
pub(crate) fn open_parent(directory: impl AsFd, expected: (u64, u64)) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = rustix::fs::openat(directory, c"..", flags, Mode::empty())?;
    if identity(&parent)? == expected {
        Ok(parent)
    } else {
        Err(io::Error::other("the tree was moved during the walk"))
    }
}
