//! Standard streams of `run` and `exec`.

use std::io::Read;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::store::{Store, text};

const BOTH: [&str; 2] = ["local", "modal"];

#[test]
fn input_is_forwarded_byte_for_byte() {
    let Some(store) = Store::new("stdin") else { return };
    let input: Vec<u8> = (0..300_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    for provider in BOTH {
        let ran = store.run_with(&["run", "-i", "--provider", provider, "--", "cat"], &input, |_| ());
        assert_eq!(ran.code(), 0, "{}", ran.err());
        assert!(ran.bytes() == input, "{provider}: {} bytes came back", ran.bytes().len());
    }
}

#[test]
fn output_and_input_are_live() {
    let Some(store) = Store::new("live") else { return };
    let mut running = store.start(&["run", "-i", "--", "sh", "-c", "echo ready; read word; echo got $word"]);
    assert_eq!(running.line(), "ready");
    running.tell("hello\n");
    assert_eq!(running.line(), "got hello");
    assert!(running.wait().success());
}

#[test]
fn a_reader_that_goes_away_ends_the_node_in_silence() {
    let Some(store) = Store::new("broken pipe") else { return };
    let mut running = store.start(&["run", "--", "yes"]);
    assert_eq!(running.line(), "y");
    let ran = running.stop_reading().finish();
    assert_eq!((ran.code(), ran.err().as_str()), (141, ""));
    assert!(store.nodes(false).is_empty(), "a node is left");
}

#[test]
fn input_is_read_with_i_only() {
    let Some(store) = Store::new("input unread") else { return };
    let id = store.ok(&["create"]);
    // What is left in the file for the next reader, which shares its offset.
    std::fs::write(store.path("lines"), "a\nb\nc\n").unwrap();
    for (options, seen) in [(&[][..], "0"), (&["-i"], "6"), (&["--interactive"], "6")] {
        let file = std::fs::File::open(store.path("lines")).unwrap();
        let mut rest = file.try_clone().unwrap();
        let mut command = store.lattice();
        command.arg("exec").args(options).args([&id, "--", "wc", "-c"]).stdin(file);
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), seen, "{options:?}");
        let mut left = String::new();
        rest.read_to_string(&mut left).unwrap();
        assert_eq!(left.len(), if options.is_empty() { 6 } else { 0 }, "{options:?}");
    }
    for provider in BOTH {
        // Its input stays open, and it ends all the same.
        let mut running = store.start(&["run", "--provider", provider, "--", "sh", "-c", "cat; echo end"]);
        assert_eq!(running.line(), "end", "{provider}");
        assert_eq!(running.wait().code(), Some(0), "{provider}");
    }
}

#[test]
fn a_loop_over_lines_keeps_its_lines() {
    let Some(store) = Store::new("loop") else { return };
    let id = store.ok(&["create"]);
    let mut shell = std::process::Command::new("sh");
    let script = "printf 'a\\nb\\nc\\n' | while read -r x; do \"$0\" exec \"$1\" -- echo \"$x\"; done";
    let lattice = store.lattice();
    shell.args(["-c", script]).arg(lattice.get_program()).arg(&id);
    shell.envs(lattice.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a\nb\nc\n");
}

/// A pipe whose writing end does not block.
fn pipe() -> (std::fs::File, std::os::fd::OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    (reader.into(), writer)
}

fn has_room(end: &std::os::fd::OwnedFd) -> bool {
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::new(end, PollFlags::OUT)];
    rustix::event::poll(&mut polled, Some(&now)).unwrap() > 0
}

