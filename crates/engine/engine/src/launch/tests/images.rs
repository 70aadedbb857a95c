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

#[tokio::test]
async fn a_launch_that_fails_midway_leaves_nothing() {
    if !is_root() {
        return;
    }
    // Before and after the first process exists, and when the image has nowhere to mount.
    let changes: [fn(&mut LaunchPlan); 3] = [
        |plan| plan.root_layers.push(plan.dir.join("missing")),
        |plan| plan.usr_layers = Some(vec![plan.dir.join("missing")]),
        |plan| fs::write(plan.dir.join("upper/proc"), "").unwrap(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let (dir, store) = (tempfile::tempdir().unwrap(), format!("t{}f{n}", std::process::id()));
        let mut plan = plan(dir.path(), &store);
        change(&mut plan);
        assert!(launch(plan).is_err(), "{n}");
        let groups = format!("/openlattice/{store}/");
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let found = fs::read_to_string(process.path().join("cgroup")).unwrap_or_default();
            // One that is dead already waits for the machine's init only.
            let dead = fs::read_to_string(process.path().join("status"))
                .is_ok_and(|text| text.contains("State:\tZ"));
            assert!(dead || !found.contains(&groups), "{n}: {:?} lives", process.path());
        }
        assert!(unified().is_none_or(|root| !root.join("openlattice").join(&store).exists()), "{n}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(dir.path().to_str().unwrap()), "{n}");
    }
}
