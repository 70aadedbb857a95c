//! Writing files: whole or not at all, and without the blocks that are zero.

use super::{
    FileAttributes,
    hidden::Hidden,
    link::timestamps,
    mkdir::open_or_make,
    open::{failed, final_path, kind, split, unsupported},
};
use crate::{
    error::{Error, ErrorKind, Result},
    idmap,
};
use bytes::Bytes;
use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, Uid},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Bytes that stay a hole together where all of them are zero.
const BLOCK: usize = 4096;
/// Zeros to compare with, and to give for holes.
pub(super) static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// A file that becomes visible, in place of what its name means, when it is committed.
#[derive(Debug)]
pub(super) struct Replacement {
    path: PathBuf,
    hidden: Hidden,
    length: u64,
    mode: Mode,
    owner: (u32, u32),
    modified: Option<SystemTime>,
}

impl Replacement {
    /// Opens the place and judges what is there. Without a mode, it is that of the replaced file.
    pub(super) fn begin(root: &OwnedFd, path: &Path, asked: FileAttributes) -> Result<Self> {
        if path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} names a directory")));
        }
        let target = final_path(root, path)?;
        let (folder, name) = split(&target)?;
        let parent = open_or_make(root, folder)?;
        let (kept, owner) = replaced(&parent, name, path)?;
        let mode = asked.mode.map(permissions).transpose()?.unwrap_or(kept);
        let hidden = Hidden::create(parent, name).map_err(|e| failed("write", path, e))?;
        Ok(Self { path: path.to_owned(), hidden, length: 0, mode, owner, modified: asked.modified })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        write_data(self.hidden.file(), bytes, self.length)
            .map_err(|e| Error::io(format!("cannot write {:?}", self.path), e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn commit(mut self) -> Result<()> {
        self.place().map_err(|e| match e {
            // Something else than a file came to be there meanwhile.
            Errno::EXIST => unsupported(&self.path),
            e => failed("write", &self.path, e),
        })
    }

    fn place(&mut self) -> rustix::io::Result<()> {
        let (file, (uid, gid)) = (self.hidden.file(), self.owner);
        // It may end with a hole.
        rustix::fs::ftruncate(file, self.length)?;
        rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        rustix::fs::fchmod(file, self.mode)?;
        if let Some(modified) = self.modified {
            rustix::fs::futimens(file, &timestamps(modified))?;
        }
        self.hidden.place()
    }
}

/// Writes all but blocks of zeros, which stay holes.
fn write_data(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let zero = is_zero(&bytes[..block(bytes.len(), at)]);
        let mut run = 0;
        while run < bytes.len() {
            let next = run + block(bytes.len() - run, at + run as u64);
            if is_zero(&bytes[run..next]) != zero {
                break;
            }
            run = next;
        }
        if !zero {
            file.write_all_at(&bytes[..run], at)?;
        }
        at += run as u64;
        bytes = &bytes[run..];
    }
    Ok(())
}

/// How many of so many bytes at an offset are of its block.
fn block(length: usize, at: u64) -> usize {
    let into = usize::try_from(at % BLOCK as u64).unwrap_or_default();
    length.min(BLOCK - into)
}

fn is_zero(block: &[u8]) -> bool {
    block == &ZEROS[..block.len()]
}

/// Permission, set-id and sticky bits that a caller may ask for.
pub(super) fn permissions(mode: u32) -> Result<Mode> {
    if mode & !0o7777 == 0 {
        return Ok(Mode::from_raw_mode(mode));
    }
    Err(Error::invalid(format!("mode {mode:o} has more than the permission bits: give at most 7777")))
}

/// Mode and owner of the new file: those of the one that it replaces. Set-id bits are not kept, as a write in place would not.
fn replaced(parent: &OwnedFd, name: &OsStr, path: &Path) -> Result<(Mode, (u32, u32))> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok((Mode::from_raw_mode(0o644), (idmap::BASE, idmap::BASE))),
        Err(e) => Err(failed("examine", path, e)),
        Ok(stat) => match kind(&stat) {
            FileType::RegularFile => {
                Ok((Mode::from_raw_mode(stat.st_mode & 0o1777), (stat.st_uid, stat.st_gid)))
            }
            FileType::Directory => {
                Err(Error::new(ErrorKind::IsDirectory, format!("{path:?} is a directory")))
            }
            _ => Err(unsupported(path)),
        },
    }
}

