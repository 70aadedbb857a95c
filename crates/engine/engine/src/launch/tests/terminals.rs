//! Commands at a terminal.

use super::*;
use crate::exec::TerminalSize;

const SIZE: TerminalSize = TerminalSize { rows: 30, columns: 90 };

fn at_terminal(script: &str) -> ExecBody {
    ExecBody { terminal: Some(SIZE), ..shell(script) }
}

/// Appends input as the engine does.
async fn press(sandbox: &Sandbox, id: &str, keys: &[u8], eof: bool) {
    let path = sandbox.dir.path().join("execs").join(id).join("stdin");
    let mut spool = fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut spool, keys).unwrap();
    let length = spool.metadata().unwrap().len();
    sandbox.agent().await.stdin(id, length, eof).await.unwrap();
}

fn screen(sandbox: &Sandbox, id: &str) -> String {
    String::from_utf8_lossy(&sandbox.read(id, "stdout")).replace("\r\n", "\n")
}

#[tokio::test]
async fn m12_a_terminal_is_the_commands_own() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let script = "tty; stty size; stat -c %u:%g:%a $(tty); echo $TERM; echo err >&2; echo x >/dev/tty; \
                          ls -l /proc/self/fd | grep -c pts; exit 7";
            let body = ExecBody { uid: 1000, gid: 1000, ..at_terminal(script) };
            let id = sandbox.start(body, false).await.unwrap();
            assert_eq!(sandbox.end(&id).code, 7);
            let text = "/dev/pts/0\n30 90\n1000:5:620\nxterm-256color\nerr\nx\n2\n";
            assert_eq!(screen(sandbox, &id), text);
            assert_eq!(sandbox.read(&id, "stderr"), b"");
            // The next one finds the place free.
            let id = sandbox.start(at_terminal("tty"), false).await.unwrap();
            sandbox.end(&id);
            assert_eq!(screen(sandbox, &id), "/dev/pts/0\n");
        },
    )
    .await;
}

#[tokio::test]
async fn m12_what_was_written_last_is_kept() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            // A kilobyte at a time and then at once the end, which hangs the terminal up.
            for _ in 0..20 {
                let id = sandbox.start(at_terminal("seq 1 2000; echo last"), false).await.unwrap();
                assert_eq!(sandbox.end(&id).code, 0);
                let wanted: String = (1..=2000).map(|n| format!("{n}\n")).collect();
                assert_eq!(screen(sandbox, &id), wanted + "last\n");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn m12_a_flood_goes_to_the_quota_and_unread_input_blocks_nobody() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let body = ExecBody { output_quota: 1000, ..at_terminal("seq 1 100000; exit 3") };
            let id = sandbox.start(body, false).await.unwrap();
            let status = sandbox.end(&id);
            assert_eq!((status.code, status.stdout_len), (3, 1000));
            assert!(status.stdout_dropped > 500_000, "{}", status.stdout_dropped);
            let body = at_terminal("stty raw -echo; echo ready; exec sleep 600");
            let deaf = sandbox.start(body, true).await.unwrap();
            sandbox.output(&deaf);
            press(sandbox, &deaf, &vec![b'x'; 1 << 20], false).await;
            let (_, text) = sandbox.run("echo alive").await;
            assert_eq!(text, "alive\n");
            let (taken, closed) = sandbox.agent().await.stdin_status(&deaf).await.unwrap();
            assert!(taken < 64 << 10 && !closed, "{taken}");
            sandbox.agent().await.signal(&deaf, 9, true).await.unwrap();
            sandbox.end(&deaf);
        },
    )
    .await;
}

#[tokio::test]
async fn m12_a_megabyte_is_typed_into_a_raw_terminal() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let script = "stty raw -echo; echo ready; head -c 1000000 | sha256sum";
            let id = sandbox.start(at_terminal(script), true).await.unwrap();
            sandbox.output(&id);
            let keys: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
            press(sandbox, &id, &keys, false).await;
            assert_eq!(sandbox.end(&id).code, 0);
            let copy = sandbox.dir.path().join("copy");
            fs::write(&copy, &keys).unwrap();
            let host = std::process::Command::new("sha256sum").stdin(fs::File::open(&copy).unwrap()).output();
            let wanted = format!("ready\n{}", String::from_utf8(host.unwrap().stdout).unwrap());
            assert_eq!(screen(sandbox, &id), wanted);
        },
    )
    .await;
}

