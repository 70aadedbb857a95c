//! Commands: results, output, input, signals.

use crate::support::{Store, command, outcome, run, text};
use openlattice_engine::{
    ErrorKind, ExecEnd, ExecId, ExecSpec, OutputReader, OutputStream, SandboxSpec, StdinState, TerminalSize,
};
use std::time::Duration;

#[tokio::test]
async fn arguments_environment_and_directory_travel_as_data() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec =
        command(&["sh", "-c", "printf '%s|' \"$@\" \"$A\" \"$PWD\"", "x", "a b", "$(no)", "", "ä\n"]);
    (spec.env, spec.workdir) = (vec![("A".to_owned(), "1 '\"".to_owned())], Some("/tmp".to_owned()));
    let exec = store.engine.exec(&id, spec).await.unwrap();
    assert_eq!(outcome(&store.engine, &id, &exec).await.ok(), "a b|$(no)||ä\n|1 '\"|/tmp|");
    store.close().await;
}

#[tokio::test]
async fn starts_that_fail_say_why_and_leave_no_trace() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let exec = ExecId::parse("mine").unwrap();
    let start = async |argv: &[&str], workdir: Option<&str>| {
        let mut spec = command(argv);
        (spec.id, spec.workdir) = (Some(exec.clone()), workdir.map(str::to_owned));
        store.engine.exec(&id, spec).await
    };
    assert_eq!(start(&["no-such-program"], None).await.unwrap_err().kind(), ErrorKind::ProgramNotFound);
    assert_eq!(start(&["/etc/passwd"], None).await.unwrap_err().kind(), ErrorKind::ProgramNotExecutable);
    assert_eq!(start(&["/etc"], None).await.unwrap_err().kind(), ErrorKind::ProgramNotExecutable);
    assert_eq!(start(&["true"], Some("/no/where")).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(start(&[], None).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert_eq!(store.engine.exec_state(&id, &exec).await.unwrap_err().kind(), ErrorKind::NotFound);
    // The id is free still.
    start(&["true"], None).await.unwrap();
    assert_eq!(store.engine.exec_wait(&id, &exec).await.unwrap().end, Some(ExecEnd::Exited(0)));
    store.close().await;
}

#[tokio::test]
async fn a_known_id_runs_once() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = command(&["sh", "-c", "echo run >> /tmp/runs"]);
    spec.id = Some(ExecId::parse("once").unwrap());
    let starts = (0..6).map(|_| store.engine.exec(&id, spec.clone()));
    for start in starts.collect::<Vec<_>>() {
        let exec = start.await.unwrap();
        store.engine.exec_wait(&id, &exec).await.unwrap();
    }
    assert_eq!(store.sh(&id, "cat /tmp/runs").await.ok(), "run\n");
    store.close().await;
}

/// More than an agent takes connections.
#[tokio::test]
async fn hundreds_of_starts_at_once_all_run() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let start = |_| {
        let (engine, id) = (store.engine.clone(), id.clone());
        tokio::spawn(async move { engine.exec(&id, command(&["true"])).await })
    };
    for started in (0..600).map(start).collect::<Vec<_>>() {
        let exec = started.await.unwrap().unwrap();
        assert_eq!(store.engine.exec_wait(&id, &exec).await.unwrap().end, Some(ExecEnd::Exited(0)));
    }
    store.close().await;
}

#[tokio::test]
async fn many_run_at_once_and_keep_their_output_apart() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let (engine, id) = (store.engine.clone(), id.clone());
            tokio::spawn(async move {
                run(&engine, &id, &["sh", "-c", &format!("echo out{n}; echo err{n} >&2; exit {n}")]).await
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let done = task.await.unwrap();
        assert_eq!((done.stdout, done.stderr), (format!("out{n}\n"), format!("err{n}\n")));
        assert_eq!(done.state.end, Some(ExecEnd::Exited(i32::try_from(n).unwrap())));
    }
    store.close().await;
}

