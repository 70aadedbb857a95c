//! Terminals: one stream, the size asked for, typed input, the end.

use openlattice::{
    Bytes, ErrorKind, ExecSession, ExecSpec, ExecStatus, ExitStatus, Node, OutputReader, OutputStream,
    PtySize, Signal, Stdin,
};

use super::behaviours;
use super::input::read_some;
use super::output::read_from;
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m12_a_terminal_is_given_or_refused,
    m12_a_terminal_has_the_size_asked_for,
    m12_all_output_of_a_terminal_is_one_stream,
    m12_a_terminal_has_a_type_unless_a_variable_says_another,
    m12_a_terminal_without_input_is_at_its_end,
    m12_the_end_of_input_ends_a_reader_at_a_terminal,
    m12_control_characters_reach_the_command,
    m12_a_raw_terminal_passes_bytes_as_they_are,
    m12_a_terminal_is_resized_or_that_is_refused,
    m12_a_command_without_a_terminal_is_not_resized,
    g2_a_flood_at_a_terminal_arrives_complete,
    g2_a_command_at_a_terminal_can_be_attached_to,
    g6_a_terminal_without_lines_is_refused,
];

const SIZE: PtySize = PtySize { rows: 33, cols: 101 };
const NOT_OFFERED: &str = "terminals are not offered, and another test proves the refusal";

/// A terminal for a script.
fn at_terminal(script: &str) -> ExecSpec {
    ExecSpec::shell(script).with_pty(SIZE)
}

/// The output of a script that ends well at a terminal, with a line's end as programs write it.
async fn typed(node: &Node, spec: ExecSpec) -> Result<String, Failure> {
    let result = node.run(spec).await?;
    ensure!(result.is_success(), "the status is {:?}: {}", result.status, result.stdout_text());
    Ok(result.stdout_text().replace("\r\n", "\n"))
}

/// Reads until the output so far contains a text, and returns it.
async fn read_until(reader: &mut Box<dyn OutputReader>, text: &str) -> Result<String, Failure> {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        seen.extend(read_some(reader, 1).await?);
    }
    Ok(String::from_utf8_lossy(&seen).into_owned())
}

async fn m12_a_terminal_is_given_or_refused(case: Case) -> Outcome {
    let node = case.node().await?;
    let spec = at_terminal("[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo hello >/dev/tty");
    if !case.offers().exec.pty {
        return must_refuse(node.run(spec).await, "options.pty");
    }
    ensure_eq!(typed(&node, spec).await?, "hello\n", "what came through the controlling terminal");
    passed()
}

async fn m12_a_terminal_has_the_size_asked_for(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    ensure_eq!(typed(&node, at_terminal("stty size")).await?, "33 101\n", "the size");
    passed()
}

async fn m12_all_output_of_a_terminal_is_one_stream(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    let result = node.run(at_terminal("echo one; echo two >&2; echo three; exit 5")).await?;
    ensure_eq!(result.status, ExecStatus::exited(5), "the status");
    ensure_eq!(result.stdout_text().replace("\r\n", "\n"), "one\ntwo\nthree\n", "standard output");
    ensure_eq!(result.stderr_text(), "", "standard error");
    passed()
}

async fn m12_a_terminal_has_a_type_unless_a_variable_says_another(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    ensure_eq!(typed(&node, at_terminal("echo $TERM")).await?, "xterm-256color\n", "the type by default");
    if case.offers().exec.env {
        let asked = at_terminal("echo $TERM").with_env("TERM", "vt100");
        ensure_eq!(typed(&node, asked).await?, "vt100\n", "the type that a variable says");
    }
    passed()
}

async fn m12_a_terminal_without_input_is_at_its_end(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    let result = node.run(ExecSpec::new(["cat"]).with_pty(SIZE)).await?;
    ensure!(result.is_success(), "the status is {:?}", result.status);
    passed()
}

/// Starts a command at a terminal with an open input; `None` where one of both is not offered.
async fn interactive(case: &Case, spec: ExecSpec) -> Result<Option<Box<dyn ExecSession>>, Failure> {
    if !case.offers().exec.pty || !case.offers().exec.stdin {
        return Ok(None);
    }
    let node = case.node().await?;
    Ok(Some(node.exec(spec.with_pty(SIZE).with_stdin(Stdin::Open)).await?))
}

async fn m12_the_end_of_input_ends_a_reader_at_a_terminal(case: Case) -> Outcome {
    for (line, echoed) in [("one\n", "one\r\n"), ("within", "within")] {
        let Some(session) = interactive(&case, ExecSpec::new(["cat"])).await? else {
            return skipped("terminals with input are not offered, and another test proves the refusal");
        };
        session.write_stdin(0, Bytes::from_static(line.as_bytes())).await?;
        session.close_stdin().await?;
        ensure_eq!(session.wait().await?, ExecStatus::exited(0), "the status after {line:?}");
        let output = read_from(&*session, OutputStream::Stdout, 0).await?;
        ensure_eq!(String::from_utf8_lossy(&output), format!("{echoed}{echoed}"), "what was echoed and read");
    }
    passed()
}

