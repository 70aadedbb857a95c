//! Where a single file goes on this machine: what lies there is written through unless it is a regular file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use openlattice::Result;
use rustix::fs::{Mode, OFlags};

use super::blocking;
use super::content::Writing;
use super::hidden::Hidden;
use crate::local_error;

/// Links in a row that are followed.
const MAX_LINKS: usize = 40;

impl Writing {
    /// Begins a file at the caller's own path. Links at its end are followed, also to where there is nothing yet; a regular file is
    /// replaced at the end; a device, a fifo or a socket is written into.
    pub(crate) async fn begin(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        blocking(move || open(&path).map_err(|error| local_error("write", &path, error))).await
    }
}

fn open(path: &Path) -> io::Result<Writing> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found?),
    };
    let Some(found) = found else { return replace(&follow(path)?) };
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if fs::symlink_metadata(path)?.is_symlink()
        && let Some(output) = own_output(&found)?
    {
        return Ok(Writing::open(output, path.to_owned()));
    }
    if !found.is_file() {
        return Ok(Writing::open(open_special(path, &found)?, path.to_owned()));
    }
    let end = follow(path)?;
    let same = fs::metadata(&end).is_ok_and(|end| (end.dev(), end.ino()) == (found.dev(), found.ino()));
    // A link of proc may lead to a file that has no name any more.
    if same { replace(&end) } else { Ok(Writing::open(File::create(path)?, path.to_owned())) }
}

/// Begins a file that replaces a regular one, or nothing.
fn replace(path: &Path) -> io::Result<Writing> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder: OwnedFd = rustix::fs::open(folder, flags, Mode::empty())?;
    Ok(Writing::hidden(Hidden::create(folder, name)?, path.to_owned()))
}

/// What links at the end of a path lead to, whether it is there or not.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("its links go round"))
}

/// Standard output or error, where a link leads to that: also where it is a socket, which cannot be opened, or a file that others
/// write to as well.
fn own_output(found: &fs::Metadata) -> io::Result<Option<File>> {
    let is = |stat: rustix::io::Result<rustix::fs::Stat>| {
        #[expect(clippy::useless_conversion, reason = "a device number has another width on other systems")]
        stat.is_ok_and(|stat| {
            (u64::try_from(stat.st_dev), u64::from(stat.st_ino)) == (Ok(found.dev()), found.ino())
        })
    };
    if is(rustix::fs::fstat(io::stdout())) {
        return Ok(Some(rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?.into()));
    }
    if is(rustix::fs::fstat(io::stderr())) {
        return Ok(Some(rustix::io::fcntl_dupfd_cloexec(io::stderr(), 3)?.into()));
    }
    Ok(None)
}

fn open_special(path: &Path, found: &fs::Metadata) -> io::Result<File> {
    if found.file_type().is_socket() {
        return Ok(OwnedFd::from(UnixStream::connect(path)?).into());
    }
    let flags = OFlags::NOCTTY.bits();
    let file =
        OpenOptions::new().write(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(path)?;
    // It may have been changed for another one since it was judged; nothing is truncated, and that one stays what it is.
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use openlattice::Bytes;
    use rustix::fs::{CWD, FileType, makedev};

    use super::super::Meta;
    use super::*;

    async fn write(path: &Path) -> Result<()> {
        let writing = Writing::begin(path).await?.append(Bytes::from_static(b"new")).await?;
        writing.finish(Meta { mode: 0o640, ..Meta::default() }).await
    }

    #[tokio::test]
    async fn m27_a_link_stays_and_the_file_that_it_leads_to_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/real"), "old").unwrap();
        symlink("sub/real", at("one")).unwrap();
        symlink("one", at("two")).unwrap();
        symlink("sub/none", at("dangling")).unwrap();
        symlink("no/where", at("lost")).unwrap();
        symlink("round", at("round")).unwrap();
        write(&at("two")).await.unwrap();
        write(&at("dangling")).await.unwrap();
        assert_eq!(write(&at("lost")).await.unwrap_err().kind(), openlattice::ErrorKind::NotFound);
        write(&at("round")).await.unwrap_err();
        for link in ["one", "two", "dangling", "lost", "round"] {
            assert!(fs::symlink_metadata(at(link)).unwrap().is_symlink(), "{link}");
        }
        for file in ["sub/real", "sub/none"] {
            assert_eq!(fs::read(at(file)).unwrap(), b"new");
            assert_eq!(fs::metadata(at(file)).unwrap().permissions().mode() & 0o7777, 0o640);
        }
    }

    #[tokio::test]
    async fn m27_a_fifo_and_a_socket_are_written_into() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, socket) = (dir.path().join("fifo"), dir.path().join("socket"));
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        symlink("fifo", dir.path().join("link")).unwrap();
        for path in ["fifo", "link"] {
            let reader = std::thread::spawn({
                let fifo = fifo.clone();
                move || fs::read(fifo).unwrap()
            });
            write(&dir.path().join(path)).await.unwrap();
            assert_eq!(reader.join().unwrap(), b"new");
        }
        write(&socket).await.unwrap();
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        assert_eq!(text, "new");
        assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    }

    #[tokio::test]
    async fn m27_a_device_is_written_into_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let null = dir.path().join("null");
        if let Err(error) =
            rustix::fs::mknodat(CWD, &null, FileType::CharacterDevice, Mode::RUSR | Mode::WUSR, makedev(1, 3))
        {
            println!("skip: no device can be made here: {error}");
            return;
        }
        match write(&null).await {
            Ok(()) => {}
            // A file system without devices: the device is there all the same.
            Err(error) => assert_eq!(error.kind(), openlattice::ErrorKind::PermissionDenied),
        }
        let kept = fs::symlink_metadata(&null).unwrap();
        assert!(kept.file_type().is_char_device());
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn m27_a_folder_is_no_target_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d")).unwrap();
        symlink("d", dir.path().join("link")).unwrap();
        for path in ["d", "link"] {
            let error = write(&dir.path().join(path)).await.unwrap_err();
            assert_eq!(error.kind(), openlattice::ErrorKind::FailedPrecondition);
        }
    }
}