#[tokio::test]
async fn output_is_live_and_can_be_read_again_from_any_offset() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = command(&[
        "sh",
        "-c",
        "echo first; read line; echo $line; dd if=/dev/zero bs=1024 count=2000 2>/dev/null",
    ]);
    spec.stdin = true;
    let exec = store.engine.exec(&id, spec).await.unwrap();
    let mut reader = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "first\n");
    store.engine.write_stdin(&id, &exec, 0, b"second\n", false).await.unwrap();
    let mut total = reader.offset();
    while let Some(piece) = reader.next().await.unwrap() {
        total += piece.len() as u64;
    }
    assert_eq!(total, 6 + 7 + 2000 * 1024);
    let mut again = store.engine.output(&id, &exec, OutputStream::Stdout, 6).await.unwrap();
    assert!(again.next().await.unwrap().unwrap().starts_with(b"second\n"));
    let mut past = store.engine.output(&id, &exec, OutputStream::Stdout, total).await.unwrap();
    assert!(past.next().await.unwrap().is_none());
    store.close().await;
}

#[tokio::test]
async fn streams_can_be_merged_and_discarded() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let script = ["sh", "-c", "echo a; echo b >&2; echo c"];
    let go = async |change: fn(&mut ExecSpec)| {
        let mut spec = command(&script);
        change(&mut spec);
        let exec = store.engine.exec(&id, spec).await.unwrap();
        let done = outcome(&store.engine, &id, &exec).await;
        (done.stdout, done.stderr)
    };
    assert_eq!(go(|spec| spec.merge_stderr = true).await, ("a\nb\nc\n".to_owned(), String::new()));
    assert_eq!(go(|spec| spec.discard_stdout = true).await, (String::new(), "b\n".to_owned()));
    assert_eq!(go(|spec| spec.discard_stderr = true).await, ("a\nc\n".to_owned(), String::new()));
    store.close().await;
}

#[tokio::test]
async fn past_the_quota_output_is_dropped_and_counted() {
    let Some(store) = Store::open().await else { return };
    let mut config = openlattice_engine::EngineConfig::new(store.path());
    config.output_quota = 1000;
    let engine = openlattice_engine::Engine::open(config).await.unwrap();
    let id = store.sandbox().await.id;
    let exec = engine
        .exec(&id, command(&["sh", "-c", "dd if=/dev/zero bs=1000 count=5 2>/dev/null; exit 3"]))
        .await
        .unwrap();
    let state = engine.exec_wait(&id, &exec).await.unwrap();
    assert_eq!((state.end, state.stdout_dropped, state.stderr_dropped), (Some(ExecEnd::Exited(3)), 4000, 0));
    assert_eq!(text(&engine, &id, &exec, OutputStream::Stdout).await.len(), 1000);
    store.close().await;
}

