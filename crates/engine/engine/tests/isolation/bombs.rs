//! Exhaustion, and resistance against the end.

use crate::{Target, command};
use openlattice_engine::{ExecEnd, Limits, OutputStream, SandboxSpec, TerminalSize};
use std::time::Duration;

fn spec(limits: Limits) -> SandboxSpec {
    let mut spec = SandboxSpec::default();
    spec.limits = limits;
    spec
}

#[tokio::test]
async fn forks_memory_and_shared_memory_are_bounded() {
    let limits = Limits { pids: Some(80), memory_bytes: Some(128 << 20), ..Limits::default() };
    let Some(target) = Target::with(spec(limits)).await else { return };
    let mut bomb = command(&["sh", "-c", "f() { f | f & }; f; sleep 600"]);
    bomb.timeout = Some(Duration::from_millis(700));
    let exec = target.store.engine.exec(target.id(), bomb).await.unwrap();
    assert!(target.store.engine.exec_wait(target.id(), &exec).await.unwrap().timed_out);
    let done = target.sh("x=$(head -c 300000000 /dev/zero | tr '\\0' a); echo survived").await;
    assert_eq!(
        (done.end(), done.stdout.as_str(), done.state.out_of_memory),
        (ExecEnd::Signaled(9), "", true)
    );
    let done = target.sh("dd if=/dev/zero of=/dev/shm/x bs=1M count=2000 2>/dev/null; stat -c %s /dev/shm/x; rm /dev/shm/x").await;
    assert!(done.ok().trim().parse::<u64>().unwrap() <= 64 << 20, "{done:?}");
    let done = target
        .sh("dd if=/dev/zero of=/dev/x bs=1M count=500 2>/dev/null; stat -c %s /dev/x; rm /dev/x")
        .await;
    assert!(done.ok().trim().parse::<u64>().unwrap() <= 1 << 20, "{done:?}");
    target.close().await;
}

#[tokio::test]
async fn processor_time_is_bounded() {
    // Two milliseconds in a hundred: less than a loop gets on the busiest machine.
    let limits = Limits { milli_cpus: Some(20), ..Limits::default() };
    let Some(target) = Target::with(spec(limits)).await else { return };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let is_cpu =
        |line: &&str| line.contains(" - cgroup ") && line.rsplit([',', ' ']).any(|option| option == "cpu");
    let Some(mount) = mounts.lines().find(is_cpu) else {
        println!("skipped in part: no cgroup v1 cpu controller to ask");
        return target.close().await;
    };
    let root = mount.split(' ').nth(4).unwrap();
    let file = format!("{root}/openlattice/{}/{}/cpu.stat", target.store.engine.store_id(), target.id());
    for _ in 0..20 {
        target.sh("timeout 0.5 sh -c 'while :; do :; done'").await;
        if !std::fs::read_to_string(&file).unwrap().contains("nr_throttled 0\n") {
            return target.close().await;
        }
    }
    panic!("never throttled: {}", std::fs::read_to_string(&file).unwrap());
}

#[tokio::test]
async fn endless_output_is_bounded_and_the_command_goes_on() {
    let Some(target) = Target::new().await else { return };
    let mut config = openlattice_engine::EngineConfig::new(target.store.path());
    config.output_quota = 1 << 20;
    let engine = openlattice_engine::Engine::open(config).await.unwrap();
    let exec =
        engine.exec(target.id(), command(&["sh", "-c", "head -c 50000000 /dev/zero; exit 9"])).await.unwrap();
    let state = engine.exec_wait(target.id(), &exec).await.unwrap();
    assert_eq!((state.end, state.stdout_dropped), (Some(ExecEnd::Exited(9)), 50_000_000 - (1 << 20)));
    assert_eq!(crate::support::text(&engine, target.id(), &exec, OutputStream::Stdout).await.len(), 1 << 20);
    target.close().await;
}

#[tokio::test]
async fn open_files_are_bounded() {
    let Some(target) = Target::new().await else { return };
    let limit: u64 = target.sh("ulimit -n").await.ok().trim().parse().unwrap();
    assert!(limit <= 65_536, "{limit}");
    assert_ne!(target.sh("ulimit -n 1000000").await.end(), ExecEnd::Exited(0));
    target.close().await;
}

