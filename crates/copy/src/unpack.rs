//! A tar archive, into a sandbox. It is taken for hostile: its paths are made of plain names below the target, and links come last.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use openlattice::{
    Bytes, ComputeProvider, Error, ErrorKind, FileContent, FileKind, FileTime, Node, Result, Subject,
    async_trait,
};
use tar::{Archive, EntryType};
use tokio::sync::mpsc;

use crate::local::Meta;
use crate::report::{CopyOptions, CopyReport, SkipReason};
use crate::sandbox::{Sink, stat_through_links};
use crate::upload::Counted;
use crate::{OPERATION, check_bounds};

/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Zeros that an archive ends with, at least: a block of them.
const END: usize = 512;
/// Pieces and entries that wait.
const WAITING: usize = 4;

/// Unpacks a tar archive into an existing directory of a sandbox; a link to one is followed. What is there already stays, and
/// files and links of the same name are replaced. GNU and pax archives are taken, with long names, sparse files (GNU) and times to
/// the nanosecond; hard links become copies, owners are not kept, and devices, fifos and paths that lead out of the directory are left
/// out. A slash at the beginning of a path is not looked at.
///
/// When the future is dropped or fails, what was unpacked by then is complete, and no file is there in part.
///
/// # Errors
/// `InvalidArgument` for what is no tar archive, or one that breaks off; `NotFound` and `FailedPrecondition` for a directory that is
/// none; else as [`upload`](crate::upload()).
pub async fn unpack<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    from: impl Read + Send + 'static,
    path: impl AsRef<Path> + Send,
    options: &CopyOptions,
) -> Result<CopyReport> {
    let sink = Sink::new(node, options)?;
    let (target, found) = stat_through_links(&sink.files, path.as_ref()).await?;
    if found.kind != FileKind::Directory {
        let text = format!("{:?} is no directory", path.as_ref());
        return Err(Error::new(ErrorKind::FailedPrecondition, OPERATION, text).with_subject(Subject::Path));
    }
    let (sender, mut entries) = mpsc::channel(WAITING);
    // Ends with the archive, or when nobody takes its entries any more.
    tokio::task::spawn_blocking(move || {
        let last = read(from, &sender);
        drop(sender.blocking_send(last.map(|()| None)));
    });
    let (mut unpack, mut number) = (Unpack { sink, target }, 0);
    loop {
        let next = entries.recv().await.ok_or_else(|| broken(io::ErrorKind::UnexpectedEof.into()))?;
        let Some(entry) = next.map_err(broken)? else { break };
        number += 1;
        check_bounds(0, number, &unpack.target)?;
        unpack.entry(entry).await?;
    }
    unpack.sink.finish().await?;
    Ok(unpack.sink.count.report())
}

/// An entry of the archive.
struct Entry {
    /// As it is there.
    path: PathBuf,
    meta: Meta,
    size: u64,
    what: What,
}

enum What {
    File(Content),
    Directory,
    Symlink(OsString),
    /// Another name of a file that came before.
    HardLink(PathBuf),
    Unknown,
}

type Sent = io::Result<Option<Entry>>;

fn read(from: impl Read, sender: &mpsc::Sender<Sent>) -> io::Result<()> {
    let mut archive = Archive::new(Ended { from, zeros: 0 });
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let (sparse, modified) = extensions(&mut entry)?;
        let modified = modified.map_or_else(|| header_time(&entry), Ok)?;
        let meta = Meta { mode: entry.header().mode()? & 0o7777, modified: Some(modified) };
        let path = as_path(&entry.path_bytes());
        let target = entry.link_name_bytes().map(|name| as_path(&name)).unwrap_or_default();
        let (pieces, content) = mpsc::channel(WAITING);
        let what = match kind {
            _ if sparse => What::Unknown,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                What::File(Content { pieces: content, ended: false })
            }
            EntryType::Directory => What::Directory,
            EntryType::Symlink => What::Symlink(target.into_os_string()),
            EntryType::Link => What::HardLink(target),
            _ => What::Unknown,
        };
        let is_file = matches!(what, What::File(_));
        let size = if is_file { entry.size() } else { 0 };
        if sender.blocking_send(Ok(Some(Entry { path, meta, size, what }))).is_err() {
            return Ok(());
        }
        if is_file {
            hand_over(&mut entry, size, &pieces);
        }
    }
    let mut from = archive.into_inner();
    if from.zeros < END {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    // Whoever writes it may fill its last record, and must not be cut off.
    io::copy(&mut from, &mut io::sink()).map(drop)
}

/// Counts the zeros that it ends with so far: what an archive breaks off without.
struct Ended<R> {
    from: R,
    zeros: usize,
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        let zeros = into[..read].iter().rev().take(END).take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == read { self.zeros.saturating_add(zeros) } else { zeros };
        Ok(read)
    }
}

