//! Attacks through volumes, which several sandboxes share.

use crate::{Target, support::Store};
use openlattice_engine::{ErrorKind, SandboxSpec, SnapshotSpec, VolumeInfo, VolumeMount, VolumeSpec};

async fn volume(store: &Store) -> VolumeInfo {
    store.engine.create_volume(VolumeSpec::default()).await.unwrap()
}

fn spec(volume: &VolumeInfo, path: &str, sub_path: Option<&str>) -> SandboxSpec {
    let mut spec = SandboxSpec::default();
    let sub_path = sub_path.map(str::to_owned);
    spec.volumes =
        vec![VolumeMount { volume: volume.id.clone(), path: path.to_owned(), read_only: false, sub_path }];
    spec
}

/// A sandbox with a volume at `/data`, and the volume.
async fn target() -> Option<(Target, VolumeInfo)> {
    let store = Store::open().await?;
    let volume = volume(&store).await;
    let info = store.engine.create(spec(&volume, "/data", None)).await.unwrap();
    Some((Target { store, info }, volume))
}

#[tokio::test]
async fn a_link_in_the_image_does_not_move_a_volume() {
    let Some(target) = Target::new().await else { return };
    target.sh("ln -s /etc /data; mkdir /srv/real; ln -s /srv/real /srv/link; ln -s ../../../../../../etc /srv/up").await.ok();
    let image = target.store.engine.snapshot(target.id(), SnapshotSpec::default()).await.unwrap();
    let volume = volume(&target.store).await;
    for path in ["/data", "/data/x", "/srv/link", "/srv/link/x", "/srv/up/x"] {
        let mut spec = spec(&volume, path, None);
        spec.image = image.id.to_string();
        let error = target.store.engine.create(spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{path}: {error:?}");
        assert!(error.to_string().contains(path), "{error}");
    }
    assert!(!std::path::Path::new("/etc/x").exists());
    target.close().await;
}

#[tokio::test]
async fn links_in_a_volume_lead_nowhere_outside() {
    let Some((target, volume)) = target().await else { return };
    let secret = target.store.path().join("id");
    let secret = secret.to_str().unwrap();
    let script = format!(
        "cd /data; ln -s {secret} id; ln -s / root; ln -s ../../../../../../../.. up; ln -s /proc/1/root proc"
    );
    target.sh(&script).await.ok();
    let files = target.store.engine.files(target.id());
    let id = target.store.engine.store_id();
    for path in [
        "/data/id".to_owned(),
        format!("/data/root{secret}"),
        format!("/data/up{secret}"),
        format!("/data/proc{secret}"),
    ] {
        assert_ne!(
            files.read(&path).await.map_err(|error| error.kind()),
            Ok(format!("{id}\n").into()),
            "{path}"
        );
        assert_ne!(target.sh(&format!("cat {path}")).await.stdout.trim(), id, "{path}");
    }
    // A folder of the volume that is a link is no folder of it.
    for folder in ["root", "up", "up/etc", "id", "proc"] {
        let error = target.store.engine.create(spec(&volume, "/data", Some(folder))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{folder}: {error:?}");
    }
    target.close().await;
}

#[tokio::test]
async fn set_id_bits_and_devices_in_a_volume_have_no_effect() {
    let Some((target, volume)) = target().await else { return };
    target
        .sh("cd /data; cp /usr/bin/id /usr/bin/cat .; chmod 4755 id cat; touch secret; chmod 600 secret")
        .await
        .ok();
    assert!(!target.sh_as(1000, "/data/id").await.ok().contains("euid"));
    assert_ne!(target.sh_as(1000, "/data/cat /data/secret").await.stderr, "");
    assert_ne!(target.sh("mknod /data/mem c 1 1; mknod /data/disk b 8 0").await.stderr, "");
    // Even one that the host's root has put there.
    let path = target.store.path().join("volumes").join(volume.id.as_str()).join("zero");
    let (mode, device) = (rustix::fs::Mode::from_raw_mode(0o666), rustix::fs::makedev(1, 5));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::CharacterDevice, mode, device).unwrap();
    let tried = target.sh("head -c 1 /data/zero | wc -c").await;
    assert_eq!((tried.stdout.trim(), tried.stderr.contains("denied")), ("0", true), "{tried:?}");
    let tool = target.store.engine.files(target.id()).read("/data/zero").await.unwrap_err();
    assert_eq!(tool.kind(), ErrorKind::Unsupported);
    assert!(target.sh("grep ' /data ' /proc/self/mountinfo").await.ok().contains("nosuid,nodev"));
    target.close().await;
}

#[tokio::test]
async fn hard_links_do_not_cross_the_edge_of_a_volume() {
    let Some((target, volume)) = target().await else { return };
    let other = target.store.engine.create(spec(&volume, "/data", Some("part"))).await.unwrap();
    target.sh("echo 1 > /srv/file; echo 2 > /data/file; echo 3 > /data/part/file").await.ok();
    for (from, to) in
        [("/srv/file", "/data/link"), ("/data/file", "/srv/link"), ("/etc/passwd", "/data/link")]
    {
        let tried = target.sh(&format!("ln {from} {to}")).await;
        assert!(tried.stderr.contains("cross-device") || tried.stderr.contains("Invalid"), "{tried:?}");
    }
    assert_ne!(target.store.sh(&other.id, "ln /data/file /data/../file").await.stderr, "");
    target.close().await;
}

#[tokio::test]
async fn a_folder_that_is_moved_away_does_not_open_the_rest() {
    let Some((target, volume)) = target().await else { return };
    let part = target.store.engine.create(spec(&volume, "/part", Some("a/b"))).await.unwrap();
    target.sh("mkdir /data/a/b/deep; echo theirs > /data/secret").await.ok();
    // The other one moves the directory in which this one stands out of the folder that this one has.
    let script = "cd /part/deep; touch ready; while [ -e /part/go ] || [ ! -e gone ]; do sleep 0.01; done; \
        cat ../secret ../../secret ../../../secret; ls ../..";
    let exec = target.store.engine.exec(&part.id, crate::command(&["sh", "-c", script])).await.unwrap();
    let ready = "while [ ! -e /data/a/b/deep/ready ]; do sleep 0.01; done";
    target.sh(&format!("{ready}; mv /data/a/b/deep /data/deep; touch /data/deep/gone")).await.ok();
    let done = crate::outcome(&target.store.engine, &part.id, &exec).await;
    assert_eq!((done.stdout.contains("theirs"), done.stdout.contains("secret")), (false, false), "{done:?}");
    target.close().await;
}

#[tokio::test]
async fn a_volume_cannot_be_unmounted_or_opened_for_writing() {
    let Some(store) = Store::open().await else { return };
    let volume = volume(&store).await;
    let mut spec = spec(&volume, "/data", None);
    spec.volumes[0].read_only = true;
    let target = Target { info: store.engine.create(spec).await.unwrap(), store };
    let tried = target
        .sh("umount /data; mount -o remount,rw,bind /data; mount -o remount,suid,dev /data; touch /data/x")
        .await;
    assert_eq!(
        target.sh("ls -A /data; grep -c ' /data ' /proc/self/mountinfo").await.ok(),
        "1\n",
        "{tried:?}"
    );
    assert!(target.sh("grep ' /data ' /proc/self/mountinfo").await.ok().contains("ro,nosuid,nodev"));
    target.must_fail("namespaces").await;
    target.close().await;
}
