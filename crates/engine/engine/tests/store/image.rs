//! Images: host, import, names, snapshots, removal.

use crate::support::{Store, names};
use openlattice_engine::{
    Engine, EngineConfig, ErrorKind, GcSpec, ImageInfo, SandboxId, SandboxSpec, SnapshotSpec,
};
use openlattice_images::testing::{self, ArchiveFormat, LayerBuilder};
use std::time::Duration;

async fn from(store: &Store, image: &ImageInfo) -> SandboxId {
    let mut spec = SandboxSpec::default();
    spec.image = image.id.as_str().to_owned();
    store.engine.create(spec).await.unwrap().id
}

#[tokio::test]
async fn host_is_always_there_and_built_once() {
    let Some(store) = Store::open().await else { return };
    let host = store.engine.image("host").await.unwrap();
    assert_eq!(host.names, ["host"]);
    assert_eq!(store.again().await.image(host.id.as_str()).await.unwrap().id, host.id);
    assert_eq!(store.engine.images().await.unwrap().len(), 1);
    assert_eq!(store.engine.remove_image("host").await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert_eq!(store.engine.image("unknown").await.unwrap_err().kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_of_a_running_sandbox_holds_what_it_changed() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let script = "echo new > /srv/new; rm /etc/hosts; mkdir -m 700 /srv/d; ln -s new /srv/link; chown 7:8 /srv/new; echo u > /usr/share/u; rm /usr/bin/env";
    store.sh(&id, script).await.ok();
    let image = store.engine.snapshot(&id, SnapshotSpec::default()).await.unwrap();
    assert_eq!(image.snapshot_of.as_ref(), Some(&id));
    // It runs on, and its later changes are not in the image.
    store.sh(&id, "echo later > /srv/new").await.ok();
    let copy = from(&store, &image).await;
    let script = "cat /srv/link /usr/share/u; stat -c '%u %g' /srv/new; stat -c %a /srv/d; ls /etc/hosts /usr/bin/env 2>&1 | grep -c 'No such'";
    assert_eq!(store.sh(&copy, script).await.ok(), "new\nu\n7 8\n700\n2\n");
    assert!(std::path::Path::new("/usr/bin/env").exists());
    // A snapshot of the copy stacks on it.
    store.sh(&copy, "echo more > /srv/more").await.ok();
    let second = store.engine.snapshot(&copy, SnapshotSpec::default()).await.unwrap();
    let third = from(&store, &second).await;
    assert_eq!(store.sh(&third, "cat /srv/new /srv/more").await.ok(), "new\nmore\n");
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_stops_a_writer_at_one_moment() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    // Two files that are never further apart than one step.
    let mut spec = crate::support::command(&[
        "sh",
        "-c",
        "n=0; while :; do n=$((n+1)); echo $n > /srv/a; echo $n > /srv/b; done",
    ]);
    spec.discard_stdout = true;
    store.engine.exec(&id, spec).await.unwrap();
    while store.sh(&id, "cat /srv/b").await.stdout.is_empty() {}
    let image = store.engine.snapshot(&id, SnapshotSpec::default()).await.unwrap();
    let copy = from(&store, &image).await;
    let text = store.sh(&copy, "cat /srv/a; echo; cat /srv/b").await.stdout;
    let numbers: Vec<u64> = text.split_whitespace().map(|n| n.parse().unwrap()).collect();
    // A redirection empties its file first, so one of the two may be missing.
    if let [a, b] = numbers[..] {
        assert!(a.abs_diff(b) <= 1, "{text}");
    }
    let before = store.sh(&id, "cat /srv/a").await.stdout;
    while store.sh(&id, "cat /srv/a").await.stdout == before {}
    store.close().await;
}

#[tokio::test]
async fn an_ended_sandbox_that_keeps_its_files_can_be_snapshotted_until_it_is_removed() {
    let Some(store) = Store::open().await else { return };
    let mut spec = SandboxSpec::default();
    spec.keep_files = true;
    let id = store.engine.create(spec).await.unwrap().id;
    store.sh(&id, "echo kept > /srv/kept").await.ok();
    store.engine.terminate(&id).await.unwrap();
    let mut config = EngineConfig::new(store.path());
    config.output_retention = Duration::ZERO;
    Engine::open(config).await.unwrap().gc(GcSpec::default()).await.unwrap();
    for _ in 0..2 {
        let image = store.engine.snapshot(&id, SnapshotSpec::default()).await.unwrap();
        let copy = from(&store, &image).await;
        assert_eq!(store.sh(&copy, "cat /srv/kept").await.ok(), "kept\n");
    }
    store.engine.remove(&id).await.unwrap();
    let error = store.engine.snapshot(&id, SnapshotSpec::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn the_files_of_an_ended_sandbox_are_gone() {
    let Some(store) = Store::open().await else { return };
    let mut main = SandboxSpec::default();
    main.command =
        ["sh", "-c", "head -c 5000000 /dev/zero > /srv/big; echo said"].map(str::to_owned).to_vec();
    let by_itself = store.engine.create(main).await.unwrap().id;
    store.engine.wait(&by_itself, None).await.unwrap();
    let ended = store.sandbox().await.id;
    store
        .sh(&ended, "head -c 5000000 /dev/zero > /srv/big; mkdir -p /a/b; ln -s /x /a/b/l; echo said")
        .await
        .ok();
    store.engine.terminate(&ended).await.unwrap();
    for id in [&by_itself, &ended] {
        let left = names(&store.path().join("sandboxes").join(id.as_str()));
        assert!(left.contains(&"execs".to_owned()) && !left.contains(&"upper".to_owned()), "{left:?}");
        let error = store.engine.snapshot(id, SnapshotSpec::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    }
    let idle = store.sandbox().await.id;
    store.engine.terminate(&idle).await.unwrap();
    assert!(!store.path().join("sandboxes").join(idle.as_str()).exists(), "it has no output to keep");
    store.close().await;
}

#[tokio::test]
async fn a_key_makes_one_image() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = SnapshotSpec::default();
    spec.key = Some("k".to_owned());
    let first = store.engine.snapshot(&id, spec.clone()).await.unwrap();
    store.engine.remove(&id).await.unwrap();
    assert_eq!(store.engine.snapshot(&id, spec).await.unwrap().id, first.id);
    store.close().await;
}

#[tokio::test]
async fn an_expired_image_goes_with_its_layers_when_nothing_uses_it() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let layers = || names(&store.path().join("layers"));
    let before = layers();
    store.sh(&id, "echo x > /srv/x").await.ok();
    let mut spec = SnapshotSpec::default();
    spec.ttl = Some(Duration::ZERO);
    let image = store.engine.snapshot(&id, spec).await.unwrap();
    let copy = from(&store, &image).await;
    assert!(
        store.engine.gc(GcSpec::default()).await.unwrap().images.is_empty(),
        "an image in use was removed"
    );
    assert_eq!(
        store.engine.remove_image(image.id.as_str()).await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    assert_eq!(store.sh(&copy, "cat /srv/x").await.ok(), "x\n");
    store.engine.terminate(&copy).await.unwrap();
    assert_eq!(store.engine.gc(GcSpec::default()).await.unwrap().images, std::slice::from_ref(&image.id));
    assert_eq!(store.engine.image(image.id.as_str()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(layers(), before);
    store.close().await;
}

#[tokio::test]
async fn an_archive_is_imported_run_moved_and_removed() {
    let Some(store) = Store::open().await else { return };
    let archive = store.path().join("image.tar");
    let programs = testing::host_programs().unwrap();
    testing::write_archive(&archive, &programs, ArchiveFormat::Oci).unwrap();
    let first = store.engine.import_image("app:latest", &archive).await.unwrap();
    assert_eq!(store.engine.image("app").await.unwrap().id, first.id);
    let id = from(&store, &first).await;
    assert_eq!(
        store
            .sh(&id, "cat /etc/imported; ls /etc/doomed 2>/dev/null; stat -c %u /etc/imported; id -u")
            .await
            .stdout,
        "imported\n0\n0\n"
    );
    let other = LayerBuilder::default().directory("srv", 0o755).file("srv/mark", 0o644, b"two").finish();
    testing::write_archive(&archive, &[other], ArchiveFormat::Docker).unwrap();
    let second = store.engine.import_image("app:latest", &archive).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(store.engine.image("app:latest").await.unwrap().id, second.id);
    let orphan = store.engine.image(first.id.as_str()).await.unwrap();
    assert!(orphan.names.is_empty() && orphan.expires_at.is_some());
    let bare = from(&store, &second).await;
    assert_eq!(store.engine.files(&bare).read("/srv/mark").await.unwrap(), "two");
    store.engine.terminate(&bare).await.unwrap();
    store.engine.remove_image("app").await.unwrap();
    assert_eq!(store.engine.image("app").await.unwrap_err().kind(), ErrorKind::NotFound);
    // The layers of the one in use are left.
    assert_eq!(store.sh(&id, "cat /etc/imported").await.ok(), "imported\n");
    store.close().await;
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let Some(store) = Store::open().await else { return };
    let archive = store.path().join("image.tar");
    let kind = async |name: &str| store.engine.import_image(name, &archive).await.unwrap_err().kind();
    assert_eq!(kind("x").await, ErrorKind::NotFound);
    std::fs::write(&archive, "no archive").unwrap();
    assert_eq!(kind("x").await, ErrorKind::InvalidArgument);
    assert_eq!(kind("host").await, ErrorKind::InvalidArgument);
    assert!(names(&store.path().join("layers")).is_empty());
    store.close().await;
}
