//! Out of a sandbox, as a tar archive.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use openlattice::{Bytes, ComputeProvider, Error, ErrorKind, FileInfo, FileKind, Node, NodeFiles, Result};
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

use crate::download::{checked, is_exact, skip_unless_ours};
use crate::report::{CopyOptions, CopyReport, Count, SkipReason};
use crate::sandbox::{files_of, stat_through_links};
use crate::{OPERATION, check_bounds};

/// Entries that wait to be written.
const WAITING: usize = 4;

/// Writes a tar archive of a path in a sandbox: of a file, or of a directory with all that is in it. Entries begin with `name`, with
/// `.` for the contents of a directory without a name. A link at the end of the path is followed, no other one is. Owners are in it
/// as the sandbox sees them, modes with set-id bits, times to the nanosecond (pax), and holes as zeros.
///
/// When the future is dropped or fails, the archive breaks off.
///
/// # Errors
/// As [`download`](crate::download()); `Internal` with its cause where the archive cannot be written.
pub async fn pack<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    path: impl AsRef<Path> + Send,
    name: impl AsRef<Path> + Send,
    to: impl Write + Send + 'static,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let files = files_of(node)?;
    let (path, found) = stat_through_links(&files, path.as_ref()).await?;
    let (sender, entries) = mpsc::channel(WAITING);
    let count = Count::new(options);
    let writing = tokio::task::spawn_blocking(move || write(to, entries));
    let byte_names = node.provider().capabilities().files.byte_names;
    let walked = Walk { files, byte_names, count: &count, sender }.all(path, name.as_ref(), found).await;
    let written = writing.await.map_err(io::Error::other).and_then(|written| written);
    walked?;
    written.map_err(|error| {
        Error::new(ErrorKind::Internal, OPERATION, "cannot write the archive").with_source(error)
    })?;
    Ok(count.report())
}

/// What comes into the archive next.
struct Entry {
    name: PathBuf,
    info: FileInfo,
    /// Pieces of a file, with an empty one at the end.
    content: Option<mpsc::Receiver<Bytes>>,
}

/// What ends an archive: all else is one that broke off.
enum Next {
    Entry(Box<Entry>),
    End,
}

struct Walk<'a> {
    files: NodeFiles,
    byte_names: bool,
    count: &'a Count,
    sender: mpsc::Sender<Next>,
}

impl Walk<'_> {
    async fn all(&self, path: PathBuf, name: &Path, found: FileInfo) -> Result<()> {
        let mut todo = vec![(path, name.to_owned(), found, 0)];
        let mut entries = 0;
        while let Some((path, name, info, depth)) = todo.pop() {
            let folder = info.kind == FileKind::Directory;
            if !self.entry(&path, name.clone(), info).await? {
                return Ok(());
            }
            if !folder {
                continue;
            }
            let listed = self.files.list(&path).await?;
            entries += listed.len() as u64;
            check_bounds(depth, entries, &path)?;
            for entry in listed.into_iter().rev() {
                let own = checked(&entry)?;
                let below = path.join(&own);
                if is_exact(self.byte_names, &entry.name) {
                    todo.push((below, name.join(&own), entry, depth + 1));
                } else {
                    self.count.skip(&below, SkipReason::Name);
                }
            }
        }
        self.send(Next::End).await;
        Ok(())
    }

    /// Hands over what is at a path; whether more is taken.
    async fn entry(&self, path: &Path, name: PathBuf, info: FileInfo) -> Result<bool> {
        match info.kind {
            FileKind::File => return self.file(path, name, info).await,
            FileKind::Other => {
                self.count.skip(path, SkipReason::Kind);
                return Ok(true);
            }
            FileKind::Directory => self.count.add(|report| report.directories += 1),
            FileKind::Symlink => self.count.add(|report| report.links += 1),
        }
        Ok(self.send(Next::Entry(Box::new(Entry { name, info, content: None }))).await)
    }

    async fn file(&self, path: &Path, name: PathBuf, info: FileInfo) -> Result<bool> {
        // The first piece before the entry: it tells whether there is such a file.
        let opened = async {
            let mut content = self.files.read_stream(path).await?;
            let first = content.next_chunk().await?;
            Ok((content, first))
        };
        let (mut content, mut next) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return skip_unless_ours(self.count, path, error).map(|()| true),
        };
        let size = info.size;
        self.count.add(|report| report.bytes_found += size);
        let (pieces, received) = mpsc::channel(WAITING);
        self.send(Next::Entry(Box::new(Entry { name, info, content: Some(received) }))).await;
        let mut rest = size;
        // A file that grows is in the archive as long as it was.
        while let Some(piece) = next.take().filter(|_| rest > 0) {
            let piece = piece.slice(..usize::try_from(rest).unwrap_or(usize::MAX).min(piece.len()));
            rest -= piece.len() as u64;
            self.count.add(|report| report.bytes += piece.len() as u64);
            if pieces.send(piece).await.is_err() {
                return Ok(false);
            }
            next = content.next_chunk().await?;
        }
        if rest > 0 {
            self.count.skip(path, SkipReason::Changed);
        }
        self.count.add(|report| report.files += 1);
        Ok(pieces.send(Bytes::new()).await.is_ok())
    }

    /// Hands over an entry; whether it is taken. Whoever takes none any more says why.
    async fn send(&self, next: Next) -> bool {
        self.sender.send(next).await.is_ok()
    }
}

