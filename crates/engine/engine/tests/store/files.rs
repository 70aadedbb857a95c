//! Files of a sandbox, from outside.

use crate::support::Store;
use bytes::Bytes;
use openlattice_engine::{ErrorKind, FileAttributes, FileKind};

#[tokio::test]
async fn files_written_outside_are_read_inside_and_back() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    let content: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    files.write("/srv/new/bin", content.clone().into(), FileAttributes::default()).await.unwrap();
    assert_eq!(
        store.sh(&id, "stat -c '%u %g %a %s' /srv/new/bin; ls -A /srv/new").await.ok(),
        "0 0 644 700000\nbin\n"
    );
    assert_eq!(files.read("/srv/new/bin").await.unwrap(), content);
    assert_eq!(files.read_at("/srv/new/bin", 699_999, 10).await.unwrap(), content[699_999..]);
    store.sh(&id, "echo inside > /srv/new/text; chmod 600 /srv/new/text; chown 5:6 /srv/new/text").await.ok();
    assert_eq!(files.read("/srv/new/text").await.unwrap(), "inside\n");
    files.write("/srv/new/text", "outside\n".into(), FileAttributes::default()).await.unwrap();
    assert_eq!(
        store.sh(&id, "cat /srv/new/text; stat -c '%u %g %a' /srv/new/text").await.ok(),
        "outside\n5 6 600\n"
    );
    store.close().await;
}

#[tokio::test]
async fn files_of_the_image_are_there_and_can_be_replaced() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    assert!(files.read("/etc/passwd").await.unwrap().starts_with(b"root:x:0:0:"));
    let shell = files.stat("/usr/bin/env").await.unwrap();
    assert_eq!((shell.kind, shell.uid, shell.gid), (FileKind::File, 0, 0));
    files.write("/usr/share/lattice-test", "in usr".into(), FileAttributes::default()).await.unwrap();
    files.write("/etc/hostname", "named\n".into(), FileAttributes::default()).await.unwrap();
    assert_eq!(store.sh(&id, "cat /usr/share/lattice-test /etc/hostname").await.ok(), "in usrnamed\n");
    assert!(!std::path::Path::new("/usr/share/lattice-test").exists());
    store.sh(&id, "echo in memory > /dev/shm/x").await.ok();
    assert_eq!(files.read("/dev/shm/x").await.unwrap(), "in memory\n");
    assert_eq!(
        files.write("/dev/shm/y", Bytes::new(), FileAttributes::default()).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    store.close().await;
}

#[tokio::test]
async fn directories_are_made_listed_and_removed() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    files.mkdir("/a/b/c", true).await.unwrap();
    assert_eq!(files.mkdir("/a/b", false).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(files.mkdir("/x/y", false).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.sh(&id, "cd /a; ln -s /etc/passwd link; mkfifo fifo; echo 12345 > file").await.ok();
    let found: Vec<_> =
        files.list("/a").await.unwrap().into_iter().map(|f| (f.name, f.kind, f.uid)).collect();
    let kinds = [
        ("b", FileKind::Directory),
        ("fifo", FileKind::Other),
        ("file", FileKind::File),
        ("link", FileKind::Symlink),
    ];
    assert_eq!(found, kinds.map(|(name, kind)| (name.into(), kind, 0)));
    assert_eq!(files.stat("/a/link").await.unwrap().symlink_target, Some("/etc/passwd".into()));
    assert_eq!(files.stat("/a/file").await.unwrap().size, 6);
    assert_eq!(files.remove("/a", false).await.unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    files.remove("/a", true).await.unwrap();
    assert_eq!(files.stat("/a").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(files.stat("/etc/passwd").await.is_ok());
    store.close().await;
}

#[tokio::test]
async fn a_hostile_file_neither_holds_nor_fools() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    store.sh(&id, "mkfifo /tmp/fifo; ln -s /proc/self/root/etc/shadow /tmp/magic; ln -s ../../../../etc/hostname /tmp/up; ln -s /tmp/loop /tmp/loop").await.ok();
    assert_eq!(files.read("/tmp/fifo").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(
        files.write("/tmp/fifo", Bytes::new(), FileAttributes::default()).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(files.read("/dev/zero").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(files.read("/proc/version").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(files.list("/sys").await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(files.read("/tmp/magic").await.is_err());
    assert_eq!(files.read("/tmp/loop").await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    files.write("/tmp/up", "from the sandbox".into(), FileAttributes::default()).await.unwrap();
    assert_eq!(store.sh(&id, "cat /etc/hostname").await.ok(), "from the sandbox");
    assert_ne!(std::fs::read("/etc/hostname").unwrap_or_default(), b"from the sandbox");
    store.close().await;
}

#[tokio::test]
async fn a_stream_is_visible_when_it_is_whole() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let files = store.engine.files(&id);
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    let writing = tokio::spawn({
        let files = files.clone();
        async move { files.write_from("/tmp/s", chunks, FileAttributes::default()).await }
    });
    sender.send("one ".into()).await.unwrap();
    sender.send("two".into()).await.unwrap();
    assert_eq!(store.sh(&id, "ls -A /tmp").await.ok(), "");
    sender.send(Bytes::new()).await.unwrap();
    writing.await.unwrap().unwrap();
    assert_eq!(files.read("/tmp/s").await.unwrap(), "one two");
    let (sender, chunks) = tokio::sync::mpsc::channel(1);
    sender.send("half".into()).await.unwrap();
    drop(sender);
    assert_eq!(
        files.write_from("/tmp/s", chunks, FileAttributes::default()).await.unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(store.sh(&id, "cat /tmp/s; ls -A /tmp").await.ok(), "one twos\n");
    store.close().await;
}

#[tokio::test]
async fn an_ended_sandbox_has_no_files() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    store.engine.terminate(&id).await.unwrap();
    assert_eq!(
        store.engine.files(&id).read("/etc/passwd").await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    store.close().await;
}