/// Hands over the content of an entry of so many bytes, with an empty piece at its end; stops when it is left out.
fn hand_over(entry: &mut impl Read, mut rest: u64, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = match entry.by_ref().take(PIECE as u64).read_to_end(&mut piece) {
            Ok(0) if rest > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        rest = rest.saturating_sub(piece.len() as u64);
        let stop = !matches!(read, Ok(1..));
        if pieces.blocking_send(read.map(|_| piece.into())).is_err() || stop {
            return;
        }
    }
}

/// Whether pax says that its content is a map of holes first, and the exact time that it says.
fn extensions(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<(bool, Option<FileTime>)> {
    let (mut sparse, mut modified) = (false, None);
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        let key = extension.key_bytes();
        sparse |= key.starts_with(b"GNU.sparse.");
        if key == b"mtime" {
            modified = extension.value().ok().and_then(exact_time);
        }
    }
    Ok((sparse, modified))
}

fn header_time(entry: &tar::Entry<'_, impl Read>) -> io::Result<FileTime> {
    Ok(FileTime { seconds: i64::try_from(entry.header().mtime()?).unwrap_or_default(), nanos: 0 })
}

/// Reads a decimal number of seconds, as pax writes times.
fn exact_time(text: &str) -> Option<FileTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i128 = whole.parse::<i64>().ok()?.into();
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i128 = digits.parse::<u32>().ok()?.into();
    let nanos = if whole.starts_with('-') { -nanos } else { nanos };
    Some(FileTime::from_unix_nanos(seconds * 1_000_000_000 + nanos))
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn broken(error: io::Error) -> Error {
    let text = "the archive is no tar archive, or breaks off";
    Error::new(ErrorKind::InvalidArgument, OPERATION, text).with_source(error)
}

struct Unpack<'a, P: ComputeProvider + ?Sized> {
    sink: Sink<'a, P>,
    target: PathBuf,
}

impl<P: ComputeProvider + ?Sized> Unpack<'_, P> {
    async fn entry(&mut self, entry: Entry) -> Result<()> {
        let Entry { path: shown, meta, size, what } = entry;
        let Some(path) = self.below(&shown) else {
            self.sink.count.skip(&shown, SkipReason::Outside);
            return Ok(());
        };
        if !self.sink.takes(shown.as_os_str()) {
            self.sink.count.skip(&shown, SkipReason::Name);
            return Ok(());
        }
        match what {
            What::File(content) => {
                self.sink.count.add(|report| report.bytes_found += size);
                self.file(path, meta, content, &shown).await
            }
            // The directory itself, as `tar -C there -c .` has it.
            What::Directory if path == self.target => {
                self.sink.describe(&path, meta);
                Ok(())
            }
            What::Directory => self.sink.directory(&path, meta, &shown).await.map(drop),
            What::Symlink(target) => {
                self.sink.link(path, target, meta.modified);
                Ok(())
            }
            What::HardLink(of) => self.hard_link(path, meta, &of, &shown).await,
            What::Unknown => {
                self.sink.count.skip(&shown, SkipReason::Kind);
                Ok(())
            }
        }
    }

    async fn file(
        &mut self,
        path: PathBuf,
        meta: Meta,
        content: impl FileContent + 'static,
        shown: &Path,
    ) -> Result<()> {
        let content = Counted::new(content, &self.sink.count);
        if self.sink.file(&path, meta, content, shown).await? {
            self.sink.written(path, meta);
        }
        Ok(())
    }

    /// Copies the file that came before.
    async fn hard_link(&mut self, path: PathBuf, meta: Meta, of: &Path, shown: &Path) -> Result<()> {
        let Some(of) = self.below(of) else {
            self.sink.count.skip(shown, SkipReason::Outside);
            return Ok(());
        };
        match self.sink.files.read_stream(&of).await {
            Ok(content) => self.file(path, meta, Boxed(content), shown).await,
            Err(error) if error.subject() == Some(Subject::Path) => {
                self.sink.count.skip(shown, SkipReason::Gone);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The path in the sandbox; `None` for one that leads out of the target.
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let mut below = self.target.clone();
        for part in path.components() {
            match part {
                Component::Normal(name) => below.push(name),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return None,
            }
        }
        Some(below)
    }
}

/// The content of an entry, whose end must be said.
#[derive(Debug)]
struct Content {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    ended: bool,
}

#[async_trait]
impl FileContent for Content {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        let piece = self.pieces.recv().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        let piece = piece.map_err(broken)?;
        self.ended = piece.is_empty();
        Ok((!self.ended).then_some(piece))
    }
}

/// Content of the sandbox's own.
#[derive(Debug)]
struct Boxed(Box<dyn FileContent>);

#[async_trait]
impl FileContent for Boxed {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.0.next_chunk().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m27_times_of_pax_are_read_to_the_nanosecond() {
        for (text, seconds, nanos) in [
            ("981173106.123456789", 981_173_106, 123_456_789),
            ("5", 5, 0),
            ("-0.5", -1, 500_000_000),
            ("7.1", 7, 100_000_000),
        ] {
            assert_eq!(exact_time(text), Some(FileTime { seconds, nanos }), "{text}");
        }
        assert_eq!(exact_time("soon"), None);
    }
}
