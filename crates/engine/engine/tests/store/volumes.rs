//! Volumes in sandboxes.

use crate::support::{Store, names};
use openlattice_engine::{
    ErrorKind, FileAttributes, FileKind, GcSpec, SandboxFilter, SandboxInfo, SandboxSpec, SnapshotSpec,
    VolumeId, VolumeInfo, VolumeMount, VolumeSpec,
};
use std::os::unix::fs::MetadataExt;

async fn volume(store: &Store, name: &str) -> VolumeInfo {
    let mut spec = VolumeSpec::default();
    spec.name = Some(name.to_owned());
    store.engine.create_volume(spec).await.unwrap()
}

fn mount(volume: &VolumeInfo, path: &str) -> VolumeMount {
    VolumeMount { volume: volume.id.clone(), path: path.to_owned(), read_only: false, sub_path: None }
}

fn with(mounts: &[VolumeMount]) -> SandboxSpec {
    let mut spec = SandboxSpec::default();
    spec.volumes = mounts.to_vec();
    spec
}

async fn sandbox(store: &Store, mounts: &[VolumeMount]) -> SandboxInfo {
    store.engine.create(with(mounts)).await.unwrap()
}

#[tokio::test]
async fn two_sandboxes_see_each_others_writes() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "shared").await;
    let one = sandbox(&store, &[mount(&volume, "/mnt/deep/data")]).await;
    let other = sandbox(&store, &[mount(&volume, "/usr/local/data")]).await;
    store
        .sh(&one.id, "cd /mnt/deep/data; echo said > file; chown 7:8 file; mkdir d; stat -c %u:%g .")
        .await
        .ok();
    let seen = store.sh(&other.id, "cd /usr/local/data; cat file; stat -c %u:%g file . ; rmdir d").await;
    assert_eq!(seen.ok(), "said\n7:8\n0:0\n");
    assert_eq!(store.sh(&one.id, "ls /mnt/deep/data").await.ok(), "file\n");
    assert_eq!(store.engine.sandbox(&one.id).await.unwrap().volumes, [mount(&volume, "/mnt/deep/data")]);
    store.close().await;
}

#[tokio::test]
async fn a_volume_outlives_its_sandboxes_and_the_front() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "kept").await;
    let first = sandbox(&store, &[mount(&volume, "/data")]).await;
    store.sh(&first.id, "echo kept > /data/file").await.ok();
    store.engine.remove(&first.id).await.unwrap();
    let front = store.again().await;
    front.gc(GcSpec::default()).await.unwrap();
    let found = front.volume_by_name("", "kept").await.unwrap();
    let second = sandbox(&store, &[mount(&found, "/data")]).await;
    assert_eq!(store.sh(&second.id, "cat /data/file").await.ok(), "kept\n");
    store.close().await;
}

#[tokio::test]
async fn a_read_only_volume_refuses_writes() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let writer = sandbox(&store, &[mount(&volume, "/data")]).await;
    store.sh(&writer.id, "echo 1 > /data/file").await.ok();
    let reader = sandbox(&store, &[VolumeMount { read_only: true, ..mount(&volume, "/data") }]).await;
    let tried = store
        .sh(&reader.id, "cat /data/file; echo 2 > /data/file; rm /data/file; touch /data/x; chmod 0 /data")
        .await;
    assert_eq!((tried.stdout.as_str(), tried.stderr.matches("Read-only").count()), ("1\n", 4), "{tried:?}");
    assert_eq!(store.sh(&writer.id, "cat /data/file; ls /data").await.ok(), "1\nfile\n");
    let files = store.engine.files(&reader.id);
    assert_eq!(files.read("/data/file").await.unwrap(), "1\n");
    let refused = files.write("/data/y", "2".into(), FileAttributes::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn a_folder_of_a_volume_can_appear_instead_of_the_whole() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let part = VolumeMount { sub_path: Some("/users/one".to_owned()), ..mount(&volume, "/home") };
    let (whole, part) = (sandbox(&store, &[mount(&volume, "/all")]).await, sandbox(&store, &[part]).await);
    store.sh(&part.id, "echo mine > /home/file; ls -a /home/.. | grep -c users").await;
    let seen =
        store.sh(&whole.id, "cat /all/users/one/file; stat -c '%u %a' /all/users /all/users/one").await;
    assert_eq!(seen.ok(), "mine\n0 755\n0 755\n");
    store.close().await;
}