#[tokio::test]
async fn m12_keys_and_the_end_of_input_arrive() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let id =
                sandbox.start(ExecBody { terminal: Some(SIZE), ..command(&["cat"]) }, true).await.unwrap();
            press(sandbox, &id, b"\x03", false).await;
            let status = sandbox.end(&id);
            assert_eq!((status.state, status.code), (exec_state::SIGNALED, 2));
            for (keys, shown) in [("line\n", "line\nline\n"), ("within", "withinwithin"), ("", "")] {
                let body = ExecBody { terminal: Some(SIZE), ..command(&["cat"]) };
                let id = sandbox.start(body, true).await.unwrap();
                press(sandbox, &id, keys.as_bytes(), true).await;
                let status = sandbox.end(&id);
                assert_eq!((status.state, status.code), (exec_state::EXITED, 0));
                assert_eq!(screen(sandbox, &id), shown);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn m12_a_terminal_stays_while_its_command_lives_and_ends_with_it() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            // It closes all it has of the terminal and opens it again by name; the agent must neither give up nor spin.
            let script = "line=$(tty); exec <&- >&- 2>&-; sleep 0.05; exec >$line; echo again";
            let id = sandbox.start(at_terminal(script), true).await.unwrap();
            assert_eq!(sandbox.end(&id).code, 0);
            assert_eq!(screen(sandbox, &id), "again\n");
            // Somebody it leaves behind is hung up and does not hold the end.
            let script = "(trap 'echo hung up >/tmp/hung' HUP; sleep 600 & wait) & echo $!; sleep 0.05";
            let id = sandbox.start(at_terminal(script), false).await.unwrap();
            assert_eq!(sandbox.end(&id).code, 0);
            let (status, _) = sandbox.run("until [ -s /tmp/hung ]; do sleep 0.01; done").await;
            assert_eq!(status.code, 0);
        },
    )
    .await;
}

#[tokio::test]
async fn m12_a_terminal_changes_its_size() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            let agent = sandbox.agent().await;
            let larger = TerminalSize { rows: 60, columns: 200 };
            let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.01; done";
            let id = sandbox.start(at_terminal(script), false).await.unwrap();
            sandbox.output(&id);
            agent.resize(&id, larger).await.unwrap();
            assert_eq!(sandbox.end(&id).code, 0);
            assert_eq!(screen(sandbox, &id), "ready\n60 200\n");
            assert!(agent.resize(&id, larger).await.unwrap_err().is(Errno::SRCH));
            let plain = sandbox.start(command(&["sleep", "600"]), false).await.unwrap();
            assert!(agent.resize(&plain, larger).await.unwrap_err().is(Errno::NOTTY));
            agent.signal(&plain, 9, true).await.unwrap();
            sandbox.end(&plain);
        },
    )
    .await;
}

#[tokio::test]
async fn m12_a_terminal_that_cannot_be_had_is_refused() {
    with_sandbox(
        |_| {},
        async |sandbox| {
            // The last one is the command's own, until its time is up.
            let taker = "import os; kept = []\ntry:\n while True: kept.append(os.open('/dev/ptmx', os.O_RDWR))\nexcept OSError: print(len(kept), flush=True)\ninput()";
            let id = sandbox.start(command(&["python3", "-c", taker]), true).await.unwrap();
            sandbox.output(&id);
            assert_eq!(sandbox.read(&id, "stdout"), b"256\n");
            match sandbox.start(at_terminal("true"), false).await {
                Err(Refusal::Agent { errno, stage }) => {
                    assert_eq!((errno, stage), (Errno::NOSPC, stage::TERMINAL));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(sandbox.agent().await.running().await.unwrap(), 1);
            sandbox.agent().await.signal(&id, 9, true).await.unwrap();
            sandbox.end(&id);
            // A name that somebody inside has replaced is not the one that is used.
            sandbox.run("rm /dev/ptmx /dev/tty; ln -s /etc/passwd /dev/ptmx; rm -f /dev/pts/ptmx").await;
            let id = sandbox.start(at_terminal("stty size"), false).await.unwrap();
            assert_eq!(sandbox.end(&id).code, 0);
            assert_eq!(screen(sandbox, &id), "30 90\n");
        },
    )
    .await;
}
