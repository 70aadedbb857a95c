//! Input and output.

use super::*;

#[tokio::test]
async fn input_arrives_in_order_and_ends() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id = sandbox.start(command(&["sha256sum"]), true).await.unwrap();
            let (agent, spool) =
                (sandbox.agent().await, sandbox.dir.path().join("execs").join(&id).join("stdin"));
            let data: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
            let mut written = 0;
            for part in data.chunks(1_000_000) {
                use std::os::unix::fs::FileExt;
                fs::File::options().write(true).open(&spool).unwrap().write_all_at(part, written).unwrap();
                written += part.len() as u64;
                agent.stdin(&id, written, false).await.unwrap();
            }
            agent.stdin(&id, written, true).await.unwrap();
            sandbox.end(&id);
            let copy = sandbox.dir.path().join("copy");
            fs::write(&copy, &data).unwrap();
            let host = std::process::Command::new("sha256sum").stdin(fs::File::open(&copy).unwrap()).output();
            assert_eq!(sandbox.read(&id, "stdout"), host.unwrap().stdout);
            assert!(agent.stdin(&id, written, true).await.unwrap_err().is(Errno::SRCH));
            // One that closes its input says so, and its agent does not stumble over it.
            let id = sandbox.start(shell("exec 0<&-; echo closed; sleep 600"), true).await.unwrap();
            let spool = sandbox.dir.path().join("execs").join(&id).join("stdin");
            fs::write(&spool, vec![0; 1 << 20]).unwrap();
            sandbox.output(&id);
            while agent.stdin(&id, 1 << 20, false).await.is_ok() {}
            assert!(agent.stdin_status(&id).await.unwrap().1);
            agent.signal(&id, 9, true).await.unwrap();
            assert_eq!(sandbox.end(&id).flags, crate::protocol::flag::KILLED);
        },
    )
    .await;
}

#[tokio::test]
async fn output_is_whole_bounded_by_the_quota_and_never_blocks_the_command() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let (status, text) = sandbox.run("seq 1 300000").await;
            assert_eq!((status.code, status.stdout_dropped), (0, 0));
            assert_eq!(text, (1..=300_000).map(|n| format!("{n}\n")).collect::<String>());
            let mut body = shell("seq 1 300000; echo end >&2");
            body.output_quota = 1000;
            let id = sandbox.start(body, false).await.unwrap();
            let status = sandbox.end(&id);
            assert_eq!(
                (status.code, status.stdout_len, status.stdout_dropped),
                (0, 1000, text.len() as u64 - 1000)
            );
            assert_eq!(sandbox.read(&id, "stdout"), &text.as_bytes()[..1000]);
            assert_eq!(sandbox.read(&id, "stderr"), b"end\n");
            let mut body = shell("echo one; echo two >&2; echo three");
            body.merge = true;
            let id = sandbox.start(body, false).await.unwrap();
            sandbox.end(&id);
            assert_eq!(sandbox.read(&id, "stdout"), b"one\ntwo\nthree\n");
        },
    )
    .await;
}

#[tokio::test]
async fn a_background_process_neither_holds_the_end_nor_dies_of_it() {
    with_sandbox(|_| {}, async |sandbox| {
        let script = "(trap '' PIPE; sleep 0.05; i=0; while [ $i -lt 20000 ]; do echo late; i=$((i+1)); done; echo alive >/tmp/alive) & echo now";
        let (status, text) = sandbox.run(script).await;
        assert_eq!((status.code, text.as_str(), status.stdout_len), (0, "now\n", 4));
        loop {
            let (_, text) = sandbox.run("cat /tmp/alive 2>/dev/null").await;
            if text == "alive\n" {
                break;
            }
        }
        let (_, text) = sandbox.run("sleep 600 & echo $!").await;
        let (status, _) = sandbox.run(&format!("kill -0 {}", text.trim())).await;
        assert_eq!(status.code, 0, "a background process did not outlive its command");
    })
    .await;
}

#[tokio::test]
async fn a_full_disk_costs_output_only() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let dir = sandbox.dir.path().join("execs/full");
            fs::create_dir(&dir).unwrap();
            let file = |path: &Path| -> OwnedFd {
                fs::File::options().write(true).create(true).truncate(false).open(path).unwrap().into()
            };
            let files = ExecFiles {
                status: file(&dir.join("status")),
                stdin: None,
                stdout: Some(file(Path::new("/dev/full"))),
                stderr: Some(file(&dir.join("stderr"))),
            };
            sandbox.agent().await.exec("full", shell("seq 1 1000; echo kept >&2"), files).await.unwrap();
            let status = sandbox.end("full");
            assert_eq!((status.code, status.stdout_len, status.stdout_dropped), (0, 0, 3893));
            assert_eq!(status.flags, crate::protocol::flag::DISK_FULL);
            assert_eq!(sandbox.read("full", "stderr"), b"kept\n");
        },
    )
    .await;
}

#[tokio::test]
async fn g8_input_is_off_the_disk_once_it_was_read_or_nobody_can() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let secret = b"planted\n";
            let spool = |id: &str| sandbox.dir.path().join("execs").join(id).join("stdin");
            let id = sandbox.start(shell("read word; echo $word; read more"), true).await.unwrap();
            fs::write(spool(&id), secret).unwrap();
            let agent = sandbox.agent().await;
            agent.stdin(&id, secret.len() as u64, false).await.unwrap();
            sandbox.output(&id);
            assert_eq!(sandbox.read(&id, "stdin"), [0; 8], "it was read and is still there");
            agent.signal(&id, 9, true).await.unwrap();
            sandbox.end(&id);
            // Nobody reads this one, and it is more than a pipe holds.
            let id = sandbox.start(command(&["sleep", "600"]), true).await.unwrap();
            fs::write(spool(&id), secret.repeat(100_000)).unwrap();
            agent.stdin(&id, 800_000, false).await.unwrap();
            agent.signal(&id, 9, true).await.unwrap();
            sandbox.end(&id);
            agent.running().await.unwrap();
            let left = sandbox.read(&id, "stdin");
            assert_eq!((left.len(), left.iter().filter(|byte| **byte != 0).count()), (800_000, 0));
        },
    )
    .await;
}
