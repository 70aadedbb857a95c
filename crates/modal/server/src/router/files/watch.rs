//! Watching, as the helper does it: one JSON object a line, until the time is up or the input ends.

use super::{exec::FileExec, failure::Failure};
use bytes::Bytes;
use futures_util::FutureExt;
use openlattice_engine::{Error, ErrorKind, FileEvent, FileEventKind, Files, OutputStream, WatchSpec};
use serde::Serialize;
use std::time::Duration;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

/// Lines written at once.
const LINES: usize = 256;
/// Bytes of lines that are kept of one watch; clients may read from the beginning at any time.
const OUTPUT_LIMIT: u64 = 256 << 20;

/// A watch that nobody has read for so long is ended: its client went away without a word.
const UNREAD: Duration = Duration::from_secs(3600);
/// How often readers are looked for.
const GLANCE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct Line<'a> {
    event_type: &'static str,
    paths: &'a [String],
}

/// The kinds and their names on the wire. A client takes what it does not know for nothing.
const NAMES: [(FileEventKind, &str); 8] = [
    (FileEventKind::Access, "Access"),
    (FileEventKind::Create, "Create"),
    (FileEventKind::Modify, "Modify"),
    (FileEventKind::Remove, "Remove"),
    (FileEventKind::Rename, "Rename"),
    (FileEventKind::RenameFrom, "RenameFrom"),
    (FileEventKind::RenameTo, "RenameTo"),
    (FileEventKind::Unknown, "Unknown"),
];

/// What was asked for. A filter of names that nothing here has lets nothing through but what was lost.
pub(super) fn spec(recursive: bool, filter: Option<Vec<String>>, timeout_secs: Option<u64>) -> WatchSpec {
    let kind = |name: &String| NAMES.iter().find(|(_, known)| known == name).map(|(kind, _)| *kind);
    let kinds = filter.map(|names| names.iter().filter_map(kind).collect());
    WatchSpec { recursive, kinds, timeout: timeout_secs.map(Duration::from_secs) }
}

/// Watches and prints until the end. `begun` is told when nothing is missed any more, or dropped when it failed.
pub(super) async fn run(
    files: &Files,
    path: &str,
    spec: WatchSpec,
    exec: &FileExec,
    mut input: mpsc::Receiver<Bytes>,
    begun: oneshot::Sender<()>,
) -> Result<(), Failure> {
    let mut watch = files.watch(path, spec).await.map_err(failed)?;
    // A caller that went away meanwhile is not told.
    let _ = begun.send(());
    let mut printed = 0;
    let mut unread = std::pin::pin!(unread(|| exec.is_read()));
    loop {
        let event = tokio::select! {
            event = watch.next() => event.map_err(failed)?,
            () = input_ended(&mut input) => return Ok(()),
            () = &mut unread => return Err(Failure::new("Unknown", "nobody read the events for an hour")),
        };
        let Some(event) = event else { return Ok(()) };
        let mut lines = line(&event)?;
        for _ in 1..LINES {
            // What is ready now goes out together; the end and errors come again.
            let Some(Ok(Some(event))) = watch.next().now_or_never() else { break };
            lines.extend(line(&event)?);
        }
        printed += lines.len() as u64;
        if printed > OUTPUT_LIMIT {
            return Err(Failure::new("ResourceExhausted", "too many events; watch again"));
        }
        exec.append(OutputStream::Stdout, lines.into()).await.map_err(|error| Failure::internal(&error))?;
    }
}

fn line(event: &FileEvent) -> Result<Vec<u8>, Failure> {
    let name = NAMES.iter().find(|(kind, _)| *kind == event.kind).map_or("Unknown", |(_, name)| name);
    let line = Line { event_type: name, paths: &event.paths };
    let mut text = serde_json::to_vec(&line).map_err(|error| Failure::internal(&error.into()))?;
    text.push(b'\n');
    Ok(text)
}

/// Completes at the end of the input; what comes before it is for nobody.
async fn input_ended(input: &mut mpsc::Receiver<Bytes>) {
    while input.recv().await.is_some_and(|chunk| !chunk.is_empty()) {}
}

/// Completes when there was no reader for long.
async fn unread(is_read: impl Fn() -> bool) {
    let mut since = Instant::now();
    while since.elapsed() < UNREAD {
        tokio::time::sleep(GLANCE).await;
        if is_read() {
            since = Instant::now();
        }
    }
}

fn failed(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::FailedPrecondition => Failure::sandbox_ended(),
        _ => Failure::engine(&error, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_is_everything_and_an_empty_one_nothing() {
        assert!(spec(true, None, None).kinds.is_none());
        assert_eq!(spec(true, Some(Vec::new()), None).kinds, Some([].into()));
        let named = spec(false, Some(vec!["Modify".into(), "RenameTo".into(), "Odd".into()]), Some(3));
        assert_eq!(named.kinds, Some([FileEventKind::Modify, FileEventKind::RenameTo].into()));
        assert_eq!(named.timeout, Some(Duration::from_secs(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_nobody_reads_is_over_in_the_end() {
        let start = Instant::now();
        unread(|| start.elapsed() < 2 * UNREAD).await;
        assert!(start.elapsed() >= 3 * UNREAD - GLANCE);
    }
}
