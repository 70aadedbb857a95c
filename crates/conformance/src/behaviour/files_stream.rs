//! Files by pieces, modes and links.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use openlattice::{
    Bytes, Error, ErrorKind, FileContent, FileTime, NodeFiles, Result, Subject, WriteOptions, async_trait,
};
use tokio::sync::mpsc;

use super::behaviours;
use super::files::{NONE, files};
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m27_a_stream_that_is_read_has_every_byte,
    m27_a_stream_that_is_written_has_every_byte,
    m27_a_stream_goes_from_file_to_file,
    m27_a_stream_shows_when_it_is_complete,
    m27_a_stream_that_fails_changes_nothing,
    m27_a_stream_that_is_dropped_changes_nothing,
    m27_a_file_that_is_replaced_is_read_to_its_end,
    m27_streams_name_what_is_wrong_with_a_path,
    m27_modes_are_kept_where_claimed,
    m27_links_are_made_where_claimed,
    m27_times_are_kept_where_claimed,
    m27_names_are_bytes_where_claimed,
    m27_holes_take_no_room,
    m27_the_same_fault_has_the_same_kind,
];

/// The longest piece that a provider may give.
const LONGEST: usize = 1 << 20;

/// Content that a test hands over bit by bit.
#[derive(Debug)]
struct Handed(mpsc::Receiver<Result<Bytes>>);

#[async_trait]
impl FileContent for Handed {
    async fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        self.0.recv().await.transpose()
    }
}

/// A sender whose second message is sent when the first was taken, and its content.
fn handed() -> (mpsc::Sender<Result<Bytes>>, Handed) {
    let (sender, receiver) = mpsc::channel(1);
    (sender, Handed(receiver))
}