async fn m12_control_characters_reach_the_command(case: Case) -> Outcome {
    let Some(session) = interactive(&case, ExecSpec::new(["cat"])).await? else {
        return skipped("terminals with input are not offered, and another test proves the refusal");
    };
    session.write_stdin(0, Bytes::from_static(b"\x03")).await?;
    let status = session.wait().await?;
    ensure_eq!(status.exit, ExitStatus::Signal(Signal::INT), "the exit after Ctrl-C");
    passed()
}

async fn m12_a_raw_terminal_passes_bytes_as_they_are(case: Case) -> Outcome {
    let script = "stty raw -echo; echo ready; head -c 6 | od -An -tx1";
    let Some(session) = interactive(&case, ExecSpec::shell(script)).await? else {
        return skipped("terminals with input are not offered, and another test proves the refusal");
    };
    let mut reader = session.output(OutputStream::Stdout, 0);
    read_until(&mut reader, "ready").await?;
    session.write_stdin(0, Bytes::from_static(b"\x03\x04\r\n\x1b\xff")).await?;
    read_until(&mut reader, "03 04 0d 0a 1b ff").await?;
    ensure_eq!(session.wait().await?, ExecStatus::exited(0), "the status");
    passed()
}

async fn m12_a_terminal_is_resized_or_that_is_refused(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done";
    let larger = PtySize { rows: 50, cols: 132 };
    if !case.offers().exec.pty_resize {
        let session = node.exec(ExecSpec::new(["sleep", "86433"])).await?;
        return must_refuse(session.resize(larger).await, "exec.ptyResize");
    }
    let session = node.exec(at_terminal(script)).await?;
    let mut reader = session.output(OutputStream::Stdout, 0);
    read_until(&mut reader, "ready").await?;
    let nothing = session.resize(PtySize { rows: 0, cols: 80 }).await;
    must_fail(nothing, &[ErrorKind::InvalidArgument], "a size without lines")?;
    session.resize(larger).await?;
    read_until(&mut reader, "50 132").await?;
    ensure_eq!(session.wait().await?, ExecStatus::exited(0), "the status");
    session.resize(SIZE).await?;
    passed()
}

async fn m12_a_command_without_a_terminal_is_not_resized(case: Case) -> Outcome {
    if !case.offers().exec.pty_resize {
        return skipped("changing sizes is not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let session = node.exec(ExecSpec::new(["sleep", "86434"])).await?;
    must_fail(session.resize(SIZE).await, &[ErrorKind::FailedPrecondition], "a resize without a terminal")?;
    passed()
}

async fn g2_a_flood_at_a_terminal_arrives_complete(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    let expected: String = (1..=30_000).map(|number| format!("{number}\n")).collect();
    let output = typed(&node, at_terminal("seq 1 30000")).await?;
    ensure!(output == expected, "{} bytes of {} came, or others", output.len(), expected.len());
    passed()
}

async fn g2_a_command_at_a_terminal_can_be_attached_to(case: Case) -> Outcome {
    let Some(peer) = case.peer() else { return skipped("the suite was given no second instance") };
    if !case.offers().exec.pty || !case.offers().exec.stdin || !case.offers().exec.attach {
        return skipped("terminals with input that can be attached to are not offered");
    }
    let node = case.node().await?;
    let spec = at_terminal("echo early; read line; echo \"got $line\"; exit 6").with_stdin(Stdin::Open);
    let session = node.exec(spec).await?;
    let exec = session.id().clone();
    drop(session);
    let attached = peer.attach(node.id(), &exec).await?;
    let mut reader = attached.output(OutputStream::Stdout, 0);
    read_until(&mut reader, "early").await?;
    attached.write_stdin(0, Bytes::from_static(b"late\n")).await?;
    ensure_eq!(attached.wait().await?, ExecStatus::exited(6), "the status");
    let output = read_from(&*attached, OutputStream::Stdout, 0).await?;
    ensure_eq!(String::from_utf8_lossy(&output), "early\r\nlate\r\ngot late\r\n", "the whole output");
    ensure_eq!(shell_text(&node, "echo on").await?, "on\n", "a command after it");
    passed()
}

async fn g6_a_terminal_without_lines_is_refused(case: Case) -> Outcome {
    if !case.offers().exec.pty {
        return skipped(NOT_OFFERED);
    }
    let node = case.node().await?;
    let nothing = PtySize { rows: 0, cols: 0 };
    let result = node.run(ExecSpec::new(["true"]).with_pty(nothing)).await;
    let error = must_fail(result, &[ErrorKind::InvalidArgument], "a terminal without lines")?;
    ensure_eq!(error.field(), Some("options.pty"), "the refused field");
    passed()
}
