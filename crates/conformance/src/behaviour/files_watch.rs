//! Following changes of files.

use openlattice::{ErrorKind, FileEvent, FileEventKind, FileWatch, Node, NodeFiles, Subject, WatchOptions};

use super::behaviours;
use super::files::{NONE, files};
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, failed, must_fail, must_refuse, passed, skipped};

behaviours![
    m27_watching_is_there_exactly_where_claimed,
    m27_changes_are_told_in_their_order,
    m27_only_the_watched_directory_is_told_unless_asked,
    m27_new_directories_are_watched_with_what_they_hold,
    m27_a_filter_lets_through_what_it_names,
    m27_a_watch_ends_at_its_time,
    m27_a_path_that_cannot_be_watched_is_named,
    m27_an_ended_sandbox_ends_its_watch,
    g9_dropped_watches_leave_room_for_others,
];

/// What a test says where watching is not offered.
const NOT_WATCHED: &str = "watching is not offered, and another test proves the refusal";

async fn watched(case: &Case) -> Result<Option<(Node, NodeFiles)>, Failure> {
    let found = files(case).await?;
    Ok(found.filter(|_| case.offers().files.watch))
}

async fn m27_watching_is_there_exactly_where_claimed(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    let watch = files.watch("/tmp", WatchOptions::default()).await;
    if case.offers().files.watch {
        watch?;
        return passed();
    }
    must_refuse(watch, "files.watch")
}

/// Takes events up to the one that makes a path; those that tell of reading are left out.
async fn until(watch: &mut dyn FileWatch, last: &str) -> Result<Vec<FileEvent>, Failure> {
    let mut seen = Vec::new();
    loop {
        let Some(event) = watch.next_event().await? else {
            return failed(format!("the watch was over before {last} came to be; it told {seen:?}"));
        };
        ensure!(!event.paths.is_empty(), "an event without a path: {event:?}");
        let done = event.kind == FileEventKind::Create && event.paths[0] == last;
        if event.kind != FileEventKind::Access {
            seen.push(event);
        }
        if done {
            return Ok(seen);
        }
    }
}

/// The position of the first event of a kind with a path.
fn position(seen: &[FileEvent], kind: FileEventKind, path: &str) -> Result<usize, Failure> {
    let of = |event: &FileEvent| event.kind == kind && event.paths.iter().any(|one| one == path);
    seen.iter().position(of).ok_or_else(|| Failure(format!("no {kind} of {path} in {seen:?}")))
}

/// The position of the event that tells an end of a renaming, of whichever of the three kinds.
fn renaming(seen: &[FileEvent], path: &str) -> Result<usize, Failure> {
    use FileEventKind::{Rename, RenameFrom, RenameTo};
    [Rename, RenameFrom, RenameTo]
        .into_iter()
        .filter_map(|kind| position(seen, kind, path).ok())
        .min()
        .ok_or_else(|| Failure(format!("no renaming of {path} in {seen:?}")))
}

async fn m27_changes_are_told_in_their_order(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    files.mkdir("/tmp/w").await?;
    let mut watch = files.watch("/tmp/w", WatchOptions::default()).await?;
    shell_text(&node, "cd /tmp/w; mkdir d; : > a; echo x >> a; mv a b; rm b; rmdir d; mkdir end").await?;
    let seen = until(&mut *watch, "/tmp/w/end").await?;
    let places = [
        position(&seen, FileEventKind::Create, "/tmp/w/d")?,
        position(&seen, FileEventKind::Create, "/tmp/w/a")?,
        position(&seen, FileEventKind::Modify, "/tmp/w/a")?,
        renaming(&seen, "/tmp/w/a")?,
        position(&seen, FileEventKind::Remove, "/tmp/w/b")?,
        position(&seen, FileEventKind::Remove, "/tmp/w/d")?,
        position(&seen, FileEventKind::Create, "/tmp/w/end")?,
    ];
    ensure!(places.is_sorted(), "the order: {seen:?}");
    renaming(&seen, "/tmp/w/b")?;
    // What the extension itself does is told as well.
    files.write("/tmp/w/outside", openlattice::Bytes::from_static(b"x")).await?;
    until(&mut *watch, "/tmp/w/outside").await?;
    passed()
}

async fn m27_only_the_watched_directory_is_told_unless_asked(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    shell_text(&node, "mkdir -p /tmp/w/sub /tmp/beside").await?;
    let mut watch = files.watch("/tmp/w", WatchOptions::default()).await?;
    shell_text(&node, ": > /tmp/w/sub/x; : > /tmp/beside/x; mkdir /tmp/w/end").await?;
    let seen = until(&mut *watch, "/tmp/w/end").await?;
    for path in ["/tmp/w/sub/x", "/tmp/beside/x"] {
        ensure!(position(&seen, FileEventKind::Create, path).is_err(), "{path} was told: {seen:?}");
    }
    passed()
}