#[tokio::test]
async fn the_file_tools_see_volumes_as_processes_do() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let info = sandbox(&store, &[mount(&volume, "/data")]).await;
    let files = store.engine.files(&info.id);
    files.write("/data/a/b/file", "from outside".into(), FileAttributes::default()).await.unwrap();
    assert_eq!(
        store.sh(&info.id, "cd /data/a/b; cat file; stat -c %u:%g:%a file .").await.ok(),
        "from outside0:0:644\n0:0:755\n"
    );
    store.sh(&info.id, "mv /data/a /data/c; ln -s /etc/hostname /data/link; mkfifo /data/fifo").await.ok();
    assert_eq!(files.read("/data/c/b/file").await.unwrap(), "from outside");
    let kinds: Vec<_> = files.list("/data").await.unwrap().into_iter().map(|f| (f.name, f.kind)).collect();
    let expected = [("c", FileKind::Directory), ("fifo", FileKind::Other), ("link", FileKind::Symlink)];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.into(), kind)));
    assert_eq!(files.read("/data/fifo").await.unwrap_err().kind(), ErrorKind::Unsupported);
    files.remove("/data/c", true).await.unwrap();
    assert_eq!(store.sh(&info.id, "ls /data").await.ok(), "fifo\nlink\n");
    store.close().await;
}

#[tokio::test]
async fn a_snapshot_has_nothing_of_a_volume() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let info = sandbox(&store, &[mount(&volume, "/data")]).await;
    store.sh(&info.id, "echo 1 > /data/in; echo 2 > /srv/out").await.ok();
    let image = store.engine.snapshot(&info.id, SnapshotSpec::default()).await.unwrap();
    let mut spec = SandboxSpec::default();
    spec.image = image.id.to_string();
    let plain = store.engine.create(spec.clone()).await.unwrap();
    assert_eq!(store.sh(&plain.id, "ls -A /data; cat /srv/out").await.ok(), "2\n");
    spec.volumes = vec![mount(&volume, "/data")];
    let again = store.engine.create(spec).await.unwrap();
    assert_eq!(store.sh(&again.id, "cat /data/in").await.ok(), "1\n");
    store.close().await;
}

#[tokio::test]
async fn a_volume_in_use_stays_and_a_free_one_goes_whole() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let info = sandbox(&store, &[mount(&volume, "/data")]).await;
    store.sh(&info.id, "mkdir -p /data/a/b; echo 1 > /data/a/b/c; chmod 0 /data/a").await.ok();
    let refused = store.engine.remove_volume(&volume.id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FailedPrecondition);
    assert!(refused.to_string().contains(info.id.as_str()), "{refused}");
    // One whose agent was killed has nothing any more, whoever has noticed.
    let pid = crate::support::agent_pid(store.engine.store_id(), &info.id);
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    store.engine.wait(&info.id, None).await.unwrap();
    store.engine.remove_volume(&volume.id).await.unwrap();
    assert_eq!(store.engine.remove_volume(&volume.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(names(&store.path().join("volumes")), Vec::<String>::new());
    store.close().await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_have_its_volume_leaves_nothing() {
    let Some(store) = Store::open().await else { return };
    let known = volume(&store, "v").await;
    let unknown = VolumeMount { volume: VolumeId::parse("vo-unknown").unwrap(), ..mount(&known, "/data") };
    let error = store.engine.create(with(&[unknown])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().contains("vo-unknown")),
        (ErrorKind::NotFound, true),
        "{error}"
    );
    for (path, other) in [("/proc/x", None), ("/", None), ("/data", Some("/data/x")), ("data", None)] {
        let mounts: Vec<_> =
            [Some(path), other].into_iter().flatten().map(|path| mount(&known, path)).collect();
        let error = store.engine.create(with(&mounts)).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains(path)),
            (ErrorKind::InvalidArgument, true),
            "{error}"
        );
    }
    for path in ["/etc/passwd", "/bin/x", "/etc/group/x"] {
        let error = store.engine.create(with(&[mount(&known, path)])).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().contains(path)),
            (ErrorKind::InvalidArgument, true),
            "{error}"
        );
    }
    let all = SandboxFilter { include_ended: true, ..SandboxFilter::default() };
    assert!(store.engine.sandboxes(&all).await.unwrap().is_empty());
    store.close().await;
}

#[tokio::test]
async fn the_host_sees_only_ids_of_the_range_behind_a_private_folder() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store, "v").await;
    let info = sandbox(&store, &[mount(&volume, "/data")]).await;
    store.sh(&info.id, "cp /bin/true /data/suid; chmod 6755 /data/suid; chown 65534 /data/suid").await.ok();
    let path = store.path().join("volumes").join(volume.id.as_str());
    let (folder, file) = (std::fs::metadata(&path).unwrap(), std::fs::metadata(path.join("suid")).unwrap());
    for id in [folder.uid(), folder.gid(), file.uid(), file.gid()] {
        assert!((1_000_000..1_065_536).contains(&id), "{id}");
    }
    assert_eq!(std::fs::metadata(store.path()).unwrap().mode() & 0o777, 0o700);
    store.close().await;
}
