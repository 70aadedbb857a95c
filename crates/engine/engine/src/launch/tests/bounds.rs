//! Limits, many commands, and the end of a sandbox.

use super::*;

#[tokio::test]
async fn the_end_has_one_recorded_reason() {
    if !is_root() {
        return;
    }
    let main = |script: &str| ExecBody { main: true, ..shell(script) };
    let sandbox = Sandbox::launch(|_| {});
    let other = sandbox.start(shell("sleep 600"), false).await.unwrap();
    sandbox.start(main("exit 42"), false).await.unwrap();
    assert_eq!(sandbox.wait(), (reason::EXITED, 42));
    let status = sandbox.status(&other);
    assert_eq!(
        (status.state, status.code),
        (exec_state::SIGNALED, 9),
        "a command that the end killed has no end"
    );
    drop(sandbox);
    let sandbox = Sandbox::launch(|_| {});
    sandbox.start(main("kill -SEGV $$"), false).await.unwrap();
    assert_eq!(sandbox.wait(), (reason::SIGNALED, 11));
    drop(sandbox);
    let sandbox = Sandbox::launch(|plan| plan.lifetime = Duration::from_millis(200));
    sandbox.start(shell("trap '' TERM INT HUP; sleep 600"), false).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::TIMEOUT);
    drop(sandbox);
    let sandbox = Sandbox::launch(|plan| plan.idle = Some(Duration::from_millis(150)));
    let id = sandbox.start(shell("sleep 0.4; echo done"), false).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::IDLE);
    assert_eq!(sandbox.read(&id, "stdout"), b"done\n", "a running command did not count as work");
    drop(sandbox);
    let sandbox = Sandbox::launch(|_| {});
    sandbox.agent().await.terminate(reason::TERMINATED).await.unwrap();
    assert_eq!(sandbox.wait().0, reason::TERMINATED);
}

#[tokio::test]
async fn the_memory_limit_kills_and_says_so() {
    with_sandbox(
        |plan| plan.limits.memory_bytes = Some(64 << 20),
        async |sandbox| {
            let hog = "head -c 200000000 /dev/zero | tail -c 150000000 >/dev/null";
            let (status, _) = sandbox.run(&format!("{hog}; exit 5")).await;
            assert_eq!((status.code, status.flags), (5, 0), "a shell that went on was called killed");
            let (status, _) = sandbox.run(hog).await;
            assert_eq!((status.code, status.flags), (137, crate::protocol::flag::OOM));
            let (status, _) = sandbox.run("kill -9 $$").await;
            assert_eq!((status.code, status.flags), (9, 0));
            let hog = "x=$(head -c 150000000 /dev/zero | tr '\\0' a)";
            sandbox.start(ExecBody { main: true, ..shell(hog) }, false).await.unwrap();
            assert_eq!(sandbox.wait().0, reason::OOM);
        },
    )
    .await;
}

#[tokio::test]
async fn a_fork_bomb_stays_inside() {
    with_sandbox(
        |plan| plan.limits.pids = Some(60),
        async |sandbox| {
            let mut body = shell("f() { f | f & }; f; sleep 600");
            body.timeout = Some(Duration::from_millis(700));
            let id = sandbox.start(body, false).await.unwrap();
            sandbox.end(&id);
            loop {
                // Its own end is proof of room for a fork.
                let (status, text) = sandbox.run("echo a | cat").await;
                if status.code == 0 && text == "a\n" {
                    break;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn many_commands_run_at_once_and_orphans_are_reaped() {
    with_sandbox(
        |plan| plan.limits.pids = Some(4096),
        async |sandbox| {
            let mut ids = Vec::new();
            for n in 0..200 {
                ids.push(
                    sandbox.start(shell(&format!("read x; echo {n}; (true &); exit 0")), true).await.unwrap(),
                );
            }
            let agent = sandbox.agent().await;
            assert_eq!(agent.running().await.unwrap(), 200);
            for id in &ids {
                agent.stdin(id, 0, true).await.unwrap();
            }
            for (n, id) in ids.iter().enumerate() {
                assert_eq!(sandbox.end(id).code, 0);
                assert_eq!(sandbox.read(id, "stdout"), format!("{n}\n").as_bytes());
            }
            loop {
                let (_, text) = sandbox.run("cat /proc/[0-9]*/stat | cut -d' ' -f3").await;
                if !text.contains('Z') {
                    break;
                }
            }
            assert_eq!(agent.running().await.unwrap(), 0);
            while !groups(sandbox).is_empty() {
                sandbox.run("true").await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn one_command_too_many_is_refused() {
    with_sandbox(
        |plan| plan.limits.pids = Some(4096),
        async |sandbox| {
            for _ in 0..crate::protocol::MAX_EXECS {
                sandbox.start(command(&["sleep", "600"]), false).await.unwrap();
            }
            assert!(sandbox.start(command(&["true"]), false).await.unwrap_err().is(Errno::AGAIN));
            let agent = sandbox.agent().await;
            agent.signal("exec-7", 9, true).await.unwrap();
            sandbox.end("exec-7");
            let (status, text) = sandbox.run("echo again").await;
            assert_eq!((status.code, text.as_str()), (0, "again\n"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_frozen_sandbox_still_ends() {
    if unified().is_none() {
        println!("skipped: a freeze needs cgroup v2");
        return;
    }
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox.start(command(&["sleep", "600"]), false).await.unwrap();
            crate::cgroup::freeze(&sandbox.store, "sandbox").unwrap();
            let agent = sandbox.agent().await;
            assert_eq!(agent.running().await.unwrap(), 1, "the agent was frozen with its commands");
            agent.terminate(reason::TERMINATED).await.unwrap();
            assert_eq!(sandbox.wait().0, reason::TERMINATED);
            assert_eq!(sandbox.status(&id).state, exec_state::SIGNALED);
        },
    )
    .await;
}
