//! `exec`: argument vectors, exit codes, and what may not be confused.

use openlattice::{ErrorKind, ExecEnd, ExecSpec, ExitStatus, SandboxId, Signal, Subject};

use super::behaviours;
use crate::case::{Case, shell, shell_text};
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, passed};

behaviours![
    m12_exec_returns_code_and_both_streams,
    m12_a_program_is_found_in_the_path,
    m12_a_missing_program_is_an_error,
    m12_a_file_that_may_not_be_executed_is_an_error,
    m12_an_unknown_sandbox_is_not_found,
    m12_an_ended_sandbox_is_not_found,
    m12_thirty_commands_run_at_once,
    m13_a_non_zero_exit_is_a_result,
    m13_stderr_is_kept_apart_from_stdout,
    g1_arguments_reach_the_program_unchanged,
    g1_no_shell_reads_the_arguments,
    g3_every_exit_code_is_a_result,
    g3_a_signal_is_told_from_an_exit_code,
    g3_malformed_commands_are_refused_by_field,
];

async fn m12_exec_returns_code_and_both_streams(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = shell(&node, "echo out; echo err >&2; exit 7").await?;
    ensure_eq!(result.status.exit, ExitStatus::Code(7), "the exit");
    ensure_eq!(result.status.reason, ExecEnd::Exited, "the reason");
    ensure_eq!(result.stdout_text(), "out\n", "standard output");
    ensure_eq!(result.stderr_text(), "err\n", "standard error");
    passed()
}

async fn m12_a_program_is_found_in_the_path(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = node.run(ExecSpec::new(["printf", "%s", "found"])).await?;
    ensure_eq!(result.stdout_text(), "found", "standard output");
    passed()
}

async fn m12_a_missing_program_is_an_error(case: Case) -> Outcome {
    let node = case.node().await?;
    for program in ["/no/such/program", "no-such-program-anywhere"] {
        let result = node.run(ExecSpec::new([program])).await;
        let error = must_fail(result, &[ErrorKind::NotFound, ErrorKind::InvalidArgument], program)?;
        if case.offers().exec.tells_missing_program {
            ensure_eq!(error.kind(), ErrorKind::NotFound, "the kind for {program}");
            ensure_eq!(error.subject(), Some(Subject::Program), "the subject for {program}");
        }
    }
    passed()
}

async fn m12_a_file_that_may_not_be_executed_is_an_error(case: Case) -> Outcome {
    let node = case.node().await?;
    shell_text(&node, "printf '#!/bin/sh\\n' > /tmp/plain").await?;
    let result = node.run(ExecSpec::new(["/tmp/plain"])).await;
    let kinds = [ErrorKind::PermissionDenied, ErrorKind::InvalidArgument];
    let error = must_fail(result, &kinds, "a file that may not be executed")?;
    if case.offers().exec.tells_missing_program {
        ensure_eq!(error.kind(), ErrorKind::PermissionDenied, "the kind");
        ensure_eq!(error.subject(), Some(Subject::Program), "the subject");
    }
    passed()
}

async fn m12_an_unknown_sandbox_is_not_found(case: Case) -> Outcome {
    // An id of the right form which nobody has: an ended sandbox's, changed in its last place.
    let node = case.node().await?;
    let mut text = node.id().as_str().to_owned();
    let last = text.pop();
    text.push(if last == Some('0') { '1' } else { '0' });
    for id in [SandboxId::new(text), SandboxId::new("sb-no-such-sandbox")] {
        let result = case.provider().exec(&id, ExecSpec::new(["true"])).await;
        let error = must_fail(result, &[ErrorKind::NotFound], "an unknown sandbox")?;
        ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject for {id}");
    }
    passed()
}

