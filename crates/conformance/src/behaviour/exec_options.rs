//! `exec`: working directory, variables, callbacks.

use openlattice::{Callbacks, ErrorKind, ExecSpec, Subject};
use tokio::sync::mpsc;

use super::behaviours;
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m14_a_working_directory_holds_for_one_command,
    m14_variables_hold_for_one_command,
    m14_a_command_s_variable_wins_over_the_sandbox_s,
    m14_a_missing_working_directory_is_an_error,
    m16_callbacks_get_output_while_the_command_runs,
    m16_callbacks_get_all_output_in_order,
    g1_directories_and_values_are_data,
];

async fn m14_a_working_directory_holds_for_one_command(case: Case) -> Outcome {
    let node = case.node().await?;
    let spec = ExecSpec::new(["pwd"]).with_cwd("/tmp");
    if !case.offers().exec.cwd {
        return must_refuse(node.run(spec).await, "options.cwd");
    }
    let before = shell_text(&node, "pwd").await?;
    ensure_eq!(node.run(spec).await?.stdout_text(), "/tmp\n", "the working directory");
    ensure_eq!(shell_text(&node, "pwd").await?, before, "the working directory of the next command");
    passed()
}

async fn m14_variables_hold_for_one_command(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "printf %s \"${LATTICE_B-unset}\"";
    let spec = ExecSpec::shell(script).with_env("LATTICE_B", "set");
    if !case.offers().exec.env {
        return must_refuse(node.run(spec).await, "options.env");
    }
    ensure_eq!(node.run(spec).await?.stdout_text(), "set", "the variable");
    ensure_eq!(shell_text(&node, script).await?, "unset", "the variable in the next command");
    passed()
}

async fn m14_a_command_s_variable_wins_over_the_sandbox_s(case: Case) -> Outcome {
    if !case.offers().exec.env || !case.offers().runtime.env {
        return skipped("variables are not offered at both places, and other tests prove the refusals");
    }
    let node =
        case.node_of(case.spec().with_env("LATTICE_C", "outer").with_env("LATTICE_D", "outer")).await?;
    let spec = ExecSpec::shell("printf '%s %s' $LATTICE_C $LATTICE_D").with_env("LATTICE_C", "inner");
    ensure_eq!(node.run(spec).await?.stdout_text(), "inner outer", "the variables");
    passed()
}

async fn m14_a_missing_working_directory_is_an_error(case: Case) -> Outcome {
    if !case.offers().exec.cwd {
        return skipped("working directories are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let result = node.run(ExecSpec::new(["pwd"]).with_cwd("/no/such/directory")).await;
    let kinds = [ErrorKind::NotFound, ErrorKind::InvalidArgument];
    let error = must_fail(result, &kinds, "a missing working directory")?;
    if case.offers().exec.tells_missing_program {
        ensure_eq!(error.kind(), ErrorKind::NotFound, "the kind");
        ensure_eq!(error.subject(), Some(Subject::WorkingDirectory), "the subject");
    }
    passed()
}

async fn m16_callbacks_get_output_while_the_command_runs(case: Case) -> Outcome {
    let node = case.node().await?;
    let (seen, mut first) = mpsc::unbounded_channel();
    // The command ends only once somebody saw its first line and made the file.
    let script = "echo first; until [ -e /tmp/seen ]; do sleep 0.05; done; echo second";
    let callbacks = Callbacks::none().on_stdout(move |bytes| drop(seen.send(bytes.to_vec())));
    let other = node.clone();
    let answer = async move {
        let mut text = Vec::new();
        while !text.contains(&b'\n') {
            text.extend(
                first.recv().await.ok_or(Failure("the command ended before its first line".to_owned()))?,
            );
        }
        shell_text(&other, "echo > /tmp/seen").await?;
        while let Some(more) = first.recv().await {
            text.extend(more);
        }
        Ok::<_, Failure>(text)
    };
    let run = async { node.run_with(ExecSpec::shell(script), callbacks).await.map_err(Failure::from) };
    let (result, live) = futures_util::future::try_join(run, answer).await?;
    ensure_eq!(live, b"first\nsecond\n", "what the callback got");
    ensure_eq!(result.stdout_text(), "first\nsecond\n", "the result's output");
    passed()
}

async fn m16_callbacks_get_all_output_in_order(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "i=0; while [ $i -lt 2000 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done";
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let callbacks = Callbacks::none()
        .on_stdout(|bytes| stdout.extend_from_slice(bytes))
        .on_stderr(|bytes| stderr.extend_from_slice(bytes));
    let result = node.run_with(ExecSpec::shell(script), callbacks).await?;
    let expected = |word: &str| (0..2000).map(|number| format!("{word} {number}\n")).collect::<String>();
    ensure!(stdout == expected("out").as_bytes(), "the callback for standard output missed or mixed lines");
    ensure!(stderr == expected("err").as_bytes(), "the callback for standard error missed or mixed lines");
    ensure!(
        result.stdout == stdout && result.stderr == stderr,
        "the result differs from what the callbacks got"
    );
    passed()
}

async fn g1_directories_and_values_are_data(case: Case) -> Outcome {
    if !case.offers().exec.env || !case.offers().exec.cwd {
        return skipped("directory or variables are not offered, and other tests prove the refusals");
    }
    let node = case.node().await?;
    let value = "a'b\"c $(echo no) `echo no` ; exit 9 \\ \n é";
    let directory = "/tmp/it's a \"dir\" $(no) `no`; exit 9";
    node.run(ExecSpec::new(["mkdir", "-p", directory])).await?;
    let spec =
        ExecSpec::shell("printf '%s|' \"$LATTICE_E\"; pwd").with_env("LATTICE_E", value).with_cwd(directory);
    let result = node.run(spec).await?;
    ensure_eq!(result.stdout_text(), format!("{value}|{directory}\n"), "value and directory");
    passed()
}