#[tokio::test]
async fn input_is_by_offset_and_ends_once() {
    let Some(store) = Store::open().await else { return };
    let (engine, id) = (&store.engine, store.sandbox().await.id);
    let mut spec = command(&["cat"]);
    spec.stdin = true;
    let exec = engine.exec(&id, spec).await.unwrap();
    let state = |accepted, closed| StdinState { accepted, closed };
    assert_eq!(engine.write_stdin(&id, &exec, 0, b"abc", false).await.unwrap(), state(3, false));
    assert_eq!(engine.write_stdin(&id, &exec, 1, b"bcd", false).await.unwrap(), state(4, false));
    assert_eq!(
        engine.write_stdin(&id, &exec, 9, b"x", false).await.unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    assert_eq!(engine.stdin_state(&id, &exec).await.unwrap(), state(4, false));
    assert_eq!(engine.write_stdin(&id, &exec, 0, b"", true).await.unwrap(), state(4, true));
    let done = outcome(engine, &id, &exec).await;
    assert_eq!(done.ok(), "abcd");
    assert_eq!(
        engine.write_stdin(&id, &exec, 4, b"e", false).await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    assert_eq!(engine.write_stdin(&id, &exec, 0, b"abcd", true).await.unwrap(), state(4, true));
    assert!(engine.stdin_state(&id, &exec).await.unwrap().closed);
    store.close().await;
}

#[tokio::test]
async fn a_large_input_comes_through_whole() {
    let Some(store) = Store::open().await else { return };
    let (engine, id) = (&store.engine, store.sandbox().await.id);
    let mut spec = command(&["sha256sum"]);
    spec.stdin = true;
    let exec = engine.exec(&id, spec).await.unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    for (n, piece) in bytes.chunks(700_000).enumerate() {
        engine.write_stdin(&id, &exec, n as u64 * 700_000, piece, false).await.unwrap();
    }
    engine.write_stdin(&id, &exec, bytes.len() as u64, b"", true).await.unwrap();
    let sum = outcome(engine, &id, &exec).await.ok().to_owned();
    let file = store.path().join("input");
    std::fs::write(&file, &bytes).unwrap();
    let expected =
        std::process::Command::new("sha256sum").stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert_eq!(sum.as_bytes(), expected.stdout);
    store.close().await;
}

#[tokio::test]
async fn without_input_a_command_reads_nothing() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let exec = store.engine.exec(&id, command(&["cat"])).await.unwrap();
    assert_eq!(outcome(&store.engine, &id, &exec).await.ok(), "");
    assert_eq!(
        store.engine.write_stdin(&id, &exec, 0, b"x", false).await.unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    store.close().await;
}

#[tokio::test]
async fn a_timeout_kills_the_whole_tree_and_says_so() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = command(&["sh", "-c", "sleep 1000 & setsid sleep 1000"]);
    spec.timeout = Some(Duration::from_millis(300));
    let exec = store.engine.exec(&id, spec).await.unwrap();
    let done = outcome(&store.engine, &id, &exec).await;
    assert!(done.state.timed_out, "{done:?}");
    assert_eq!(done.end(), ExecEnd::Signaled(9));
    assert_eq!(store.sh(&id, "cat /proc/[0-9]*/comm | grep -c sleep").await.stdout, "0\n");
    store.close().await;
}

#[tokio::test]
async fn signals_reach_the_command() {
    let Some(store) = Store::open().await else { return };
    let (engine, id) = (&store.engine, store.sandbox().await.id);
    let trap = engine
        .exec(
            &id,
            command(&["sh", "-c", "trap 'echo got; exit 4' TERM; echo ready; while :; do sleep 0.01; done"]),
        )
        .await
        .unwrap();
    let mut reader = engine.output(&id, &trap, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "ready\n");
    engine.signal(&id, &trap, 15).await.unwrap();
    assert_eq!(outcome(engine, &id, &trap).await.end(), ExecEnd::Exited(4));
    assert_eq!(engine.signal(&id, &trap, 15).await.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    assert_eq!(engine.signal(&id, &trap, 0).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let tree = engine.exec(&id, command(&["sh", "-c", "setsid sleep 1000 & sleep 1000"])).await.unwrap();
    engine.signal(&id, &tree, 9).await.unwrap();
    assert_eq!(engine.exec_wait(&id, &tree).await.unwrap().end, Some(ExecEnd::Signaled(9)));
    assert_eq!(store.sh(&id, "cat /proc/[0-9]*/comm | grep -c sleep").await.stdout, "0\n");
    store.close().await;
}

#[tokio::test]
async fn a_command_does_not_wait_for_what_it_leaves_behind() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let done = store.sh(&id, "sleep 1000 & echo done").await;
    assert_eq!(done.ok(), "done\n");
    store.close().await;
}

#[tokio::test]
async fn commands_end_with_their_sandbox() {
    let Some(store) = Store::open().await else { return };
    let (engine, id) = (store.engine.clone(), store.sandbox().await.id);
    let exec = engine.exec(&id, command(&["sh", "-c", "echo before; sleep 1000"])).await.unwrap();
    let mut reader = engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "before\n");
    let waiting = tokio::spawn({
        let (engine, id, exec) = (engine.clone(), id.clone(), exec.clone());
        async move { (engine.exec_wait(&id, &exec).await.unwrap(), reader.next().await.unwrap()) }
    });
    engine.terminate(&id).await.unwrap();
    let (state, rest) = waiting.await.unwrap();
    assert!(matches!(state.end, Some(ExecEnd::SandboxEnded | ExecEnd::Signaled(9))), "{state:?}");
    assert!(rest.is_none());
    assert_eq!(text(&engine, &id, &exec, OutputStream::Stdout).await, "before\n");
    engine.remove(&id).await.unwrap();
    assert_eq!(engine.exec_state(&id, &exec).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.close().await;
}

#[tokio::test]
async fn an_id_of_no_user_is_one_all_the_same() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = command(&["sh", "-c", "id -u; touch /root/x 2>/dev/null || echo refused; echo $HOME"]);
    spec.uid = Some(1234);
    let exec = store.engine.exec(&id, spec).await.unwrap();
    assert_eq!(outcome(&store.engine, &id, &exec).await.ok(), "1234\nrefused\n/\n");
    store.close().await;
}

#[tokio::test]
async fn a_dropped_start_of_a_nameless_command_kills_it() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut dropped = 0;
    for microseconds in (0..4000).step_by(250) {
        let start = store.engine.exec(&id, command(&["sleep", "1000"]));
        match tokio::time::timeout(Duration::from_micros(microseconds), start).await {
            Ok(exec) => store.engine.signal(&id, &exec.unwrap(), 9).await.unwrap(),
            Err(_) => dropped += 1,
        }
    }
    assert!(dropped > 0, "no start was dropped");
    while store.sh(&id, "cat /proc/[0-9]*/comm | grep -c sleep").await.stdout != "0\n" {}
    store.close().await;
}