fn write(to: impl Write, mut entries: mpsc::Receiver<Next>) -> io::Result<()> {
    let mut archive = Builder::new(Gate { to, broken: false });
    loop {
        let appended = match entries.blocking_recv() {
            Some(Next::Entry(entry)) => append(&mut archive, *entry),
            Some(Next::End) => return archive.into_inner()?.flush(),
            // The walk failed, and says why.
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        if appended.is_err() {
            archive.get_mut().broken = true;
            return appended;
        }
    }
}

/// Takes nothing after a failure: a builder writes the end of its archive when it is dropped, and nobody must take that for whole.
struct Gate<W> {
    to: W,
    broken: bool,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken { Ok(bytes.len()) } else { self.to.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn append(archive: &mut Builder<impl Write>, entry: Entry) -> io::Result<()> {
    let Entry { name, info, content } = entry;
    let mut header = Header::new_gnu();
    header.set_mode(info.mode & 0o7777);
    header.set_mtime(u64::try_from(info.modified_at.seconds).unwrap_or(0));
    header.set_size(0);
    set_owners(&mut header, &info)?;
    if info.modified_at.nanos != 0 || info.modified_at.seconds < 0 {
        archive.append_pax_extensions([("mtime", exact_time(&info).as_bytes())])?;
    }
    match (info.kind, content) {
        (FileKind::File, Some(content)) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(info.size);
            let content = Padded { content, piece: Bytes::new(), ended: false, rest: info.size };
            archive.append_data(&mut header, name, content)
        }
        (FileKind::Symlink, _) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, name, info.os_symlink_target().unwrap_or_default())
        }
        _ => {
            header.set_entry_type(EntryType::Directory);
            let mut folder = name.into_os_string();
            folder.push(OsStr::new("/"));
            archive.append_data(&mut header, folder, io::empty())
        }
    }
}

fn set_owners(header: &mut Header, info: &FileInfo) -> io::Result<()> {
    header.set_uid(0);
    header.set_gid(0);
    match info.owner.parse() {
        Ok(uid) => header.set_uid(uid),
        Err(_) => header.set_username(&info.owner)?,
    }
    match info.group.parse() {
        Ok(gid) => header.set_gid(gid),
        Err(_) => header.set_groupname(&info.group)?,
    }
    Ok(())
}

/// A time as pax writes it: a decimal number of seconds.
fn exact_time(info: &FileInfo) -> String {
    let nanos = info.modified_at.unix_nanos();
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// The content of a file, with zeros where it became shorter than its entry says. An error where it broke off.
struct Padded {
    content: mpsc::Receiver<Bytes>,
    piece: Bytes,
    ended: bool,
    rest: u64,
}

impl Read for Padded {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && !self.ended {
            self.piece = self.content.blocking_recv().ok_or(io::ErrorKind::UnexpectedEof)?;
            self.ended = self.piece.is_empty();
        }
        let length = into.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let length = if self.ended { length } else { length.min(self.piece.len()) };
        match self.ended {
            true => into[..length].fill(0),
            false => into[..length].copy_from_slice(&self.piece.split_to(length)),
        }
        self.rest -= length as u64;
        Ok(length)
    }
}
