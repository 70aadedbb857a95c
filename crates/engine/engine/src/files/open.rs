//! Opening paths below a sandbox's root, with the kernel as the judge (openat2(2), Linux 5.6).

use crate::error::{Error, ErrorKind, Result};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

/// Links stay inside, and links of proc lead nowhere.
const INSIDE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// Times that a link's target is another link (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// Longest path (PATH_MAX with its NUL).
const MAX_PATH: usize = 4095;
const OVERLAY: i64 = 0x794c_7630;
const TMPFS: i64 = 0x0102_1994;
/// File systems that a store, and so a volume, can be on: ext2 to ext4, XFS, btrfs, F2FS, bcachefs, ZFS (linux/magic.h and theirs).
const DISKS: [i64; 6] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010, 0xca45_1a4e, 0x2fc1_2fc1];

/// A parent directory and the name of an entry in it, which may exist or not.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) parent: OwnedFd,
    pub(super) name: OsString,
}

/// Refuses what cannot be a sandbox's root: the agent that sent the descriptor is not trusted.
pub(super) fn check_root(root: OwnedFd) -> Result<OwnedFd> {
    let stat = rustix::fs::fstat(&root).map_err(|e| Error::io("cannot examine the sandbox's root", e))?;
    if kind(&stat) == FileType::Directory && is_plain(&root)? {
        return Ok(root);
    }
    Err(Error::new(ErrorKind::Internal, "the agent sent something else than its root"))
}

/// The errno of an operation on `path`.
pub(super) fn failed(what: &str, path: impl AsRef<Path>, errno: Errno) -> Error {
    let path = path.as_ref();
    match errno {
        Errno::LOOP => Error::invalid(format!("cannot {what} {path:?}: its links go round"))
            .with_source(std::io::Error::from(errno)),
        Errno::NAMETOOLONG => Error::invalid(format!("cannot {what} {path:?}: a name is too long"))
            .with_source(std::io::Error::from(errno)),
        Errno::NXIO | Errno::NODEV => unsupported(path),
        // A memory file system that was mounted inside knows the sandbox's ids only, and the host's root is none of them.
        Errno::OVERFLOW => Error::new(
            ErrorKind::Unsupported,
            format!("{path:?} is in memory of the sandbox: write it with a command"),
        )
        .with_source(std::io::Error::from(errno)),
        _ => Error::io(format!("cannot {what} {path:?}"), errno),
    }
}

pub(super) fn unsupported(path: impl AsRef<Path>) -> Error {
    let path = path.as_ref();
    Error::new(
        ErrorKind::Unsupported,
        format!("{path:?} is a device, fifo, socket or kernel file: use a command for it"),
    )
}

/// Refuses paths that are not absolute or that no system call takes.
pub(super) fn check_path(path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.starts_with(b"/") && !bytes.contains(&0) && bytes.len() <= MAX_PATH {
        return Ok(());
    }
    Err(Error::invalid(format!("{path:?} is no absolute path: begin it with a slash")))
}

/// Names `path` without opening what it means; `follow`: a link at its end is followed. Nothing is read, no device is touched.
pub(super) fn locate(root: impl AsFd, path: impl AsRef<Path>, follow: bool) -> Result<OwnedFd> {
    let path = path.as_ref();
    check_path(path)?;
    let link = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    resolve(root, path, OFlags::PATH | link).map_err(|e| failed("open", path, e))
}

fn resolve(root: impl AsFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    loop {
        // EAGAIN: something was renamed meanwhile, so that the kernel could not tell whether `..` stays inside.
        match rustix::fs::openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), INSIDE) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Opens a regular file for reading.
pub(super) fn open_file(root: impl AsFd, path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let place = locate(root, path, true)?;
    let stat = rustix::fs::fstat(&place).map_err(|e| failed("examine", path, e))?;
    match kind(&stat) {
        FileType::RegularFile if is_plain(&place)? => {
            reopen(&place, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).map(File::from)
        }
        FileType::Directory => Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} is a directory"))),
        _ => Err(unsupported(path)),
    }
}

/// Opens a directory for listing and changing.
pub(super) fn open_directory(root: impl AsFd, path: impl AsRef<Path>) -> Result<OwnedFd> {
    let path = path.as_ref();
    let place = locate(root, path, true)?;
    let stat = rustix::fs::fstat(&place).map_err(|e| failed("examine", path, e))?;
    match kind(&stat) {
        FileType::Directory if is_plain(&place)? => reopen(&place, path, OFlags::RDONLY | OFlags::DIRECTORY),
        FileType::Directory => Err(unsupported(path)),
        _ => Err(Error::new(ErrorKind::NotDirectory, format!("{path:?} is no directory"))),
    }
}

/// Opens for real what [`locate`] has named and the caller has judged: the same inode, whatever the path means by now.
fn reopen(place: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    let link = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::fs::open(link, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|e| failed("open", path, e))
}