#[tokio::test]
async fn a_dropped_start_of_a_named_command_is_found_by_the_next() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    for n in 0..10 {
        let mut spec = command(&["sh", "-c", "echo run >> /tmp/runs"]);
        spec.id = Some(ExecId::parse(&format!("n{n}")).unwrap());
        drop(
            tokio::time::timeout(Duration::from_micros(300 * n), store.engine.exec(&id, spec.clone())).await,
        );
        let exec = store.engine.exec(&id, spec).await.unwrap();
        assert_eq!(store.engine.exec_wait(&id, &exec).await.unwrap().end, Some(ExecEnd::Exited(0)));
    }
    assert_eq!(store.sh(&id, "wc -l < /tmp/runs").await.ok(), "10\n");
    store.close().await;
}

#[tokio::test]
async fn a_long_output_comes_through_whole() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let script = "dd if=/dev/zero bs=1M count=300 2>/dev/null";
    let exec = store.engine.exec(&id, command(&["sh", "-c", script])).await.unwrap();
    let mut reader = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    while let Some(piece) = reader.next().await.unwrap() {
        assert!(piece.iter().all(|byte| *byte == 0));
    }
    assert_eq!(reader.offset(), 300 << 20);
    store.close().await;
}

/// Reads until the output contains a text.
async fn until(output: &mut OutputReader, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        let bytes = output.next().await.unwrap().expect("the command runs");
        seen.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

#[tokio::test]
async fn m12_a_terminal_is_given_resized_and_refused() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let (size, larger) = (TerminalSize { rows: 24, columns: 80 }, TerminalSize { rows: 50, columns: 132 });
    let mut spec = command(&["sh", "-c", "stty size; read line; stty size >&2; exit 4"]);
    (spec.stdin, spec.terminal) = (true, Some(size));
    let exec = store.engine.exec(&id, spec).await.unwrap();
    let mut output = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    until(&mut output, "24 80\r\n").await;
    store.engine.resize(&id, &exec, larger).await.unwrap();
    store.engine.write_stdin(&id, &exec, 0, b"\n", false).await.unwrap();
    let done = outcome(&store.engine, &id, &exec).await;
    assert_eq!(done.end(), ExecEnd::Exited(4));
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("24 80\r\n\r\n50 132\r\n", ""));
    let ended = store.engine.resize(&id, &exec, size).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::FailedPrecondition);
    let plain = store.engine.exec(&id, command(&["sleep", "600"])).await.unwrap();
    let none = store.engine.resize(&id, &plain, size).await.unwrap_err();
    assert!(
        none.kind() == ErrorKind::FailedPrecondition && none.to_string().contains("no terminal"),
        "{none}"
    );
    let unknown = store.engine.resize(&id, &ExecId::parse("unknown").unwrap(), size).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    store.sh(&id, "chmod 0 /dev/pts/ptmx").await.ok();
    let mut spec = command(&["true"]);
    spec.terminal = Some(size);
    let closed = store.engine.exec(&id, spec).await.unwrap_err();
    assert!(
        closed.kind() == ErrorKind::FailedPrecondition && closed.to_string().contains("/dev/pts"),
        "{closed}"
    );
    store.close().await;
}

