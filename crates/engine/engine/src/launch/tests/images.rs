//! Odd images.

use super::*;

#[tokio::test]
async fn an_image_cannot_lead_a_mount_elsewhere() {
    if !is_root() {
        return;
    }
    for (place, target) in [("proc", "/etc"), ("dev", "usr"), ("sys", "../../../../sys"), ("usr", "/tmp")] {
        let (dir, store) = (tempfile::tempdir().unwrap(), format!("t{}e{place}", std::process::id()));
        let plan = plan(dir.path(), &store);
        fs::remove_dir_all(plan.root_layers[0].join(place)).unwrap();
        std::os::unix::fs::symlink(target, plan.root_layers[0].join(place)).unwrap();
        let error = launch(plan).err().unwrap_or_else(|| panic!("mounted over {place} -> {target}"));
        let source = std::error::Error::source(&error).unwrap().downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(source.raw_os_error(), Some(Errno::LOOP.raw_os_error()), "{place}: {error:?}");
        assert!(unified().is_none_or(|root| !root.join("openlattice").join(&store).exists()));
    }
}

#[tokio::test]
async fn an_image_without_mount_points_gets_them() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::launch(|plan| {
        for place in ["proc", "sys", "dev"] {
            fs::remove_dir(plan.root_layers[0].join(place)).unwrap();
        }
    });
    assert_eq!(sandbox.run("test -e /proc/self/status -a -d /sys/kernel -a -c /dev/null").await.0.code, 0);
}