/// Whether it is on a file system that holds nothing but what sandboxes have put there; of a disk, only volumes are inside.
pub(super) fn is_plain(file: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstatfs(file).map_err(|e| Error::io("cannot examine a file system", e))?;
    Ok(is_plain_type(stat.f_type))
}

#[cfg(not(test))]
fn is_plain_type(found: i64) -> bool {
    found == OVERLAY || found == TMPFS || DISKS.contains(&found)
}

/// Unit tests work in a plain directory of whatever file system the machine has.
#[cfg(test)]
fn is_plain_type(found: i64) -> bool {
    const PROC: i64 = 0x9fa0;
    const SYSFS: i64 = 0x6265_6572;
    found == OVERLAY || found == TMPFS || DISKS.contains(&found) || (found != PROC && found != SYSFS)
}

/// The parent of `path`, which must exist, and the last name.
pub(super) fn place(root: impl AsFd, path: &Path) -> Result<Place> {
    let (parent, name) = split(path)?;
    Ok(Place { parent: open_directory(root, parent)?, name: name.to_owned() })
}

/// Parent and last name of a path. The root and paths that end in `.` or `..` have none.
pub(super) fn split(path: &Path) -> Result<(&Path, &OsStr)> {
    check_path(path)?;
    let bytes = path.as_os_str().as_bytes();
    let Some(end) = bytes.iter().rposition(|byte| *byte != b'/') else {
        return Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} is the root directory")));
    };
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    let (parent, name) = (&bytes[..start.max(1)], &bytes[start + 1..=end]);
    if matches!(name, b"." | b"..") {
        return Err(Error::invalid(format!("{path:?} does not end in a name")));
    }
    Ok((Path::new(OsStr::from_bytes(parent)), OsStr::from_bytes(name)))
}

/// Follows links at the end of `path`, so that what is written replaces the target and not the link.
pub(super) fn final_path(root: impl AsFd, path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (parent, name) = split(&path)?;
        let folder = match resolve(&root, parent, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(path),
            folder => folder.map_err(|e| failed("open", &path, e))?,
        };
        let target = match rustix::fs::readlinkat(&folder, name, Vec::new()) {
            Err(Errno::INVAL | Errno::NOENT) => return Ok(path),
            target => target.map_err(|e| failed("read the link", &path, e))?,
        };
        // An absolute target replaces all before it.
        path = parent.join(OsStr::from_bytes(target.to_bytes()));
    }
    Err(failed("open", &path, Errno::LOOP))
}

/// The type of what `stat` describes.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    pub(in crate::files) fn root(dir: &std::path::Path) -> OwnedFd {
        rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn paths_are_split_at_their_last_name() {
        let parts = |path| {
            split(Path::new(path)).map(|(parent, name)| (parent.to_str().unwrap(), name.to_str().unwrap()))
        };
        assert_eq!(parts("/a").unwrap(), ("/", "a"));
        assert_eq!(parts("/a/b//").unwrap(), ("/a", "b"));
        assert_eq!(parts("//a/b").unwrap(), ("//a", "b"));
        assert_eq!(parts("//").unwrap_err().kind(), ErrorKind::IsDirectory);
        for bad in ["", "a", "/a/..", "/.", "/a\0b"] {
            assert_eq!(parts(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad:?}");
        }
    }

    #[test]
    fn links_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("in")).unwrap();
        std::fs::write(dir.path().join("passwd"), "inside").unwrap();
        symlink("/passwd", dir.path().join("in/absolute")).unwrap();
        symlink("../../../../passwd", dir.path().join("in/climbing")).unwrap();
        symlink("/proc/self/root/etc/passwd", dir.path().join("in/magic")).unwrap();
        for path in ["/in/absolute", "/in/climbing", "/in/../../../passwd"] {
            let text = std::io::read_to_string(open_file(root(dir.path()), path).unwrap()).unwrap();
            assert_eq!(text, "inside", "{path}");
        }
        assert_eq!(open_file(root(dir.path()), "/in/magic").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn only_plain_files_and_directories_open() {
        let dir = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        let kind = |path: &str| open_file(root(dir.path()), path).unwrap_err().kind();
        assert_eq!(kind("/fifo"), ErrorKind::Unsupported);
        assert_eq!(kind("/"), ErrorKind::IsDirectory);
        assert_eq!(kind("/none"), ErrorKind::NotFound);
        assert_eq!(kind("/file/x"), ErrorKind::NotDirectory);
        assert_eq!(open_directory(root(dir.path()), "/file").unwrap_err().kind(), ErrorKind::NotDirectory);
        assert_eq!(open_file(root("/proc".as_ref()), "/version").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(open_directory(root("/proc".as_ref()), "/").unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn links_that_go_round_are_an_error() {
        let dir = tempfile::tempdir().unwrap();
        symlink("/b", dir.path().join("a")).unwrap();
        symlink("/a", dir.path().join("b")).unwrap();
        assert_eq!(
            final_path(root(dir.path()), "/a".as_ref()).unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
        assert_eq!(open_file(root(dir.path()), "/a").unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
