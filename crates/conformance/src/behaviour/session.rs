//! Sessions: wait, poll, signals, attaching again.

use openlattice::{
    ErrorKind, ExecEnd, ExecId, ExecSpec, ExecStatus, ExitStatus, OutputStream, Signal, Stdin, Subject,
};

use super::behaviours;
use super::output::read_from;
use crate::case::{Case, shell_text, until};
use crate::verdict::{Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m12_poll_says_whether_a_command_runs,
    g2_another_instance_attaches_to_a_running_command,
    g2_an_ended_command_can_be_attached_to,
    g3_an_unknown_command_is_not_found,
    g3_a_caller_s_id_runs_a_command_once,
    g7_a_signal_reaches_the_command,
    g7_the_end_of_the_sandbox_is_not_an_exit_code,
];

async fn m12_poll_says_whether_a_command_runs(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "until [ -e /tmp/go ]; do sleep 0.05; done; exit 4";
    let session = node.exec(ExecSpec::shell(script)).await?;
    ensure_eq!(session.poll().await?, None, "the status while it runs");
    shell_text(&node, "echo > /tmp/go").await?;
    let status = session.wait().await?;
    ensure_eq!(status, ExecStatus::exited(4), "the status");
    ensure_eq!(session.wait().await?, status, "the status when waited for again");
    ensure_eq!(session.poll().await?, Some(status), "the status when polled after the end");
    ensure_eq!(session.sandbox_id(), node.id(), "the session's sandbox");
    passed()
}

async fn g2_another_instance_attaches_to_a_running_command(case: Case) -> Outcome {
    let Some(peer) = case.peer() else { return skipped("the suite was given no second instance") };
    let node = case.node().await?;
    let script = "echo early; until [ -e /tmp/go ]; do sleep 0.05; done; echo late; exit 6";
    let session = node.exec(ExecSpec::shell(script)).await?;
    let exec = session.id().clone();
    drop(session);
    let attached = peer.attach(node.id(), &exec).await;
    if !case.offers().exec.attach {
        return must_refuse(attached, "exec.attach");
    }
    let attached = attached?;
    ensure_eq!(attached.poll().await?, None, "the status of a command whose session was dropped");
    shell_text(&node, "echo > /tmp/go").await?;
    ensure_eq!(read_from(&*attached, OutputStream::Stdout, 0).await?, b"early\nlate\n", "the whole output");
    ensure_eq!(attached.wait().await?, ExecStatus::exited(6), "the status");
    passed()
}

async fn g2_an_ended_command_can_be_attached_to(case: Case) -> Outcome {
    if !case.offers().exec.attach {
        return skipped("attaching is not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let session = node.exec(ExecSpec::shell("echo kept; exit 2")).await?;
    session.wait().await?;
    let again = node.attach(session.id()).await?;
    ensure_eq!(again.id(), session.id(), "the command's id");
    ensure_eq!(again.wait().await?, ExecStatus::exited(2), "the status");
    ensure_eq!(read_from(&*again, OutputStream::Stdout, 0).await?, b"kept\n", "the output");
    passed()
}

async fn g3_an_unknown_command_is_not_found(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = node.attach(&ExecId::new("00000000-0000-4000-8000-000000000000")).await;
    if !case.offers().exec.attach {
        return must_refuse(result, "exec.attach");
    }
    let error = must_fail(result, &[ErrorKind::NotFound], "an unknown command")?;
    ensure_eq!(error.subject(), Some(Subject::Exec), "the subject");
    passed()
}

async fn g3_a_caller_s_id_runs_a_command_once(case: Case) -> Outcome {
    let node = case.node().await?;
    let spec = ExecSpec::shell("echo ran >> /tmp/runs").with_exec_id("5b0a7b3e-0000-4000-8000-00000000c0de");
    let first = node.exec(spec.clone()).await;
    if !case.offers().exec.caller_ids {
        return must_refuse(first, "options.execId");
    }
    first?.wait().await?;
    let again = node.exec(spec.clone()).await?;
    ensure!(again.wait().await?.is_success(), "the repeated start failed");
    ensure_eq!(shell_text(&node, "cat /tmp/runs").await?, "ran\n", "how often it ran");
    let other = ExecSpec::shell("echo other >> /tmp/runs").with_exec_id(again.id().clone());
    match node.exec(other).await {
        Ok(session) => ensure!(session.wait().await?.is_success(), "attached to something else"),
        Err(error) => {
            ensure_eq!(
                error.kind(),
                ErrorKind::AlreadyExists,
                "the kind for another command with the same id"
            );
            ensure_eq!(error.subject(), Some(Subject::Exec), "the subject");
        }
    }
    ensure_eq!(shell_text(&node, "cat /tmp/runs").await?, "ran\n", "what ran under one id");
    passed()
}

async fn g7_a_signal_reaches_the_command(case: Case) -> Outcome {
    let node = case.node().await?;
    let session = node.exec(ExecSpec::new(["sleep", "86431"])).await?;
    let killed = session.kill(Signal::TERM).await;
    if !case.offers().exec.signals {
        return must_refuse(killed, "exec.signals");
    }
    killed?;
    let status = session.wait().await?;
    ensure_eq!(status.exit, ExitStatus::Signal(Signal::TERM), "the exit");
    ensure_eq!(status.reason, ExecEnd::Signalled, "the reason");
    session.kill(Signal::KILL).await?;
    ensure_eq!(session.wait().await?, status, "the status after a late signal");
    passed()
}

async fn g7_the_end_of_the_sandbox_is_not_an_exit_code(case: Case) -> Outcome {
    let node = case.node().await?;
    let stdin = if case.offers().exec.stdin { Stdin::Open } else { Stdin::Closed };
    let session = node.exec(ExecSpec::new(["sleep", "86432"]).with_stdin(stdin)).await?;
    ensure_eq!(session.poll().await?, None, "the status while it runs");
    node.destroy().await?;
    let ended = until(async || match session.wait().await {
        Ok(status) => Ok(Some(Ok(status))),
        Err(error) => Ok(Some(Err(error))),
    })
    .await?;
    match ended {
        Ok(status) => {
            let reasons = if case.offers().exec.tells_sandbox_end {
                &[ExecEnd::SandboxEnded][..]
            } else {
                &[ExecEnd::SandboxEnded, ExecEnd::Signalled][..]
            };
            ensure!(reasons.contains(&status.reason), "the status is {status:?}");
        }
        Err(error) => {
            ensure!(!case.offers().exec.tells_sandbox_end, "the end of the sandbox is not told: {error}");
            must_fail::<()>(Err(error), &[ErrorKind::NotFound, ErrorKind::FailedPrecondition], "the wait")?;
        }
    }
    passed()
}
