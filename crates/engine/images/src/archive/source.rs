//! Files of an archive by name, whether it is a directory, a tar or a compressed tar.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tar::EntryType;

use super::ImportError;
use super::blob::decoder;
use crate::error::failed;
use crate::sink::LayerSink;
use crate::tree::beneath;
use crate::unpack::{Extended, Meter};

/// Largest manifest or configuration that is read; registries cap theirs at 4 MiB.
const DOCUMENT_BYTES: u64 = 8 << 20;
/// Files in one archive; a layout has a few per layer.
const ARCHIVE_ENTRIES: usize = 100_000;

/// An open archive.
pub(super) enum Source {
    Directory(OwnedFd),
    Tar { file: File, members: HashMap<String, Member> },
}

/// Where a file of a tar is.
#[derive(Clone)]
pub(super) enum Member {
    Data {
        at: u64,
        size: u64,
    },
    /// Older versions of `docker save` link equal layers to each other.
    Link(String),
}

impl Source {
    /// Opens `path`; a compressed tar is unpacked to an unnamed file in `sink` of at most `limit` bytes.
    pub(super) fn open(path: &Path, sink: &LayerSink, limit: u64) -> Result<Self, ImportError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(failed("open archive", path))?;
        let file = File::from(opened);
        let kind = file.metadata().map_err(failed("examine", path))?.file_type();
        if kind.is_dir() {
            return Ok(Self::Directory(file.into()));
        }
        if !kind.is_file() {
            return Err(ImportError::NotAnArchive { path: path.to_owned() });
        }
        let file = expanded(file, sink, limit)?;
        let not_tar = |_| ImportError::NotAnArchive { path: path.to_owned() };
        let members = index(&file).map_err(not_tar)?;
        Ok(Self::Tar { file, members })
    }

    /// Whether there is a file of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.reader(name).is_ok()
    }

    /// Opens a file for reading from its start.
    pub(super) fn reader(&self, name: &str) -> Result<Box<dyn Read + '_>, ImportError> {
        let missing = || ImportError::Missing { name: name.to_owned() };
        match self {
            Self::Directory(root) => {
                let file = beneath::open_file(root, name).map_err(|_| missing())?;
                Ok(Box::new(File::from(file)))
            }
            Self::Tar { file, members } => {
                let (at, size) = resolve(members, name).ok_or_else(missing)?;
                Ok(Box::new(Section { file, at, left: size }))
            }
        }
    }

    /// Reads a whole document.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        let reader = self.reader(name)?;
        reader.take(DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(ImportError::Damaged)?;
        if bytes.len() as u64 > DOCUMENT_BYTES {
            let reason = format!("is larger than {DOCUMENT_BYTES} bytes");
            return Err(ImportError::Malformed { name: name.to_owned(), reason });
        }
        Ok(bytes)
    }
}

/// Follows links between members, at most a few deep.
fn resolve(members: &HashMap<String, Member>, name: &str) -> Option<(u64, u64)> {
    let mut name = name.to_owned();
    for _ in 0..4 {
        match members.get(&name)? {
            Member::Data { at, size } => return Some((*at, *size)),
            Member::Link(target) => name = target.clone(),
        }
    }
    None
}

/// One file inside a tar, read by position so that readers do not disturb one another.
struct Section<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..want], self.at)?;
        if read == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// The archive as a plain tar.
fn expanded(file: File, sink: &LayerSink, limit: u64) -> Result<File, ImportError> {
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0).map_err(ImportError::Damaged)?;
    if !super::blob::is_compressed(&magic[..read]) {
        return Ok(file);
    }
    let reader = decoder(BufReader::new(&file)).map_err(ImportError::Damaged)?;
    let mut spool = sink.unnamed_file()?;
    io::copy(&mut Meter::new(reader, limit), &mut spool).map_err(ImportError::Damaged)?;
    spool.seek(SeekFrom::Start(0)).map_err(ImportError::Damaged)?;
    Ok(spool)
}

fn index(file: &File) -> io::Result<HashMap<String, Member>> {
    let mut members = HashMap::new();
    let mut archive = tar::Archive::new(file);
    let mut extended = Extended::default();
    for entry in archive.entries_with_seek()?.raw(true) {
        let mut entry = entry?;
        if members.len() >= ARCHIVE_ENTRIES {
            return Err(io::Error::other("more files than an image archive has"));
        }
        if extended.absorb(&mut entry).map_err(io::Error::other)? {
            continue;
        }
        let extended = std::mem::take(&mut extended);
        let path = extended.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(name) = member_name(&String::from_utf8_lossy(&path), "") else { continue };
        let header = || entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                members.insert(name, Member::Data { at: entry.raw_file_position(), size: entry.size() });
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let link = String::from_utf8_lossy(&extended.link.unwrap_or_else(header)).into_owned();
                let base = if kind == EntryType::Symlink {
                    name.rsplit_once('/').map_or("", |(dir, _)| dir)
                } else {
                    ""
                };
                if let Some(target) = member_name(&link, base) {
                    members.insert(name, Member::Link(target));
                }
            }
            _ => {}
        }
    }
    Ok(members)
}

/// `path` as seen from `base`, without `.` and `..`; nothing when it leaves the archive.
fn member_name(path: &str, base: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_stay_inside() {
        assert_eq!(member_name("./a/b", "").as_deref(), Some("a/b"));
        assert_eq!(member_name("../x/layer.tar", "y").as_deref(), Some("x/layer.tar"));
        assert_eq!(member_name("../../x", "y"), None);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let link = |to: &str| Member::Link(to.to_owned());
        let members = HashMap::from([("a".to_owned(), link("b")), ("b".to_owned(), link("a"))]);
        assert!(resolve(&members, "a").is_none());
    }
}