async fn m27_new_directories_are_watched_with_what_they_hold(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    shell_text(&node, "mkdir -p /tmp/w/old; ln -s /tmp /tmp/w/link").await?;
    let mut watch = files.watch("/tmp/w", WatchOptions::default().recursive()).await?;
    let script = "cd /tmp/w; : > old/x; for d in 1 2 3 4; do mkdir -p $d/a/b; : > $d/a/b/f; done; : > link/y; mkdir end";
    shell_text(&node, script).await?;
    let seen = until(&mut *watch, "/tmp/w/end").await?;
    position(&seen, FileEventKind::Create, "/tmp/w/old/x")?;
    for number in 1..=4 {
        position(&seen, FileEventKind::Create, &format!("/tmp/w/{number}/a/b/f"))?;
    }
    ensure!(
        position(&seen, FileEventKind::Create, "/tmp/w/link/y").is_err(),
        "a link was followed: {seen:?}"
    );
    shell_text(&node, ": > /tmp/w/1/a/b/late").await?;
    until(&mut *watch, "/tmp/w/1/a/b/late").await?;
    passed()
}

async fn m27_a_filter_lets_through_what_it_names(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    files.mkdir("/tmp/w").await?;
    let only = WatchOptions::default().with_filter([FileEventKind::Create]);
    let mut watch = files.watch("/tmp/w", only).await?;
    let none = WatchOptions::default().with_filter([]).with_timeout_seconds(2);
    let mut silent = files.watch("/tmp/w", none).await?;
    shell_text(&node, "cd /tmp/w; : > a; echo x >> a; rm a; mkdir end").await?;
    let kinds: Vec<_> = until(&mut *watch, "/tmp/w/end").await?.into_iter().map(|event| event.kind).collect();
    ensure_eq!(kinds, [FileEventKind::Create, FileEventKind::Create], "what a filter let through");
    ensure_eq!(silent.next_event().await?, None, "what an empty filter let through");
    passed()
}

async fn m27_a_watch_ends_at_its_time(case: Case) -> Outcome {
    let Some((_node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    let mut watch = files.watch("/tmp", WatchOptions::default().with_timeout_seconds(1)).await?;
    while let Some(event) = watch.next_event().await? {
        ensure!(event.paths[0].starts_with("/tmp"), "a stray event {event:?}");
    }
    ensure_eq!(watch.next_event().await?, None, "what comes after the end");
    passed()
}

async fn m27_a_path_that_cannot_be_watched_is_named(case: Case) -> Outcome {
    let Some((_node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    for (path, kind) in [("/tmp/no such file", ErrorKind::NotFound), ("relative", ErrorKind::InvalidArgument)]
    {
        let first = async { files.watch(path, WatchOptions::default()).await?.next_event().await }.await;
        let error = must_fail(first, &[kind], "watching")?;
        ensure_eq!(error.subject(), Some(Subject::Path), "the subject of watching {path}");
    }
    passed()
}

async fn m27_an_ended_sandbox_ends_its_watch(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    files.mkdir("/tmp/w").await?;
    let mut watch = files.watch("/tmp/w", WatchOptions::default()).await?;
    let (ended, destroyed) = tokio::join!(watch.next_event(), node.destroy());
    destroyed?;
    let error = must_fail(ended, &[ErrorKind::NotFound], "the watch of an ended sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    let again = async { files.watch("/tmp/w", WatchOptions::default()).await?.next_event().await }.await;
    must_fail(again, &[ErrorKind::NotFound], "watching an ended sandbox")?;
    passed()
}

async fn g9_dropped_watches_leave_room_for_others(case: Case) -> Outcome {
    let Some((node, files)) = watched(&case).await? else { return skipped(NOT_WATCHED) };
    shell_text(&node, "mkdir -p /tmp/w/a/b").await?;
    for _ in 0..20 {
        let mut watch = files.watch("/tmp/w", WatchOptions::default().recursive()).await?;
        // Dropped while it waits.
        tokio::select! {
            biased;
            event = watch.next_event() => { event?; }
            () = std::future::ready(()) => {}
        }
    }
    let mut watch = files.watch("/tmp/w", WatchOptions::default().recursive()).await?;
    files.mkdir("/tmp/w/a/b/end").await?;
    until(&mut *watch, "/tmp/w/a/b/end").await?;
    passed()
}
