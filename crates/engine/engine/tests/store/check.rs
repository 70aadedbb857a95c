//! What a check of a store finds, and that it finds nothing in a store that is used as it should be.

use crate::support::{Store, names};
use openlattice_engine::{
    Engine, GcSpec, Owner, SandboxFilter, SandboxSpec, SnapshotSpec, StoreReport, VolumeSpec,
};
use std::fs;

/// What is found, as `THING: PROBLEM`, without the store's path.
async fn found(store: &Store) -> Vec<String> {
    let report = store.engine.check().await.unwrap();
    let path = format!("{}/", store.path().display());
    let mut found: Vec<String> = report
        .findings
        .iter()
        .map(|f| format!("{}: {} [{}]", f.thing.replace(&path, ""), f.problem, f.remedy.replace(&path, "")))
        .collect();
    found.sort();
    found
}

async fn gc(store: &Store) {
    store.engine.gc(GcSpec::all()).await.unwrap();
}

#[tokio::test]
async fn a_store_in_use_is_clean_and_counted() {
    let Some(store) = Store::open().await else { return };
    let (lives, ended) = (store.sandbox().await.id, store.sandbox().await.id);
    store.engine.create_volume(VolumeSpec::default()).await.unwrap();
    store.sh(&lives, "echo kept > /f").await.ok();
    let image = store.engine.snapshot(&lives, SnapshotSpec::default()).await.unwrap();
    store.engine.terminate(&ended).await.unwrap();
    let report = store.engine.check().await.unwrap();
    let StoreReport { sandboxes, living, images, volumes, bytes, .. } = report.clone();
    assert_eq!((sandboxes, living, images, volumes, report.findings), (2, 1, 2, 1, vec![]));
    assert!(bytes > 4096, "{bytes}");
    store.engine.remove_image(image.id.as_str()).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn what_a_crash_leaves_of_files_is_found_and_gc_removes_it() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    store.engine.remove(&id).await.unwrap();
    for folder in ["trash/half", "layers/.tmp-0", "layers/snap-0", "sandboxes/sb-0/upper"] {
        fs::create_dir_all(store.path().join(folder)).unwrap();
    }
    let gc_mends = "[run `lattice gc`]";
    let expected = [
        format!("layers/.tmp-0: this layer was not finished {gc_mends}"),
        format!("layers/snap-0: no image has this layer {gc_mends}"),
        format!("sandboxes/sb-0: no sandbox has this folder {gc_mends}"),
        format!("trash/half: its removal was begun and is not over {gc_mends}"),
    ];
    assert_eq!(found(&store).await, expected);
    assert_eq!(found(&store).await, expected, "the check changed something");
    gc(&store).await;
    assert_eq!(found(&store).await, Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn what_somebody_works_on_is_no_finding() {
    let Some(store) = Store::open().await else { return };
    let half = store.path().join("trash/half");
    fs::create_dir(&half).unwrap();
    let lock = fs::File::open(&half).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(found(&store).await, Vec::<String>::new());
    drop(lock);
    assert_eq!(found(&store).await.len(), 1);
    gc(&store).await;
    store.close().await;
}

#[tokio::test]
async fn what_is_missing_of_images_volumes_and_sandboxes_is_found() {
    let Some(store) = Store::open().await else { return };
    let (ended, made) = (store.sandbox().await.id, store.sandbox().await.id);
    store.sh(&made, "echo kept > /f").await.ok();
    store.sh(&ended, "echo output").await.ok();
    let image = store.engine.snapshot(&made, SnapshotSpec::default()).await.unwrap();
    store.engine.terminate(&ended).await.unwrap();
    let layers = store.path().join("layers");
    let layer = names(&layers).into_iter().find(|name| name.starts_with("snap")).unwrap();
    fs::rename(layers.join(&layer), store.path().join("away")).unwrap();
    fs::remove_dir_all(store.path().join("sandboxes").join(ended.as_str())).unwrap();
    fs::create_dir(store.path().join("volumes/vo-0")).unwrap();
    let id = &image.id;
    let expected = [
        format!(
            "image {id}: its layer {layer} is missing [run `lattice images rm {id}`, and pull, import or make it anew]"
        ),
        format!("sandbox {ended}: its folder is gone [run `lattice gc`]"),
        "volumes/vo-0: no volume has this folder [save what is needed of it, then remove it by hand]"
            .to_owned(),
    ];
    assert_eq!(found(&store).await, expected);
    store.engine.gc(GcSpec::default()).await.unwrap();
    assert_eq!(found(&store).await.len(), 2, "gc did not note that the folder is gone");
    store.engine.remove_image(id.as_str()).await.unwrap();
    fs::remove_dir(store.path().join("volumes/vo-0")).unwrap();
    assert_eq!(found(&store).await, Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_group_and_a_process_of_no_sandbox_are_found() {
    let Some(store) = Store::open().await else { return };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hierarchy = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
    let top = std::path::Path::new(hierarchy.split(' ').nth(4).unwrap()).join("openlattice");
    let group = top.join(store.engine.store_id()).join("sb-0");
    fs::create_dir_all(&group).unwrap();
    let name =
        format!("control group openlattice/{}/sb-0: no living sandbox has it", store.engine.store_id());
    assert_eq!(found(&store).await, [format!("{name} [remove it with `rmdir` in every hierarchy]")]);
    let mut sleeper = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = sleeper.id().to_string();
    fs::write(group.join("cgroup.procs"), &pid).unwrap();
    let with_process = found(&store).await;
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    fs::remove_dir(&group).unwrap();
    let expected = format!(
        "{name}, and there are processes in it: {pid} [end them (`kill -9 {pid}`), then remove it with `rmdir`]"
    );
    assert_eq!(with_process, [expected]);
    // As the last sandbox does.
    drop(fs::remove_dir(group.parent().unwrap()));
    store.close().await;
}

#[tokio::test]
async fn sandboxes_whose_process_or_owner_is_gone_are_found() {
    let Some(store) = Store::open().await else { return };
    let lost = store.sandbox().await.id;
    let agent = crate::support::agent_pid(store.engine.store_id(), &lost);
    rustix::process::kill_process(agent, rustix::process::Signal::KILL).unwrap();
    let expected =
        format!("sandbox {lost}: it runs no more, and nobody has recorded its end [run `lattice gc`]");
    // A look at it would record its end: the check only tells. The kernel takes its processes apart meanwhile.
    while found(&store).await != [expected.clone()] {
        tokio::task::yield_now().await;
    }
    assert_eq!(found(&store).await, [expected]);
    let mut spec = SandboxSpec::default();
    spec.owner = Owner::ThisProcess;
    let owned = store.engine.create(spec).await.unwrap().id;
    store.engine.gc(GcSpec::default()).await.unwrap();
    assert_eq!(found(&store).await, Vec::<String>::new());
    make_ownerless(&store, owned.as_str());
    let expected = format!("sandbox {owned}: the process that it belongs to is gone [run `lattice gc`]");
    assert_eq!(found(&store).await, [expected]);
    gc(&store).await;
    assert_eq!(found(&store).await, Vec::<String>::new());
    let left = store.engine.sandboxes(&SandboxFilter::default()).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    store.close().await;
}

/// Rewrites the owner as a process of an earlier boot.
fn make_ownerless(store: &Store, id: &str) {
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], timeout=20)\n\
        db.execute(\"UPDATE sandboxes SET owner = 'x' || owner WHERE id = ?\", (sys.argv[2],))\n\
        db.commit()";
    let database = store.path().join("store.db");
    let status =
        std::process::Command::new("python3").args(["-c", script]).arg(database).arg(id).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_damaged_database_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("s");
    let engine = Engine::open(openlattice_engine::EngineConfig::new(&store)).await.unwrap();
    engine.create_volume(VolumeSpec::default()).await.ok();
    assert_eq!(engine.check().await.unwrap().findings, []);
    drop(engine);
    // The root of an index that nothing reads before the check.
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1], timeout=20)\n\
        db.execute('PRAGMA wal_checkpoint(TRUNCATE)')\n\
        size = db.execute('PRAGMA page_size').fetchone()[0]\n\
        root = db.execute(\"SELECT rootpage FROM sqlite_schema WHERE name = 'snapshot_keys'\").fetchone()[0]\n\
        db.close()\n\
        with open(sys.argv[1], 'r+b') as file:\n\
        \x20file.seek((root - 1) * size)\n\
        \x20file.write(b'x' * size)";
    let database = store.join("store.db");
    let status = std::process::Command::new("python3").args(["-c", script]).arg(database).status().unwrap();
    assert!(status.success());
    let engine = Engine::open(openlattice_engine::EngineConfig::new(&store)).await.unwrap();
    let report = engine.check().await.unwrap();
    let first = report.findings.first().unwrap();
    assert!(first.thing.ends_with("/store.db") && first.problem.contains("damaged"), "{first:?}");
}
