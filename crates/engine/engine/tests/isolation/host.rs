//! What tells about the host, or changes it.

use crate::Target;

#[tokio::test]
async fn files_that_tell_about_the_host_are_covered() {
    let Some(target) = Target::new().await else { return };
    for path in [
        "/proc/kcore",
        "/proc/keys",
        "/proc/timer_list",
        "/proc/sched_debug",
        "/proc/latency_stats",
        "/proc/interrupts",
    ] {
        let done = target.sh(&format!("cat {path} 2>/dev/null | head -c 100")).await;
        assert_eq!(done.stdout, "", "{path}");
    }
    for path in
        ["/proc/acpi", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap", "/sys/fs/cgroup"]
    {
        assert_eq!(target.sh(&format!("ls -A {path} 2>/dev/null")).await.stdout, "", "{path}");
        assert_ne!(
            target.sh(&format!("touch {path}/x 2>/dev/null")).await.end(),
            openlattice_engine::ExecEnd::Exited(0),
            "{path}"
        );
    }
    target.close().await;
}

#[tokio::test]
async fn settings_of_the_kernel_cannot_be_written() {
    let Some(target) = Target::new().await else { return };
    for path in [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/kernel/hostname",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sys/vm/drop_caches",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/bus/pci/devices",
        "/proc/fs/x",
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
        "/sys/block/x",
    ] {
        let done = target.sh(&format!("echo 1 2>/dev/null >{path} && echo written")).await;
        assert!(!done.stdout.contains("written"), "{path}");
    }
    target.close().await;
}

#[tokio::test]
async fn only_harmless_devices_exist() {
    let Some(target) = Target::new().await else { return };
    let devices = target.sh("find /dev -type c -o -type b | grep -v /dev/pts/ | sort | tr '\\n' ' '").await;
    assert_eq!(devices.ok(), "/dev/full /dev/null /dev/random /dev/tty /dev/urandom /dev/zero ");
    let made = target.sh("mknod /tmp/disk b 254 0; mknod /dev/kvm c 10 232; mknod /tmp/null c 1 3; ls /tmp/disk /dev/kvm /tmp/null").await;
    assert_eq!(made.stdout, "");
    // Every node works for everybody, whatever the umask of the engine's process.
    assert_eq!(
        target
            .sh_as(1000, "echo x >/dev/null && head -c 2 /dev/zero | wc -c && head -c 3 /dev/urandom | wc -c")
            .await
            .ok(),
        "2\n3\n"
    );
    target.close().await;
}

#[tokio::test]
async fn processes_of_the_host_are_out_of_sight() {
    let Some(target) = Target::new().await else { return };
    let host = std::process::id();
    let seen = target.sh("seen=$(cat /proc/[0-9]*/comm); echo $seen").await;
    assert!(
        seen.ok().split_whitespace().all(|name| ["lattice-agent", "sh", "cat"].contains(&name)),
        "{seen:?}"
    );
    assert!(!target.sh(&format!("kill -0 {host}")).await.stderr.is_empty());
    target.sh("trap '' TERM; kill -TERM -1; kill -KILL 1; kill -STOP 1; kill -SEGV 1; exit 0").await;
    let tree = target.sh("cat /proc/self/cgroup /proc/1/cgroup /proc/self/mountinfo").await;
    let dir = target.store.path();
    assert!(
        !tree.stdout.contains("openlattice/") && !tree.stdout.contains(dir.to_str().unwrap()),
        "{tree:?}"
    );
    target.close().await;
}

#[tokio::test]
async fn owners_and_files_of_the_host_stay_as_they_are() {
    let Some(target) = Target::new().await else { return };
    let before = std::fs::metadata("/usr/bin/env").unwrap();
    target.sh("echo evil >/usr/bin/env; rm /usr/bin/id; chown 1000 /usr/bin/cat; echo x >/usr/new; echo x >/etc/new; echo x >/new").await;
    let after = std::fs::metadata("/usr/bin/env").unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata("/usr/bin/cat").unwrap().uid(), 0);
    assert!(["/usr/new", "/etc/new", "/new"].iter().all(|path| !std::path::Path::new(path).exists()));
    assert!(std::path::Path::new("/usr/bin/id").exists());
    // Files that root inside makes are the store's range on the host, also setuid ones.
    target.sh("cp /usr/bin/cat /suid && chmod 4755 /suid").await.ok();
    let upper = target.store.path().join("sandboxes").join(target.id().as_str()).join("upper/suid");
    assert_eq!(std::fs::metadata(upper).unwrap().uid(), 1_000_000);
    assert_eq!(target.sh("cat /etc/shadow /etc/gshadow 2>/dev/null").await.stdout.matches('$').count(), 0);
    target.close().await;
}
