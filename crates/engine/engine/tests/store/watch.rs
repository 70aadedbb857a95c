//! Following changes of a sandbox's files, from outside.

use crate::support::Store;
use openlattice_engine::{ErrorKind, FileAttributes, FileEvent, FileEventKind, FileWatch, WatchSpec};
use std::time::Duration;

fn changes(recursive: bool) -> WatchSpec {
    use FileEventKind::{Create, Modify, Remove, Rename, RenameFrom, RenameTo};
    let kinds = Some([Create, Modify, Remove, Rename, RenameFrom, RenameTo].into());
    WatchSpec { recursive, kinds, timeout: None }
}

/// Events up to the one that makes `last`.
async fn until(watch: &mut FileWatch, last: &str) -> Vec<FileEvent> {
    let mut seen = Vec::new();
    loop {
        let event = watch.next().await.unwrap().expect("the watch goes on");
        let done = event.kind == FileEventKind::Create && event.paths[0] == last;
        seen.push(event);
        if done {
            return seen;
        }
    }
}

fn shown(events: &[FileEvent]) -> Vec<(FileEventKind, String)> {
    events.iter().map(|event| (event.kind, event.paths.join(" > "))).collect()
}

#[tokio::test]
async fn m27_changes_made_inside_and_outside_come_in_order() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    files.mkdir("/srv/w", true).await.unwrap();
    let mut watch = files.watch("/srv/w", changes(false)).await.unwrap();
    store
        .sh(&id, "cd /srv/w; : > a; echo x >> a; mv a b; rm b; mkdir -p sub; : > sub/unseen; mv sub ..")
        .await
        .ok();
    files.write("/srv/w/outside", "1".into(), FileAttributes::default()).await.unwrap();
    files.write("/srv/w/outside", "2".into(), FileAttributes::default()).await.unwrap();
    files.mkdir("/srv/w/end", false).await.unwrap();
    use FileEventKind::{Create, Modify, Remove, Rename, RenameFrom};
    let expected = [
        (Create, "/srv/w/a"),
        (Modify, "/srv/w/a"),
        (Rename, "/srv/w/a > /srv/w/b"),
        (Remove, "/srv/w/b"),
        (Create, "/srv/w/sub"),
        (RenameFrom, "/srv/w/sub"),
        (Create, "/srv/w/outside"),
        (Modify, "/srv/w/outside"),
        (Create, "/srv/w/end"),
    ];
    let mut seen = shown(&until(&mut watch, "/srv/w/end").await);
    seen.dedup();
    assert_eq!(seen, expected.map(|(kind, path)| (kind, path.to_owned())));
    store.close().await;
}

#[tokio::test]
async fn m27_directories_that_come_to_be_are_watched_with_what_they_hold() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    store.sh(&id, "mkdir -p /srv/w/old/deep; ln -s /etc /srv/w/link").await.ok();
    let mut watch = files.watch("/srv/w", changes(true)).await.unwrap();
    // As fast as it gets: most of it is there before the first directory is watched.
    store.sh(&id, "cd /srv/w; for d in 1 2 3 4 5 6 7 8; do mkdir -p n/$d/a/b; : > n/$d/a/b/f; done; : > old/deep/x; : > link/x; mv n m; : > m/8/a/b/late; mkdir end").await.ok();
    let seen = until(&mut watch, "/srv/w/end").await;
    let created = |path: &str| {
        let of = |event: &&FileEvent| event.kind == FileEventKind::Create && event.paths == [path];
        seen.iter().filter(of).count()
    };
    assert_eq!(created("/srv/w/n"), 1);
    assert_eq!(created("/srv/w/old/deep/x"), 1);
    assert_eq!(created("/srv/w/m/8/a/b/late"), 1, "{seen:?}");
    assert_eq!(created("/srv/w/link/x"), 0, "a link is not followed");
    for number in 1..=8 {
        let old = created(&format!("/srv/w/n/{number}/a/b/f"));
        assert_eq!(old + created(&format!("/srv/w/m/{number}/a/b/f")), 1, "{number}: {seen:?}");
    }
    store.close().await;
}

