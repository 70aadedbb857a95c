use super::*;

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

fn limits() -> Limits {
    Limits { memory_bytes: Some(1 << 26), milli_cpus: Some(1500), pids: Some(100) }
}

#[test]
fn hierarchies_are_found_in_the_mount_table() {
    let found = Hierarchies::parse(HYBRID);
    assert_eq!(found.v1(Controller::Cpu), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
    assert_eq!(found.v1(Controller::Memory), Some(Path::new("/sys/fs/cgroup/memory")));
    assert_eq!(found.v1(Controller::Pids), None);
    assert_eq!(found.unified.as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
}

#[test]
fn limits_of_v1_are_the_kernels_files() {
    assert_eq!(limits::v1(Controller::Cpu, &limits()), [("cpu.cfs_quota_us", "150000".to_owned())]);
    let memory = limits::v1(Controller::Memory, &limits());
    assert_eq!(
        memory.iter().map(|(file, _)| *file).collect::<Vec<_>>(),
        ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
    );
    assert_eq!(limits::v1(Controller::Pids, &Limits::default()), []);
}

#[test]
fn what_v1_does_not_have_goes_to_v2_or_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mounts = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
    assert_eq!(
        limits::unified(&Hierarchies::parse(&mounts), &limits()).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    fs::write(root.path().join("cgroup.controllers"), "cpuset cpu memory pids\n").unwrap();
    let files: Vec<(&str, String)> = limits::unified(&Hierarchies::parse(&mounts), &limits())
        .unwrap()
        .into_iter()
        .map(|(_, file, value)| (file, value))
        .collect();
    let expected = [
        ("cpu.max", "150000 100000"),
        ("memory.max", "67108864"),
        ("memory.swap.max", "0"),
        ("pids.max", "100"),
    ];
    assert_eq!(files, expected.map(|(file, value)| (file, value.to_owned())));
}

#[test]
fn a_pure_v2_host_gets_controllers_delegated_at_every_level() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: giving groups to the agent's id needs root");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    let mounts = format!("41 31 0:38 / {} rw - cgroup2 cgroup2 rw\n", root.path().display());
    let group = root.path().join(TOP).join("store/sandbox");
    // A real hierarchy makes these files with the directories.
    fs::create_dir_all(group.join("work")).unwrap();
    for file in ["cgroup.procs", "work/cgroup.procs", "work/memory.events"] {
        fs::write(group.join(file), "").unwrap();
    }
    let groups = Groups::create_in(Hierarchies::parse(&mounts), "store", "sandbox", &limits()).unwrap();
    for level in [root.path(), &root.path().join(TOP), &root.path().join(TOP).join("store"), &group] {
        assert_eq!(
            fs::read_to_string(level.join("cgroup.subtree_control")).unwrap(),
            "+cpu +memory +pids",
            "{}",
            level.display()
        );
    }
    assert_eq!(fs::read_to_string(group.join("work/memory.max")).unwrap(), "67108864");
    assert!(groups.oom_events().is_some() && groups.tasks().next().is_none());
    groups.keep();
}

#[test]
fn a_failed_launch_leaves_no_group() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: control groups need root");
        return;
    }
    let store = format!("t{}", std::process::id());
    let groups = Groups::create(&store, "sandbox", &limits()).unwrap();
    let places: Vec<PathBuf> =
        groups.place.hierarchies.roots().iter().map(|root| root.join(&groups.place.group)).collect();
    assert!(places.iter().all(|place| place.exists()));
    freeze(&store, "sandbox").unwrap();
    thaw(&store, "sandbox").unwrap();
    drop(groups);
    assert!(places.iter().all(|place| !place.parent().unwrap().exists()));
    assert!(remove(&store, "sandbox", Duration::ZERO).unwrap());
    thaw(&store, "sandbox").unwrap();
}
