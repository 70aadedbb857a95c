//! Files that are not in place yet.
//!
//! Where the file system can, such a file has no name until it is complete (O_TMPFILE), and whoever is killed leaves nothing. A file
//! can only be replaced by one with a name, and some file systems have no nameless files: there it has one of a few hidden names
//! that belong to its target, and holds a lock while somebody works on it. Who comes next to the same target removes what has such a
//! name and no lock.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result};

/// What hidden names begin with.
const PREFIX: &str = ".lattice-copy-";
/// Hidden names of one target: so many may be written without nameless files, or be replaced in the same instant.
const SLOTS: u32 = 16;
/// Times that a name is tried which others take and leave meanwhile.
const TRIES: u32 = 16;

/// A file that gets its name when it is complete; until then it goes when it is dropped.
#[derive(Debug)]
pub(super) struct Hidden {
    folder: OwnedFd,
    target: OsString,
    file: File,
    /// Its hidden name, while it has one.
    name: Option<String>,
}

impl Hidden {
    /// Begins a file that will be `target` in `folder`.
    pub(super) fn create(folder: OwnedFd, target: &OsStr) -> Result<Self> {
        let (file, name) = match nameless(&folder) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let (file, name) = claim(&folder, target, |name| create_locked(&folder, name))?;
                (file, Some(name))
            }
            file => (file?, None),
        };
        Ok(Self { folder, target: target.to_owned(), file, name })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its name, where there is nothing or a regular file; all else is `EEXIST`.
    pub(super) fn place(&mut self) -> Result<()> {
        if self.name.is_none() {
            match link(&self.file, &self.folder, &self.target) {
                Err(Errno::EXIST) => {}
                linked => return linked,
            }
        }
        require_replaceable(&self.folder, &self.target)?;
        if self.name.is_none() {
            let hidden = |name: &str| link(&self.file, &self.folder, OsStr::new(name));
            self.name = Some(claim(&self.folder, &self.target, hidden)?.1);
        }
        let name = self.name.as_deref().unwrap_or_default();
        rustix::fs::renameat(&self.folder, name, &self.folder, &self.target)?;
        self.name = None;
        sweep(&self.folder, &self.target);
        Ok(())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nobody is left to tell.
            let _ = rustix::fs::unlinkat(&self.folder, name, AtFlags::empty());
        }
    }
}

/// `EEXIST` for what a copied file must not replace: a link, a directory, a device, a fifo, a socket.
pub(super) fn require_replaceable(folder: &OwnedFd, name: &OsStr) -> Result<()> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => Ok(()),
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
fn nameless(folder: &OwnedFd) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, ".", flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file.into())
}

#[cfg(not(target_os = "linux"))]
fn nameless(_folder: &OwnedFd) -> Result<File> {
    Err(Errno::OPNOTSUPP)
}

/// Gives a nameless file a name that is free.
fn link(file: &File, folder: &OwnedFd, name: &OsStr) -> Result<()> {
    use std::os::fd::AsRawFd;
    let whole = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(rustix::fs::CWD, whole, folder, name, AtFlags::SYMLINK_FOLLOW)
}

/// Makes a file that is locked; `EEXIST` when somebody took it for left behind before it was.
fn create_locked(folder: &OwnedFd, name: &str) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?;
    // Where there are no locks, nobody takes it for left behind either.
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        return Err(Errno::EXIST);
    }
    if is_still(folder, name, &file)? { Ok(file.into()) } else { Err(Errno::EXIST) }
}

/// Takes the first hidden name of `target` that is free or left behind.
fn claim<T>(folder: &OwnedFd, target: &OsStr, take: impl Fn(&str) -> Result<T>) -> Result<(T, String)> {
    for name in hidden_names(target) {
        for _ in 0..TRIES {
            match take(&name) {
                Err(Errno::EXIST) if reap(folder, &name) => {}
                Err(Errno::EXIST) => break,
                taken => return Ok((taken?, name)),
            }
        }
    }
    Err(Errno::BUSY)
}

/// Removes what was left behind for `target`.
pub(super) fn sweep(folder: &OwnedFd, target: &OsStr) {
    for name in hidden_names(target) {
        reap(folder, &name);
    }
}

/// Removes a file that nobody works on; whether the name may be free now.
fn reap(folder: &OwnedFd, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(error) => return error == Errno::NOENT,
    };
    let regular = rustix::fs::fstat(&file)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if !regular || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return false;
    }
    // It may have been put into place since it was opened, and the name be another's.
    match is_still(folder, name, &file) {
        Ok(true) => rustix::fs::unlinkat(folder, name, AtFlags::empty()).is_ok(),
        still => still.is_ok(),
    }
}

fn is_still(folder: &OwnedFd, name: &str, file: &OwnedFd) -> Result<bool> {
    let ours = rustix::fs::fstat(file)?;
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Ok((there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The hidden names of a target: of its name only a sum (FNV-1a), so that they are never too long.
fn hidden_names(target: &OsStr) -> impl Iterator<Item = String> {
    let sum = target
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    (0..SLOTS).map(move |slot| format!("{PREFIX}{sum:016x}-{slot}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn folder(path: &Path) -> OwnedFd {
        File::open(path).unwrap().into()
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn slot(number: usize) -> String {
        hidden_names(OsStr::new("f")).nth(number).unwrap()
    }

    fn write(path: &Path, text: &str) -> Result<()> {
        let mut hidden = Hidden::create(folder(path), OsStr::new("f")).unwrap();
        hidden.file().write_all(text.as_bytes()).unwrap();
        hidden.place()
    }

    #[test]
    fn m27_what_the_killed_left_goes_and_what_is_worked_on_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "old").unwrap();
        for left in [0, 3] {
            fs::write(dir.path().join(slot(left)), "half").unwrap();
        }
        let living = File::create(dir.path().join(slot(1))).unwrap();
        living.lock().unwrap();
        write(dir.path(), "new").unwrap();
        assert_eq!(names(dir.path()), [slot(1), "f".to_owned()]);
        assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"new");
    }

    #[test]
    fn m27_a_file_without_nameless_ones_has_a_hidden_name_and_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let parent = folder(dir.path());
        let make = || claim(&parent, OsStr::new("f"), |name| create_locked(&parent, name)).unwrap();
        let (one, first) = make();
        let (_two, second) = make();
        assert_eq!((first, second), (slot(0), slot(1)));
        sweep(&parent, OsStr::new("f"));
        assert_eq!(names(dir.path()), [slot(0), slot(1)]);
        drop(one);
        sweep(&parent, OsStr::new("f"));
        assert_eq!(names(dir.path()), [slot(1)]);
    }

    #[test]
    fn m27_eight_writers_of_one_target_leave_one_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                let path = dir.path();
                scope.spawn(move || {
                    let text = char::from(b'a' + writer).to_string().repeat(5000);
                    (0..50).for_each(|_| write(path, &text).unwrap());
                });
            }
        });
        assert_eq!(names(dir.path()), ["f"]);
        let content = fs::read(dir.path().join("f")).unwrap();
        assert!(content.len() == 5000 && content.iter().all(|byte| *byte == content[0]));
    }

    #[test]
    fn m27_only_a_regular_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("f")).unwrap();
        assert_eq!(write(dir.path(), "new"), Err(Errno::EXIST));
        assert_eq!(names(dir.path()), ["f"]);
        fs::remove_file(dir.path().join("f")).unwrap();
        fs::create_dir(dir.path().join("f")).unwrap();
        assert_eq!(write(dir.path(), "new"), Err(Errno::EXIST));
        assert_eq!(names(dir.path()), ["f"]);
    }
}