#[tokio::test]
async fn m27_a_file_is_watched_through_being_replaced() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    files.write("/srv/f", "1".into(), FileAttributes::default()).await.unwrap();
    store.sh(&id, "ln -s srv/f /link").await.ok();
    let mut watch = files.watch("/link", changes(false)).await.unwrap();
    store.sh(&id, ": > /srv/other; mv /srv/other /srv/f").await.ok();
    files.write("/srv/f", "2".into(), FileAttributes::default()).await.unwrap();
    let first = watch.next().await.unwrap().unwrap();
    let second = watch.next().await.unwrap().unwrap();
    assert_eq!((first.kind, first.paths), (FileEventKind::RenameTo, vec!["/srv/f".to_owned()]));
    assert_eq!((second.kind, second.paths), (FileEventKind::Modify, vec!["/srv/f".to_owned()]));
    store.close().await;
}

#[tokio::test]
async fn m27_a_watch_ends_with_its_time_its_directory_and_its_sandbox() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    assert_eq!(files.watch("/none", changes(true)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.watch("/proc", changes(true)).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(files.watch("/", changes(true)).await.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    let short = WatchSpec { timeout: Some(Duration::from_millis(1)), ..changes(false) };
    assert!(files.watch("/", short).await.unwrap().next().await.unwrap().is_none());
    files.mkdir("/srv/w", true).await.unwrap();
    let mut watch = files.watch("/srv/w", changes(false)).await.unwrap();
    store.sh(&id, "rmdir /srv/w").await.ok();
    assert_eq!(watch.next().await.unwrap().unwrap().kind, FileEventKind::Remove);
    assert!(watch.next().await.unwrap().is_none());
    let mut watch = files.watch("/srv", changes(true)).await.unwrap();
    let (ended, terminated) = tokio::join!(watch.next(), store.engine.terminate(&id));
    terminated.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    store.close().await;
}

#[tokio::test]
async fn m27_a_flood_is_told_as_lost_and_the_watch_goes_on() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    files.mkdir("/srv/w", true).await.unwrap();
    let mut watch = files.watch("/srv/w", changes(true)).await.unwrap();
    // More than any queue holds, while nobody reads.
    store.sh(&id, "cd /srv/w; i=0; while [ $i -lt 6000 ]; do : > f; rm f; i=$((i+1)); done").await.ok();
    let mut lost = false;
    for _ in 0..20_000 {
        lost |= watch.next().await.unwrap().unwrap().kind == FileEventKind::Unknown;
        if lost {
            break;
        }
    }
    assert!(lost, "nothing was lost, and nothing was said to be");
    files.mkdir("/srv/w/end", false).await.unwrap();
    until(&mut watch, "/srv/w/end").await;
    store.close().await;
}

#[tokio::test]
async fn g9_a_dropped_watch_leaves_the_kernel_nothing() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    let inodes =
        store.sh(&id, "mkdir -p /srv/w/a/b; stat -c %i /srv/w /srv/w/a /srv/w/a/b").await.ok().to_owned();
    let held = || watched(&inodes);
    let mut first = files.watch("/srv/w", changes(true)).await.unwrap();
    let second = files.watch("/srv/w", changes(true)).await.unwrap();
    assert_eq!(held(), 3);
    drop(second);
    assert_eq!(held(), 3, "the other one still needs them");
    files.mkdir("/srv/w/a/b/end", false).await.unwrap();
    until(&mut first, "/srv/w/a/b/end").await;
    drop(first);
    assert_eq!(held(), 0);
    store.close().await;
}

/// How many of the inodes this process watches (proc(5), fdinfo). Other tests of the process watch others.
fn watched(inodes: &str) -> usize {
    let info: Vec<String> = std::fs::read_dir("/proc/self/fdinfo")
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
        .collect();
    let is_watched = |inode: &&str| {
        let part = format!(" ino:{:x} ", inode.parse::<u64>().unwrap());
        info.iter()
            .flat_map(|info| info.lines())
            .any(|line| line.starts_with("inotify wd:") && line.contains(&part))
    };
    inodes.lines().filter(is_watched).count()
}