fn bytes(len: u32) -> Bytes {
    (0..len).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

async fn collected(content: &mut dyn FileContent) -> Result<Vec<u8>, Failure> {
    let mut all = Vec::new();
    while let Some(piece) = content.next_chunk().await? {
        ensure!(!piece.is_empty() && piece.len() <= LONGEST, "a piece of {} bytes", piece.len());
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

async fn m27_a_stream_that_is_read_has_every_byte(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    for data in [Bytes::new(), (0..=255).collect(), bytes(3_000_001)] {
        files.write("/tmp/f", data.clone()).await?;
        let all = collected(&mut *files.read_stream("/tmp/f").await?).await?;
        ensure!(all == data, "{} bytes came back as {}, or changed", data.len(), all.len());
        for offset in [1, data.len() / 2, data.len(), data.len() + 1] {
            let mut rest = files.extension().read_stream(node.id(), "/tmp/f".as_ref(), offset as u64).await?;
            let all = collected(&mut *rest).await?;
            let expected = data.get(offset..).unwrap_or_default();
            ensure!(
                all == expected,
                "from offset {offset}: {} bytes instead of {}",
                all.len(),
                expected.len()
            );
        }
    }
    passed()
}

async fn m27_a_stream_that_is_written_has_every_byte(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let data = bytes(3_000_001);
    for piece in [1_000_000, 65_537] {
        let (sender, content) = handed();
        let pieces = async {
            for piece in data.chunks(piece) {
                // Whether all of it was taken shows in the file.
                drop(sender.send(Ok(Bytes::copy_from_slice(piece))).await);
            }
            drop(sender);
        };
        let (written, ()) = tokio::join!(files.write_stream("/tmp/new/dir/f", content), pieces);
        written?;
        ensure!(files.read("/tmp/new/dir/f").await? == data, "pieces of {piece} bytes came back changed");
    }
    files.write_stream("/tmp/empty", Bytes::new()).await?;
    ensure_eq!(shell_text(&node, "wc -c < /tmp/empty").await?.trim(), "0", "the size of an empty file");
    passed()
}

async fn m27_a_stream_goes_from_file_to_file(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let data = bytes(2_500_000);
    files.write("/tmp/from", data.clone()).await?;
    let content = files.read_stream("/tmp/from").await?;
    files.extension().write_stream(node.id(), "/tmp/to".as_ref(), content, WriteOptions::default()).await?;
    ensure!(files.read("/tmp/to").await? == data, "the copy differs");
    passed()
}

async fn m27_a_stream_shows_when_it_is_complete(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let (sender, content) = handed();
    let look = async {
        for piece in ["a", "b", "c"] {
            drop(sender.send(Ok(Bytes::from_static(piece.as_bytes()))).await);
        }
        // The first two were taken by now.
        let seen = shell_text(&node, "ls /tmp/whole 2>/dev/null; true").await;
        drop(sender);
        seen
    };
    let (written, seen) = tokio::join!(files.write_stream("/tmp/whole", content), look);
    written?;
    ensure_eq!(seen?, "", "what showed before the content was complete");
    ensure_eq!(files.read("/tmp/whole").await?, b"abc"[..], "the content");
    passed()
}

async fn m27_a_stream_that_fails_changes_nothing(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    files.write("/tmp/kept", Bytes::from_static(b"old")).await?;
    for path in ["/tmp/kept", "/tmp/none"] {
        let (sender, content) = handed();
        let pieces = async {
            drop(sender.send(Ok(Bytes::from_static(b"half"))).await);
            let own = Error::new(ErrorKind::Cancelled, "test", "the caller's own reason");
            drop(sender.send(Err(own)).await);
        };
        let (written, ()) = tokio::join!(files.write_stream(path, content), pieces);
        must_fail(written, &[ErrorKind::Cancelled], "content that fails")?;
    }
    unchanged(&files).await
}

async fn unchanged(files: &NodeFiles) -> Outcome {
    ensure_eq!(files.read("/tmp/kept").await?, b"old"[..], "what was there before");
    must_fail(files.stat("/tmp/none").await, &[ErrorKind::NotFound], "what was not there before")?;
    passed()
}

async fn m27_a_stream_that_is_dropped_changes_nothing(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    files.write("/tmp/kept", Bytes::from_static(b"old")).await?;
    for path in ["/tmp/kept", "/tmp/none"] {
        let (sender, content) = handed();
        let pieces = async {
            for _ in 0..4 {
                drop(sender.send(Ok(Bytes::from_static(b"half"))).await);
            }
        };
        tokio::select! {
            written = files.write_stream(path, content) => written?,
            () = pieces => {}
        }
    }
    unchanged(&files).await
}

async fn m27_a_file_that_is_replaced_is_read_to_its_end(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    let old = bytes(3_000_000);
    files.write("/tmp/f", old.clone()).await?;
    let mut content = files.read_stream("/tmp/f").await?;
    let mut all = content.next_chunk().await?.unwrap_or_default().to_vec();
    files.write("/tmp/f", Bytes::from_static(b"new")).await?;
    all.extend(collected(&mut *content).await?);
    ensure!(all == old, "the rest is of another file");
    passed()
}

async fn m27_streams_name_what_is_wrong_with_a_path(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    for (path, kind) in [
        ("/tmp/no such file", ErrorKind::NotFound),
        ("/tmp", ErrorKind::FailedPrecondition),
        ("relative", ErrorKind::InvalidArgument),
    ] {
        let read = async { files.read_stream(path).await?.next_chunk().await }.await;
        let error = must_fail(read, &[kind], "reading by pieces")?;
        ensure_eq!(error.subject(), Some(Subject::Path), "the subject of reading {path}");
    }
    let written = files.write_stream("/tmp", Bytes::from_static(b"x")).await;
    must_fail(written, &[ErrorKind::FailedPrecondition], "writing a directory by pieces")?;
    node.destroy().await?;
    let read = async { files.read_stream("/tmp/f").await?.next_chunk().await }.await;
    let error = must_fail(read, &[ErrorKind::NotFound], "an ended sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    passed()
}

async fn m27_modes_are_kept_where_claimed(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let extension = files.extension();
    let options = || WriteOptions { mode: Some(0o640), modified_at: None };
    let data = || Bytes::from_static(b"x");
    let written = extension.write(node.id(), "/tmp/a".as_ref(), data(), options()).await;
    let streamed = extension.write_stream(node.id(), "/tmp/b".as_ref(), Box::new(data()), options()).await;
    shell_text(&node, "mkdir -m 755 /tmp/c; : > /tmp/d; ln -s d /tmp/link").await?;
    let set = files.set_mode("/tmp/c", 0o710).await;
    if !case.offers().files.modes {
        must_refuse(written, "options.mode")?;
        must_refuse(streamed, "options.mode")?;
        return must_refuse(set, "files.modes");
    }
    written?;
    streamed?;
    set?;
    files.set_mode("/tmp/d", 0o604).await?;
    let special = WriteOptions { mode: Some(0o6755), modified_at: None };
    extension.write(node.id(), "/tmp/e".as_ref(), data(), special).await?;
    files.mkdir("/tmp/g").await?;
    files.set_mode("/tmp/g", 0o1777).await?;
    let modes = shell_text(&node, "cd /tmp; stat -c %a a b c d e g").await?;
    let expected = ["640", "640", "710", "604", "6755", "1777"];
    ensure_eq!(modes.split_whitespace().collect::<Vec<_>>(), expected, "the modes");
    ensure_eq!(files.stat("/tmp/e").await?.mode, 0o6755, "what is told of set-id bits");
    must_fail(files.set_mode("/tmp/d", 0o14755).await, &[ErrorKind::InvalidArgument], "too many bits")?;
    must_fail(files.set_mode("/tmp/link", 0o600).await, &[ErrorKind::FailedPrecondition], "a link")?;
    must_fail(files.set_mode("/tmp/none", 0o600).await, &[ErrorKind::NotFound], "a missing path")?;
    passed()
}

async fn m27_links_are_made_where_claimed(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let target = "../no such/place";
    let made = files.symlink("/tmp/link", target).await;
    if !case.offers().files.symlinks {
        return must_refuse(made, "files.symlinks");
    }
    made?;
    ensure_eq!(files.stat("/tmp/link").await?.symlink_target.as_deref(), Some(target), "the target");
    ensure_eq!(shell_text(&node, "readlink /tmp/link").await?.trim_end(), target, "what a command reads");
    must_fail(files.symlink("/tmp/link", "x").await, &[ErrorKind::AlreadyExists], "an existing path")?;
    must_fail(files.symlink("/tmp/none/link", "x").await, &[ErrorKind::NotFound], "a missing parent")?;
    passed()
}

async fn m27_times_are_kept_where_claimed(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let time = FileTime { seconds: 981_173_106, nanos: 123_456_789 };
    let options = WriteOptions { mode: None, modified_at: Some(time) };
    let data = Box::new(Bytes::from_static(b"x"));
    let written = files.extension().write_stream(node.id(), "/tmp/a".as_ref(), data, options).await;
    shell_text(&node, "mkdir /tmp/c; : > /tmp/d; ln -s d /tmp/link").await?;
    let set = files.set_modified("/tmp/c", time).await;
    if !case.offers().files.times {
        must_refuse(written, "options.modifiedAt")?;
        return must_refuse(set, "files.times");
    }
    written?;
    set?;
    files.set_modified("/tmp/link", time).await?;
    let seen = shell_text(&node, "cd /tmp; stat -c %Y a c link").await?;
    ensure_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["981173106"; 3], "what a command sees");
    for path in ["/tmp/a", "/tmp/c", "/tmp/link"] {
        ensure_eq!(files.stat(path).await?.modified_at, time, "the time of {path}");
    }
    ensure!(files.stat("/tmp/d").await?.modified_at != time, "a link was followed");
    must_fail(files.set_modified("/tmp/none", time).await, &[ErrorKind::NotFound], "a missing path")?;
    passed()
}

async fn m27_names_are_bytes_where_claimed(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    files.write("/tmp/n/two\nlines\u{1}", Bytes::from_static(b"text")).await?;
    ensure_eq!(shell_text(&node, "cat /tmp/n/two*").await?, "text", "a name with control characters");
    let latin = Path::new("/tmp/n").join(OsStr::from_bytes(b"caf\xe9"));
    let written = files.write(&latin, Bytes::from_static(b"bytes")).await;
    if !case.offers().files.byte_names {
        return must_refuse(written, "files.byteNames");
    }
    written?;
    ensure_eq!(shell_text(&node, "cat /tmp/n/caf*").await?, "bytes", "a name that is no text");
    ensure_eq!(files.read(&latin).await?, b"bytes"[..], "what is read by that name");
    let names: Vec<_> = files.list("/tmp/n").await?.iter().map(|info| info.os_name()).collect();
    ensure!(names.iter().any(|name| name.as_bytes() == b"caf\xe9"), "listed were {names:?}");
    passed()
}

/// A file of so many bytes that nobody writes: its blocks are zero.
async fn m27_holes_take_no_room(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let mut content = vec![0; 4 << 20];
    content.extend_from_slice(b"end");
    files.write_stream("/tmp/sparse", Bytes::from(content.clone())).await?;
    ensure!(files.read("/tmp/sparse").await? == content, "the content came back changed");
    let used = shell_text(&node, "du -k /tmp/sparse").await?;
    let used: u64 = used.split_whitespace().next().and_then(|used| used.parse().ok()).unwrap_or(u64::MAX);
    // The promise is "may": a provider of another's machines does not answer for their file systems.
    if used >= 1024 {
        return skipped("blocks of zeros take room here");
    }
    shell_text(&node, "truncate -s 3M /tmp/hole; printf end >> /tmp/hole").await?;
    ensure_eq!(files.read("/tmp/hole").await?.len(), (3 << 20) + 3, "a file with a hole");
    passed()
}

/// What whoever copies files can meet, and the kind that it has on every provider.
async fn m27_the_same_fault_has_the_same_kind(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    shell_text(
        &node,
        "mkdir -p /tmp/d/full; : > /tmp/f; mkfifo /tmp/fifo; ln -s /tmp/l2 /tmp/l1; ln -s /tmp/l1 /tmp/l2",
    )
    .await?;
    let data = || Bytes::from_static(b"x");
    let long = format!("/tmp/{}", "n".repeat(300));
    let faults = [
        ("reading what is missing", files.read("/tmp/no").await.map(drop), ErrorKind::NotFound),
        ("reading a directory", files.read("/tmp/d").await.map(drop), ErrorKind::FailedPrecondition),
        ("reading a fifo", files.read("/tmp/fifo").await.map(drop), ErrorKind::FailedPrecondition),
        ("reading below a file", files.read("/tmp/f/x").await.map(drop), ErrorKind::FailedPrecondition),
        ("reading links that go round", files.read("/tmp/l1").await.map(drop), ErrorKind::InvalidArgument),
        ("writing to a directory", files.write("/tmp/d", data()).await, ErrorKind::FailedPrecondition),
        ("writing with a slash", files.write("/tmp/new/", data()).await, ErrorKind::FailedPrecondition),
        ("writing below a file", files.write("/tmp/f/x", data()).await, ErrorKind::FailedPrecondition),
        ("writing to a fifo", files.write("/tmp/fifo", data()).await, ErrorKind::FailedPrecondition),
        ("writing to a long name", files.write(&long, data()).await, ErrorKind::InvalidArgument),
        ("a directory over a file", files.mkdir("/tmp/f").await, ErrorKind::FailedPrecondition),
        ("listing a file", files.list("/tmp/f").await.map(drop), ErrorKind::FailedPrecondition),
        ("listing what is missing", files.list("/tmp/no").await.map(drop), ErrorKind::NotFound),
        ("describing below a file", files.stat("/tmp/f/x").await.map(drop), ErrorKind::FailedPrecondition),
        ("removing a full directory", files.remove("/tmp/d").await, ErrorKind::FailedPrecondition),
    ];
    for (what, outcome, kind) in faults {
        let error = must_fail(outcome, &[kind], what)?;
        ensure_eq!(error.subject(), Some(Subject::Path), "the subject of {what}");
    }
    passed()
}
