//! Ways out by system calls.

use crate::Target;

async fn all_fail(name: &str) {
    let Some(target) = Target::new().await else { return };
    target.must_fail(name).await;
    target.close().await;
}

#[tokio::test]
async fn namespaces_and_mounts_cannot_be_made_or_changed() {
    all_fail("namespaces").await;
}

#[tokio::test]
async fn the_kernels_dangerous_calls_are_closed() {
    all_fail("kernel").await;
}

#[tokio::test]
async fn socket_families_that_reach_out_are_closed() {
    all_fail("sockets").await;
}

#[tokio::test]
async fn the_agent_and_its_limits_cannot_be_touched() {
    all_fail("processes").await;
}

#[tokio::test]
async fn even_the_agents_own_id_reaches_nothing_of_it() {
    all_fail("agent").await;
}

#[tokio::test]
async fn other_entries_into_the_kernel_are_closed() {
    all_fail("abi").await;
}

#[tokio::test]
async fn a_setuid_program_gains_nothing() {
    let Some(target) = Target::new().await else { return };
    target.sh("cp /usr/bin/id /usr/bin/cat /tmp; chmod 4755 /tmp/id /tmp/cat; touch /tmp/secret; chmod 600 /tmp/secret").await.ok();
    assert!(target.sh_as(1000, "/tmp/id").await.ok().starts_with("uid=1000 "));
    assert!(!target.sh_as(1000, "/tmp/id").await.stdout.contains("euid"));
    assert_ne!(target.sh_as(1000, "/tmp/cat /tmp/secret").await.stderr, "");
    target.close().await;
}

#[tokio::test]
async fn descriptors_and_directories_of_the_host_do_not_leak() {
    let Some(target) = Target::new().await else { return };
    // The directory that ls itself opens is 3.
    assert_eq!(target.sh("ls /proc/self/fd | tr '\\n' ' '").await.ok(), "0 1 2 3 ");
    let links = target.sh("for fd in /proc/self/fd/[0-2]; do readlink $fd; done").await;
    assert!(links.ok().lines().all(|link| link == "/dev/null" || link.starts_with("pipe:")), "{links:?}");
    for workdir in ["/proc/self/fd/3", "/proc/1/cwd", "/proc/self/fd/7/../../.."] {
        let mut spec = crate::command(&["pwd"]);
        spec.workdir = Some(workdir.to_owned());
        assert!(target.store.engine.exec(target.id(), spec).await.is_err(), "started in {workdir}");
    }
    assert_ne!(target.sh("ls /proc/1/fd/ || ls /proc/1/cwd/ || ls /proc/1/root/").await.stdout, "x");
    assert_eq!(
        target
            .sh("ls /proc/1/fd/ /proc/1/cwd/ /proc/1/root/ /proc/1/map_files/")
            .await
            .stdout
            .replace(['\n', ' '], ""),
        ""
    );
    target.close().await;
}

#[tokio::test]
async fn the_agents_program_cannot_be_overwritten() {
    let Some(target) = Target::new().await else { return };
    let done = target.sh("printf '#!/proc/self/exe\\n' >/tmp/x; chmod 755 /tmp/x; /tmp/x; echo evil >/proc/1/exe; ls -l /proc/1/exe").await;
    assert!(!done.stdout.contains("memfd"), "{done:?}");
    // A second sandbox, of the same program file, starts.
    let other = target.store.sandbox().await;
    assert_eq!(target.store.sh(&other.id, "echo intact").await.ok(), "intact\n");
    target.close().await;
}
