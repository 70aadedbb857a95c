//! The folder of one command: its spools and its status, and who may start it.

use crate::{
    engine::Inner,
    error::{Error, ErrorKind, Result},
    exec::status::Status,
    id::{ExecId, SandboxId},
    watch::Watch,
};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

/// File that holds what stands for the request.
const FINGERPRINT: &str = "fingerprint";

/// Path of a command's folder.
pub(super) fn path(inner: &Inner, id: &SandboxId, exec: &ExecId) -> PathBuf {
    inner.store.sandbox_dir(id).join("execs").join(exec.as_str())
}

/// The right to start a command: its folder, locked. Others that would start the same id wait for it to be dropped.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) path: PathBuf,
    _lock: OwnedFd,
    /// It was started before.
    pub(super) started: bool,
}

/// Makes the folder or takes the existing one, and locks it.
pub(super) fn claim(path: PathBuf) -> Result<Claim> {
    let failed = |e: io::Error| Error::io(format!("cannot make the exec folder {}", path.display()), e);
    loop {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => {}
        }
        if let Some(lock) = lock(&path).map_err(failed)? {
            let started = Status::open(&path)?.is_some();
            return Ok(Claim { path, _lock: lock, started });
        }
    }
}

/// Nothing when a failed start has removed the folder between its making and its lock.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        folder => folder?,
    };
    rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
    let (locked, named) = (rustix::fs::fstat(&folder)?, std::fs::symlink_metadata(path));
    Ok(named
        .is_ok_and(|named| (named.dev(), named.ino()) == (locked.st_dev, locked.st_ino))
        .then_some(folder))
}

impl Claim {
    /// A spool or the status, made when missing, never cut: an agent may write to it already.
    pub(super) fn file(&self, name: &str) -> Result<OwnedFd> {
        let path = self.path.join(name);
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        file.map(Into::into).map_err(|e| Error::io(format!("cannot make {}", path.display()), e))
    }

    /// Keeps what stands for the request, before the start.
    pub(super) fn remember(&self, fingerprint: Option<&str>) -> Result<()> {
        let Some(fingerprint) = fingerprint else { return Ok(()) };
        let path = self.path.join(FINGERPRINT);
        std::fs::write(&path, fingerprint)
            .map_err(|e| Error::io(format!("cannot write {}", path.display()), e))
    }

    /// Refuses another request under a known id. One that nothing stands for is not compared.
    pub(super) fn require_same(&self, exec: &ExecId, fingerprint: Option<&str>) -> Result<()> {
        let Some(asked) = fingerprint else { return Ok(()) };
        let path = self.path.join(FINGERPRINT);
        let known = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            known => known.map_err(|e| Error::io(format!("cannot read {}", path.display()), e))?,
        };
        if known == asked {
            return Ok(());
        }
        let message = format!("the command {exec} was started with another request: use a new id");
        Err(Error::new(ErrorKind::AlreadyExists, message))
    }

    /// Takes the folder away after a start that failed.
    pub(super) fn discard(self) -> Result<()> {
        let failed = |e: io::Error| Error::io(format!("cannot remove {}", self.path.display()), e);
        let folder =
            rustix::fs::open(&self.path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(|e| failed(e.into()))?;
        for name in ["stdin", "stdin.eof", "stdout", "stderr", "status", FINGERPRINT] {
            match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
                Err(rustix::io::Errno::NOENT) | Ok(()) => {}
                Err(e) => return Err(failed(e.into())),
            }
        }
        std::fs::remove_dir(&self.path).map_err(failed)
    }
}

/// Opens a file of a command's folder for reading; `NotFound` names the command.
pub(super) fn open(folder: &Path, name: &str, exec: &ExecId) -> Result<File> {
    match File::open(folder.join(name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(unknown(exec)),
        file => file.map_err(|e| Error::io(format!("cannot open {name} of the command {exec}"), e)),
    }
}

/// Watches the files of a command's folder.
pub(super) fn watch(inner: &Inner, id: &SandboxId, exec: &ExecId) -> Result<Watch> {
    match inner.watcher()?.folder(&path(inner, id, exec)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unknown(exec)),
        watch => watch,
    }
}

/// No such command, or its sandbox's folder is gone.
pub(super) fn unknown(exec: &ExecId) -> Error {
    Error::new(ErrorKind::NotFound, format!("no command {exec}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_starts_and_the_others_find_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e");
        let starts = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let claim = claim(path.clone()).unwrap();
                    if !claim.started {
                        starts.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        std::fs::write(path.join("status"), crate::exec::status::tests::running()).unwrap();
                    }
                });
            }
        });
        assert_eq!(starts.into_inner(), 1);
    }

    #[test]
    fn a_failed_start_leaves_nothing_and_the_next_one_starts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e");
        let first = claim(path.clone()).unwrap();
        first.file("stdout").unwrap();
        first.file("status").unwrap();
        first.remember(Some("one")).unwrap();
        first.discard().unwrap();
        assert!(!path.exists());
        assert!(!claim(path).unwrap().started);
    }

    #[test]
    fn another_request_under_a_known_id_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (exec, claim) = (ExecId::random(), claim(dir.path().join("e")).unwrap());
        claim.require_same(&exec, Some("any")).unwrap();
        claim.remember(Some("one")).unwrap();
        claim.require_same(&exec, Some("one")).unwrap();
        claim.require_same(&exec, None).unwrap();
        let error = claim.require_same(&exec, Some("two")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
}