#[tokio::test]
async fn nothing_outlives_the_end() {
    let Some(target) = Target::new().await else { return };
    // Deaf, stopped, in sessions of their own, orphaned, forking.
    let script = "trap '' TERM INT HUP QUIT
        setsid sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' &
        (setsid setsid sleep 600 &)
        sleep 600 & kill -STOP $!
        sh -c 'while :; do (sleep 0.01 &); done' &
        echo up; while :; do sleep 1; done";
    let exec = target.store.engine.exec(target.id(), command(&["sh", "-c", script])).await.unwrap();
    let mut output = target.store.engine.output(target.id(), &exec, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(&*output.next().await.unwrap().unwrap(), b"up\n");
    target.store.engine.terminate(target.id()).await.unwrap();
    // The leak check of the store finds processes, groups and mounts.
    target.store.close().await;
}

#[tokio::test]
async fn terminals_are_bounded() {
    let Some(target) = Target::new().await else { return };
    target.must_fail("terminals").await;
    target.close().await;
}

#[tokio::test]
async fn a_terminal_reaches_no_further_than_its_command() {
    let Some(target) = Target::new().await else { return };
    let attempts = target.attack_at_a_terminal("terminal").await;
    assert_eq!(attempts[0].1, "[24, 80, 0, 0]");
    let succeeded: Vec<_> = attempts.iter().filter(|(_, result)| result.starts_with("ok")).collect();
    assert!(succeeded.is_empty(), "{succeeded:?}");
    // It is its user's, and another one can neither listen nor type.
    let mut spec = command(&["sh", "-c", "tty; read line; echo \"<$line>\""]);
    (spec.uid, spec.stdin) = (Some(1000), true);
    spec.terminal = Some(TerminalSize { rows: 24, columns: 80 });
    let engine = &target.store.engine;
    let exec = engine.exec(target.id(), spec).await.unwrap();
    let mut output = engine.output(target.id(), &exec, OutputStream::Stdout, 0).await.unwrap();
    let mut name = String::new();
    while !name.ends_with('\n') {
        name.push_str(std::str::from_utf8(&output.next().await.unwrap().unwrap()).unwrap());
    }
    let done = target.sh_as(2000, &format!("cat <{0}; echo typed >{0}", name.trim())).await;
    assert_eq!(done.stderr.matches("ermission denied").count(), 2, "{done:?}");
    engine.write_stdin(target.id(), &exec, 0, b"mine\n", false).await.unwrap();
    assert!(crate::outcome(engine, target.id(), &exec).await.ok().ends_with("<mine>\r\n"));
    target.close().await;
}

#[tokio::test]
async fn a_terminal_that_a_background_process_floods_does_not_hold_the_end() {
    let Some(target) = Target::new().await else { return };
    // It opens the terminal anew as soon as it was hung up, and writes for ever.
    let script = "trap '' HUP; line=$(tty); (while :; do yes >$line 2>/dev/null; done) & sleep 0.05; exit 5";
    let mut spec = command(&["sh", "-c", script]);
    spec.terminal = Some(TerminalSize { rows: 24, columns: 80 });
    let exec = target.store.engine.exec(target.id(), spec).await.unwrap();
    let state = target.store.engine.exec_wait(target.id(), &exec).await.unwrap();
    assert_eq!(state.end, Some(ExecEnd::Exited(5)));
    target.close().await;
}

#[tokio::test]
async fn what_the_kernel_counts_by_user_is_not_taken_from_the_hosts_root() {
    let Some(target) = Target::new().await else { return };
    target.bring_attacker().await;
    let mut spec = command(&["/tmp/attacker", "--ignored", "--exact", "attacker::attack", "--nocapture"]);
    spec.env = vec![("ATTACK".to_owned(), "watches".to_owned())];
    spec.stdin = true;
    let engine = &target.store.engine;
    let exec = engine.exec(target.id(), spec).await.unwrap();
    let mut output = engine.output(target.id(), &exec, OutputStream::Stdout, 0).await.unwrap();
    let mut text = String::new();
    while !text.contains("watches ->") {
        text.push_str(std::str::from_utf8(&output.next().await.unwrap().unwrap()).unwrap());
    }
    for _ in 0..3 {
        rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).unwrap();
    }
    engine.write_stdin(target.id(), &exec, 0, b"", true).await.unwrap();
    assert_eq!(engine.exec_wait(target.id(), &exec).await.unwrap().end, Some(ExecEnd::Exited(0)));
    target.close().await;
}
