//! Timeouts: they hold, they kill, and they are told apart.

use std::time::Duration;

use openlattice::{ExecEnd, ExecSpec, ExitStatus, Signal};

use super::behaviours;
use crate::case::{Case, processes, shell, until};
use crate::verdict::{Outcome, ensure, ensure_eq, must_refuse, passed, skipped};

behaviours![
    m15_a_timeout_kills_and_the_result_says_so,
    m15_a_timeout_keeps_the_output_until_then,
    m15_a_short_timeout_is_not_none,
    m15_a_long_timeout_changes_nothing,
    g7_a_timeout_kills_what_the_command_started,
    g7_a_timeout_is_told_from_a_signal_and_an_exit_code,
];

async fn m15_a_timeout_kills_and_the_result_says_so(case: Case) -> Outcome {
    let node = case.node().await?;
    let spec = ExecSpec::new(["sleep", "86411"]).with_timeout(Duration::from_millis(300));
    if !case.offers().exec.timeout {
        return must_refuse(node.run(spec).await, "options.timeoutMs");
    }
    let result = node.run(spec).await?;
    ensure!(result.timed_out(), "the status is {:?}", result.status);
    until(async || Ok((!processes(&node).await?.contains("sleep 86411")).then_some(()))).await?;
    passed()
}

async fn m15_a_timeout_keeps_the_output_until_then(case: Case) -> Outcome {
    if !case.offers().exec.timeout {
        return skipped("timeouts are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let spec = ExecSpec::shell("echo before; echo err >&2; sleep 86412").with_timeout(Duration::from_secs(2));
    let result = node.run(spec).await?;
    ensure!(result.timed_out(), "the status is {:?}", result.status);
    ensure_eq!(result.stdout_text(), "before\n", "standard output");
    ensure_eq!(result.stderr_text(), "err\n", "standard error");
    passed()
}

async fn m15_a_short_timeout_is_not_none(case: Case) -> Outcome {
    if !case.offers().exec.timeout {
        return skipped("timeouts are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let spec = ExecSpec::new(["sleep", "86413"]).with_timeout(Duration::from_millis(1));
    let result = node.run(spec).await?;
    ensure!(result.timed_out(), "the status is {:?}", result.status);
    passed()
}

async fn m15_a_long_timeout_changes_nothing(case: Case) -> Outcome {
    if !case.offers().exec.timeout {
        return skipped("timeouts are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let result = node.run(ExecSpec::shell("exit 5").with_timeout(Duration::from_secs(3600))).await?;
    ensure_eq!(result.status.exit, ExitStatus::Code(5), "the exit");
    ensure_eq!(result.status.reason, ExecEnd::Exited, "the reason");
    passed()
}

async fn g7_a_timeout_kills_what_the_command_started(case: Case) -> Outcome {
    if !case.offers().exec.timeout {
        return skipped("timeouts are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let script = "sleep 86414 & (sleep 86414; echo) & sleep 86414";
    let result = node.run(ExecSpec::shell(script).with_timeout(Duration::from_millis(500))).await?;
    ensure!(result.timed_out(), "the status is {:?}", result.status);
    until(async || Ok((!processes(&node).await?.contains("sleep 86414")).then_some(()))).await?;
    passed()
}

async fn g7_a_timeout_is_told_from_a_signal_and_an_exit_code(case: Case) -> Outcome {
    if !case.offers().exec.timeout {
        return skipped("timeouts are not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    for code in [124, 137] {
        let result =
            node.run(ExecSpec::shell(format!("exit {code}")).with_timeout(Duration::from_secs(60))).await?;
        ensure_eq!(result.status.reason, ExecEnd::Exited, "the reason for exit code {code}");
    }
    let killed = shell(&node, "kill -9 $$").await?;
    ensure_eq!(killed.status.reason, ExecEnd::Signalled, "the reason for a signal");
    ensure_eq!(killed.status.exit, ExitStatus::Signal(Signal::KILL), "the exit for a signal");
    passed()
}
