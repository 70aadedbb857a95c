//! `provision`: the main process of a sandbox, or none.

use openlattice::{EndReason, ErrorKind, ExecSpec, ExitStatus, Node, SandboxState, Subject};

use super::behaviours;
use crate::case::{Case, processes, shell_text, until};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m04_the_sandbox_ends_with_its_main_process,
    m04_the_main_process_is_not_waited_for,
    m04_the_main_process_runs_beside_the_initial_command,
    m04_a_missing_main_program_leaves_nothing,
    m04_an_image_s_own_command_does_not_run,
    m23_an_image_s_own_command_does_not_run_in_a_restored_sandbox,
];

/// What a test says where main processes are not offered.
const NONE: &str = "main processes are not offered, and another test proves the refusal";

async fn m04_the_sandbox_ends_with_its_main_process(case: Case) -> Outcome {
    // The words reach the program as they are.
    let spec = case.spec().with_main(["/bin/sh", "-c", "test \"$1\" = 'a  b' && exit 7", "sh", "a  b"]);
    if !case.offers().runtime.main {
        return must_refuse(case.provision(spec).await, "runtime.main");
    }
    let node = case.node_of(spec).await?;
    let end = until(async || Ok(node.inspect().await?.end)).await?;
    ensure_eq!((end.reason, end.exit), (EndReason::Exited, Some(ExitStatus::Code(7))), "the end");
    let after = node.run(ExecSpec::new(["true"])).await;
    let error = must_fail(after, &[ErrorKind::NotFound], "a command after the end")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    passed()
}

async fn m04_the_main_process_is_not_waited_for(case: Case) -> Outcome {
    if !case.offers().runtime.main {
        return skipped(NONE);
    }
    // It ends only when a command tells it to, which needs a provision that has answered.
    let spec = case.spec().with_main(["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.05; done; exit 3"]);
    let node = case.node_of(spec).await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Running, "the state while it runs");
    // This command may be over when the sandbox ends, or end with it.
    drop(node.run(ExecSpec::new(["sh", "-c", "echo > /tmp/go"])).await);
    let end = until(async || Ok(node.inspect().await?.end)).await?;
    ensure_eq!(end.exit, Some(ExitStatus::Code(3)), "how it ended");
    passed()
}

async fn m04_the_main_process_runs_beside_the_initial_command(case: Case) -> Outcome {
    if !case.offers().runtime.main || !case.offers().runtime.command {
        return skipped("main processes and initial commands are not both offered");
    }
    let spec = case.spec().with_main(["sh", "-c", "echo > /tmp/main; sleep 600"]);
    let command = ["sh", "-c", "until [ -e /tmp/main ]; do sleep 0.05; done"];
    let node = case.node_of(spec.with_command(command)).await?;
    ensure_eq!(node.inspect().await?.state, SandboxState::Running, "the state");
    passed()
}

async fn m04_a_missing_main_program_leaves_nothing(case: Case) -> Outcome {
    if !case.offers().runtime.main {
        return skipped(NONE);
    }
    let result = case.provision(case.spec().with_main(["/no/such/program"])).await;
    if !case.offers().exec.tells_missing_program {
        return skipped("a missing program is not told before it starts");
    }
    let error = must_fail(result, &[ErrorKind::NotFound], "a missing main program")?;
    ensure_eq!(error.subject(), Some(Subject::Program), "the subject");
    case.nothing_alive("after a missing main program").await?;
    passed()
}

async fn m04_an_image_s_own_command_does_not_run(case: Case) -> Outcome {
    let Some(image) = case.settings().image_with_command.clone() else {
        return skipped("no image with a command of its own was given to the suite");
    };
    let mut spec = case.spec();
    spec.runtime.image = Some(image);
    runs_nothing(&case.node_of(spec.clone()).await?).await?;
    if !case.offers().runtime.main {
        return passed();
    }
    // Its entry point does not come before a main process either.
    let node = case.node_of(spec.with_main(["/bin/sh", "-c", "exit 5"])).await?;
    let end = until(async || Ok(node.inspect().await?.end)).await?;
    ensure_eq!(end.exit, Some(ExitStatus::Code(5)), "how the main process ended");
    passed()
}

async fn m23_an_image_s_own_command_does_not_run_in_a_restored_sandbox(case: Case) -> Outcome {
    let Some(image) = case.settings().image_with_command.clone().filter(|_| case.offers().snapshot) else {
        return skipped("snapshots are not offered, or no image with a command of its own was given");
    };
    let mut spec = case.spec();
    spec.runtime.image = Some(image);
    let node = case.node_of(spec).await?;
    let reference = node.snapshot().await?;
    runs_nothing(&case.restore(&reference, case.restore_spec()).await?).await?;
    passed()
}

/// Fails where the image's own command runs or has run: it is among the processes until it has left its file.
async fn runs_nothing(node: &Node) -> Result<(), Failure> {
    let running = processes(node).await?;
    ensure!(!running.contains("own-command; exit"), "the image's own command runs: {running}");
    let left = shell_text(node, "ls /tmp/own-command 2>/dev/null; true").await?;
    ensure_eq!(left, "", "what the image's own command left");
    ensure_eq!(node.inspect().await?.state, SandboxState::Running, "the state");
    Ok(())
}