/// Writes chunks until an empty one. `lock` gives what must be held while names change, and not while a slow sender is waited for.
pub(super) fn write_stream<L>(
    root: &OwnedFd,
    path: &Path,
    attributes: FileAttributes,
    mut chunks: tokio::sync::mpsc::Receiver<Bytes>,
    lock: &dyn Fn() -> Result<L>,
) -> Result<()> {
    let begin = || {
        let _lock = lock()?;
        Replacement::begin(root, path, attributes)
    };
    let mut file = begin()?;
    loop {
        match chunks.blocking_recv() {
            Some(chunk) if chunk.is_empty() => {
                let _lock = lock()?;
                return file.commit();
            }
            Some(chunk) => file.append(&chunk)?,
            None => return Err(Error::invalid(format!("the content of {path:?} broke off before its end"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::open::tests::root, *};
    use std::{
        fs,
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
        time::{Duration, UNIX_EPOCH},
    };

    fn begin(dir: &Path, path: &str, mode: Option<u32>) -> Result<Replacement> {
        Replacement::begin(&root(dir), path.as_ref(), FileAttributes { mode, modified: None })
    }

    fn write(dir: &Path, path: &str, text: &str) -> Result<()> {
        let mut file = begin(dir, path, None)?;
        file.append(text.as_bytes())?;
        file.commit()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_file_belongs_to_the_sandbox_root() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "/a/b/f", "new").unwrap();
        let made = fs::metadata(dir.path().join("a/b/f")).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o7777), (idmap::BASE, 0o644));
        assert_eq!(names(&dir.path().join("a/b")), ["f"]);
    }

    #[test]
    fn a_replaced_file_keeps_mode_and_owner_but_no_set_id_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::chown(&path, Some(idmap::BASE + 5), Some(idmap::BASE + 6)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
        write(dir.path(), "/f", "new").unwrap();
        let made = fs::metadata(&path).unwrap();
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o7777), (idmap::BASE + 5, idmap::BASE + 6, 0o751));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_mode_that_is_asked_for_is_given_to_new_and_old_files() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o751, 0o600, 0o7755] {
            let mut file = begin(dir.path(), "/f", Some(mode)).unwrap();
            file.append(b"x").unwrap();
            file.commit().unwrap();
            assert_eq!(fs::metadata(dir.path().join("f")).unwrap().mode() & 0o7777, mode);
        }
        assert_eq!(names(dir.path()), ["f"]);
        let error = begin(dir.path(), "/f", Some(0o14755)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    fn a_link_stays_and_its_target_is_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        symlink("../target", dir.path().join("d/link")).unwrap();
        write(dir.path(), "/d/link", "x").unwrap();
        assert!(fs::symlink_metadata(dir.path().join("d/link")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(dir.path().join("target")).unwrap(), "x");
    }

    #[test]
    fn a_dropped_write_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "old").unwrap();
        let mut file = begin(dir.path(), "/f", None).unwrap();
        file.append(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn directories_and_fifos_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert_eq!(write(dir.path(), "/d", "").unwrap_err().kind(), ErrorKind::IsDirectory);
        assert_eq!(write(dir.path(), "/d/", "").unwrap_err().kind(), ErrorKind::IsDirectory);
        assert_eq!(write(dir.path(), "/fifo", "").unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(write(dir.path(), "/fifo/x", "").unwrap_err().kind(), ErrorKind::NotDirectory);
    }

    #[test]
    fn a_time_that_is_asked_for_is_given_to_the_nanosecond() {
        let dir = tempfile::tempdir().unwrap();
        let time = UNIX_EPOCH + Duration::new(981_173_106, 123_456_789);
        let asked = FileAttributes { mode: None, modified: Some(time) };
        let mut file = Replacement::begin(&root(dir.path()), "/f".as_ref(), asked).unwrap();
        file.append(b"x").unwrap();
        file.commit().unwrap();
        assert_eq!(fs::metadata(dir.path().join("f")).unwrap().modified().unwrap(), time);
    }

    #[test]
    fn zeros_become_holes_whatever_the_pieces_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = vec![0; 40 * BLOCK];
        whole[5 * BLOCK + 1] = 1;
        whole[6 * BLOCK - 1] = 2;
        for piece in [1000, BLOCK, BLOCK + 1, 30 * BLOCK + 17] {
            let mut file = begin(dir.path(), "/f", None).unwrap();
            whole.chunks(piece).for_each(|piece| file.append(piece).unwrap());
            file.commit().unwrap();
            assert!(fs::read(dir.path().join("f")).unwrap() == whole, "pieces of {piece}");
            let used = fs::metadata(dir.path().join("f")).unwrap().blocks() * 512;
            assert!(used <= 4 * BLOCK as u64, "pieces of {piece}: {used} bytes on disk");
        }
    }

    #[test]
    fn a_name_may_be_any_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"caf\xe9\n");
        let file =
            Replacement::begin(&root(dir.path()), &Path::new("/d").join(name), FileAttributes::default());
        file.unwrap().commit().unwrap();
        assert!(dir.path().join("d").join(name).is_file());
    }
}
