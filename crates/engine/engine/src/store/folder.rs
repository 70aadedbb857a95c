//! A sandbox's folder: made before its agent, with the descriptors that the agent is given.

use crate::{
    error::{Error, Result},
    idmap,
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// Waiting connections that the agent has not taken yet.
const BACKLOG: i32 = 128;
/// Longest path that a unix address holds, without its NUL (unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// The folders of a sandbox that its writable layer is made of, and the place where it is mounted.
pub(crate) const LAYER_FOLDERS: [&str; 5] = ["upper", "work", "usr-upper", "usr-work", "mnt"];

/// A fresh folder and what of it goes to the agent.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Locked exclusively; the lock lives as long as any copy of this descriptor.
    pub(crate) lock: OwnedFd,
    /// Listening.
    pub(crate) listener: OwnedFd,
    /// Empty, for writing.
    pub(crate) result: OwnedFd,
}

impl Folder {
    /// Makes the folder; `usr`: with the second overlay's directories.
    pub(crate) fn make(path: &Path, usr: bool) -> Result<Self> {
        Self::try_make(path, usr)
            .map_err(|e| Error::io(format!("cannot make the sandbox folder {}", path.display()), e))
    }

    fn try_make(path: &Path, usr: bool) -> std::io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        let lock = private_file(&path.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let result = private_file(&path.join("result"))?;
        for name in ["execs", "work", "mnt", "upper"]
            .iter()
            .chain(usr.then_some(&["usr-work", "usr-upper"]).into_iter().flatten())
        {
            DirBuilder::new().mode(0o700).create(path.join(name))?;
        }
        fs::set_permissions(path.join("mnt"), fs::Permissions::from_mode(0o755))?;
        for upper in ["upper"].iter().chain(usr.then_some(&"usr-upper")) {
            let upper = path.join(upper);
            fs::set_permissions(&upper, fs::Permissions::from_mode(0o755))?;
            std::os::unix::fs::chown(&upper, Some(idmap::BASE), Some(idmap::BASE))?;
        }
        Ok(Self { path: path.to_owned(), lock: lock.into(), listener: listen(path)?, result: result.into() })
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create_new(true).read(true).write(true).mode(0o600).open(path)
}

/// Binds `agent.sock`. A path that no unix address holds goes through a descriptor of the folder.
fn listen(folder: &Path) -> std::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let path = folder.join("agent.sock");
    if path.as_os_str().len() <= MAX_SOCKET_PATH {
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path)?)?;
    } else {
        let open =
            rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = format!("/proc/self/fd/{}/agent.sock", open.as_raw_fd());
        rustix::net::bind(&socket, &SocketAddrUnix::new(short)?)?;
    }
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Whether somebody holds the lock of a folder, which lies in `parent`: its creator, then its agent. A folder that is missing is held by
/// nobody.
pub(super) fn is_locked(parent: impl AsFd, folder: &str) -> Result<bool> {
    let path = format!("{folder}/lock");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match rustix::fs::openat(parent, &path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        file => file.map_err(|e| Error::io(format!("cannot open {path}"), e))?,
    };
    // Shared, so that two that ask at the same moment do not see each other. Released when `file` closes.
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(e) => Err(Error::io(format!("cannot test the lock {path}"), e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_says_whether_it_lives() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sb");
        let parent = fs::File::open(dir.path()).unwrap();
        let is_locked = || is_locked(&parent, "sb").unwrap();
        assert!(!is_locked());
        let folder = Folder::make(&path, true).unwrap();
        assert!(is_locked());
        let copy = folder.lock.try_clone().unwrap();
        drop(folder);
        assert!(is_locked(), "a copy of the descriptor did not keep the lock");
        drop(copy);
        assert!(!is_locked());
    }

    #[test]
    fn a_long_path_can_be_listened_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(120));
        let folder = Folder::make(&path, false).unwrap();
        assert!(path.join("agent.sock").exists());
        assert!(!path.join("usr-upper").exists());
        drop(folder);
    }
}