async fn m12_an_ended_sandbox_is_not_found(case: Case) -> Outcome {
    let node = case.node().await?;
    node.destroy().await?;
    let error =
        must_fail(node.run(ExecSpec::new(["true"])).await, &[ErrorKind::NotFound], "an ended sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    passed()
}

async fn m12_thirty_commands_run_at_once(case: Case) -> Outcome {
    let node = case.node().await?;
    let runs = (0..30).map(|number| {
        let node = node.clone();
        async move { shell_text(&node, &format!("echo out {number}; exit 0")).await }
    });
    for (number, text) in futures_util::future::try_join_all(runs).await?.into_iter().enumerate() {
        ensure_eq!(text, format!("out {number}\n"), "the output of command {number}");
    }
    passed()
}

async fn m13_a_non_zero_exit_is_a_result(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = shell(&node, "exit 1").await?;
    ensure_eq!(result.exit_code(), 1, "the exit code");
    ensure!(!result.is_success(), "exit code 1 counts as success");
    ensure!(shell(&node, "exit 0").await?.is_success(), "exit code 0 does not count as success");
    passed()
}

async fn m13_stderr_is_kept_apart_from_stdout(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "i=0; while [ $i -lt 200 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done";
    let result = shell(&node, script).await?;
    let expected = |letter: char| (0..200).map(|number| format!("{letter}{number}\n")).collect::<String>();
    ensure_eq!(result.stdout_text(), expected('o'), "standard output");
    ensure_eq!(result.stderr_text(), expected('e'), "standard error");
    passed()
}

async fn g1_arguments_reach_the_program_unchanged(case: Case) -> Outcome {
    let node = case.node().await?;
    let odd = [
        "", " ", "a b", "'", "\"", "\\", "$HOME", "`id`", "$(id)", "*", "a\nb", "é漢", "-n", "--", ";", "&&",
        "\u{1}",
    ];
    let argv = ["printf", "[%s]", "--"].into_iter().chain(odd);
    // printf takes a first `--` as the end of its own options only in front of the format.
    let result = node.run(ExecSpec::new(argv)).await?;
    let expected: String = ["--"].into_iter().chain(odd).map(|argument| format!("[{argument}]")).collect();
    ensure_eq!(result.stdout_text(), expected, "the arguments as the program saw them");
    passed()
}

async fn g1_no_shell_reads_the_arguments(case: Case) -> Outcome {
    let node = case.node().await?;
    let line = "echo injected > /tmp/injected; exit 3";
    let error = must_fail(
        node.run(ExecSpec::new([line])).await,
        &[ErrorKind::NotFound, ErrorKind::InvalidArgument],
        "a shell's line as a program",
    )?;
    ensure!(error.subject() != Some(Subject::Sandbox), "the sandbox is reported as missing");
    let seen = shell_text(&node, "cat /tmp/injected 2>/dev/null; true").await?;
    ensure_eq!(seen, "", "what a shell would have written");
    passed()
}

async fn g3_every_exit_code_is_a_result(case: Case) -> Outcome {
    let node = case.node().await?;
    for code in [0, 1, 2, 64, 100, 124, 125, 126, 127, 128, 129, 130, 137, 143, 254, 255] {
        let result = shell(&node, &format!("exit {code}")).await?;
        ensure_eq!(result.status.exit, ExitStatus::Code(code), "the exit for code {code}");
        ensure_eq!(result.status.reason, ExecEnd::Exited, "the reason for code {code}");
    }
    passed()
}

async fn g3_a_signal_is_told_from_an_exit_code(case: Case) -> Outcome {
    let node = case.node().await?;
    for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
        let result = shell(&node, &format!("kill -{} $$; sleep 30", signal.number())).await?;
        ensure_eq!(result.status.exit, ExitStatus::Signal(signal), "the exit for signal {}", signal.number());
        ensure_eq!(result.status.reason, ExecEnd::Signalled, "the reason for signal {}", signal.number());
        ensure_eq!(result.exit_code(), 128 + signal.number(), "the code for signal {}", signal.number());
    }
    passed()
}

async fn g3_malformed_commands_are_refused_by_field(case: Case) -> Outcome {
    let node = case.node().await?;
    let cases = [
        (ExecSpec::new(Vec::<String>::new()), "argv"),
        (ExecSpec::new([""]), "argv"),
        (ExecSpec::new(["true", "a\0b"]), "argv"),
        (ExecSpec::new(["true"]).with_cwd("relative"), "options.cwd"),
        (ExecSpec::new(["true"]).with_env("A=B", "c"), "options.env"),
    ];
    for (spec, field) in cases {
        let error = must_fail(node.run(spec).await, &[ErrorKind::InvalidArgument], field)?;
        ensure_eq!(error.field(), Some(field), "the refused field");
    }
    passed()
}