#[test]
fn a_stream_that_would_block_is_waited_for() {
    let Some(store) = Store::new("non-blocking") else { return };
    let script = "i=0; while [ $i -lt 40000 ]; do echo $i-0123456789; echo $i >&2; i=$((i+1)); done";
    let expected = |tail: &str| (0..40_000).map(|i| format!("{i}{tail}\n")).collect::<String>();
    let ((mut out, out_end), (mut err, err_end)) = (pipe(), pipe());
    let mut command = store.lattice();
    command.args(["run", "--", "sh", "-c", script]).stdin(Stdio::null());
    let ends = [out_end.try_clone().unwrap(), err_end.try_clone().unwrap()];
    command.stdout(out_end).stderr(err_end);
    let mut child = command.spawn().unwrap();
    drop(command);
    // Nobody reads until both pipes are full: from then on a write finds no room.
    while ends.iter().any(has_room) {
        assert!(child.try_wait().unwrap().is_none(), "it gave up");
    }
    drop(ends);
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).unwrap();
        text
    });
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(text == expected("-0123456789"), "{} bytes", text.len());
    assert!(errors.join().unwrap() == expected(""));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn input_that_would_block_is_waited_for() {
    let Some(store) = Store::new("non-blocking input") else { return };
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    let mut command = store.lattice();
    command.args(["run", "-i", "--", "sh", "-c", "echo ready; cat"]).stdin(reader).stdout(Stdio::piped());
    let mut running = crate::store::Running::new(command);
    assert_eq!(running.line(), "ready");
    rustix::io::write(&writer, b"late\n").unwrap();
    assert_eq!(running.line(), "late");
    drop(writer);
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn a_listing_waits_for_a_slow_reader_too() {
    let Some(store) = Store::new("non-blocking listing") else { return };
    let (mut out, end) = pipe();
    // Full but for a little, so that the first write of the listing finds no room for all of it.
    let filler = vec![b'.'; 65_536 - 4096];
    rustix::io::write(&end, &filler).unwrap();
    let mut command = store.lattice();
    command
        .args(["capabilities", "--json"])
        .stdout(end)
        .stderr(std::fs::File::create(store.path("err")).unwrap());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut first = vec![0; 60_000];
    out.read_exact(&mut first).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{}", text(&store.path("err")));
    let json = rest.trim_start_matches('.');
    serde_json::from_str::<serde_json::Value>(json).unwrap();
}

#[test]
fn lost_output_is_exit_code_125_and_says_how_much_and_why() {
    let Some(store) = Store::new("full disk") else { return };
    let (full, result) = (store.path("full"), store.path("result"));
    std::fs::create_dir(&full).unwrap();
    // In a mount namespace of its own, which takes the small disk with it.
    let script = "mount -t tmpfs -o size=40m none \"$1\" || exit 99
        LATTICE_STATE_DIR=$1/store exec \"$0\" run --result \"$2\" -- head -c 100M /dev/zero";
    let mut shell = std::process::Command::new("unshare");
    shell.args(["--mount", "sh", "-c", script]).arg(store.lattice().get_program()).args([&full, &result]);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(99) {
        return println!("skip: a small file system cannot be mounted here: {said}");
    }
    assert_eq!(output.status.code(), Some(125), "{said}");
    let (kept, whole) = (output.stdout.len(), 100 << 20);
    let expected = format!("{} bytes from byte {kept} on were dropped: the disk was full", whole - kept);
    assert!(said.contains(&format!("standard output: {expected}")), "{said}");
    let report: serde_json::Value = serde_json::from_str(&text(&result)).unwrap();
    assert_eq!((&report["exitCode"], &report["stdoutDroppedFrom"]), (&125.into(), &kept.into()));
}

#[test]
fn a_reader_killed_midway_holds_nobody_up() {
    let Some(store) = Store::new("killed reader") else { return };
    let id = store.ok(&["create"]);
    let script = "echo ready; head -c 100M /dev/zero; echo >/tmp/written; sleep 600";
    let mut reader = store.start(&["exec", &id, "--", "sh", "-c", script]);
    assert_eq!(reader.line(), "ready");
    // It does not read on, so the command is held up until the reader is gone.
    reader.kill();
    let waits = "until [ -e /tmp/written ]; do sleep 0.02; done";
    assert_eq!(store.run(&["exec", &id, "--", "sh", "-c", waits]).code(), 0);
    store.ok(&["rm", &id]);
}