#[tokio::test]
async fn m12_a_main_command_can_have_a_terminal() {
    let Some(store) = Store::open().await else { return };
    let mut spec = SandboxSpec::default();
    spec.command = ["sh", "-c", "stty size; [ -t 2 ] && exit 3"].map(str::to_owned).to_vec();
    spec.terminal = Some(TerminalSize { rows: 30, columns: 90 });
    let id = store.engine.create(spec).await.unwrap().id;
    let done = outcome(&store.engine, &id, &ExecId::parse("main").unwrap()).await;
    assert_eq!((done.end(), done.stdout.as_str()), (ExecEnd::Exited(3), "30 90\r\n"));
    store.close().await;
}

#[tokio::test]
async fn g8_input_that_comes_too_late_is_not_kept() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let mut spec = command(&["sh", "-c", "exec 0<&-; echo closed; exec sleep 600"]);
    spec.stdin = true;
    let exec = store.engine.exec(&id, spec).await.unwrap();
    let mut output = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    until(&mut output, "closed\n").await;
    let planted = b"planted".repeat(20_000);
    let mut offset = 0;
    while store.engine.write_stdin(&id, &exec, offset, &planted, false).await.is_ok() {
        offset += planted.len() as u64;
    }
    store.engine.signal(&id, &exec, 9).await.unwrap();
    store.engine.exec_wait(&id, &exec).await.unwrap();
    // The next answer of the agent comes after what it does at an end.
    store.sh(&id, "true").await.ok();
    let path =
        store.path().join("sandboxes").join(id.as_str()).join("execs").join(exec.as_str()).join("stdin");
    assert!(std::fs::read(path).unwrap().iter().all(|byte| *byte == 0), "input is left on the disk");
    store.close().await;
}

#[tokio::test]
async fn a_reader_in_a_sandbox_that_is_removed_comes_to_its_end() {
    let Some(store) = Store::open().await else { return };
    let id = store.sandbox().await.id;
    let exec = store.engine.exec(&id, command(&["sh", "-c", "echo said; sleep 600"])).await.unwrap();
    let mut reader = store.engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap();
    assert_eq!(reader.next().await.unwrap().unwrap(), "said\n");
    let reading = tokio::spawn(async move { reader.next().await.unwrap() });
    store.again().await.remove(&id).await.unwrap();
    assert!(reading.await.unwrap().is_none());
    let error = store.engine.exec_wait(&id, &exec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    store.close().await;
}
