//! What happens inside a new sandbox before the caller gets it: the tailnet, the initial command, readiness.

use std::time::Duration;

use openlattice::{Bytes, Error, ErrorKind, ExecResult, ProvisionSpec, Result, Secret, Subject};
use openlattice_modal_client as modal;

use crate::error::Attempt;
use crate::exec::collect;
use crate::key::setup_id;
use crate::tailnet;

/// How long a sandbox may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(600);
/// How long joining a tailnet may take.
const TAILNET_LIMIT: Duration = Duration::from_secs(60);
/// The most of a failed program's complaint that an error repeats.
const COMPLAINT: usize = 500;

/// Says whether there is anything to run.
pub(crate) fn has_steps(spec: &ProvisionSpec) -> bool {
    spec.readiness.is_some() || spec.network.tailscale_auth_key.is_some() || !spec.runtime.command.is_empty()
}

/// Runs all steps in order. Each has a fixed id per sandbox: a repeated provision with the same key attaches to the first run.
pub(crate) async fn run(sandbox: &modal::Sandbox, spec: &ProvisionSpec, attempt: Attempt) -> Result<()> {
    if let Some(key) = &spec.network.tailscale_auth_key {
        join_tailnet(sandbox, key, attempt).await?;
    }
    if !spec.runtime.command.is_empty() {
        initial_command(sandbox, &spec.runtime.command, attempt).await?;
    }
    // Last, since the command may start what the probe waits for.
    if spec.readiness.is_some() {
        sandbox.wait_until_ready(READY_LIMIT).await.map_err(attempt.about(Subject::Sandbox))?;
    }
    Ok(())
}

/// Runs the tailnet's daemon where none runs, and `tailscale up`. The key goes through standard input: it is in no argument,
/// variable or file.
async fn join_tailnet(sandbox: &modal::Sandbox, key: &Secret, attempt: Attempt) -> Result<()> {
    tailnet::start_daemon(sandbox, attempt).await?;
    let command = modal::ExecSpec {
        timeout: Some(TAILNET_LIMIT),
        id: Some(setup_id(sandbox.id(), "tailnet")),
        ..modal::ExecSpec::new(["tailscale", "up", "--auth-key=file:/dev/stdin"])
    };
    let input = Bytes::from(key.expose().to_owned());
    let result = match started(sandbox, &command, input).await {
        Ok(result) => result,
        Err(error) if is_refused(&error) => {
            let text = format!("cannot run tailscale up: {}", error.message());
            return Err(tailnet::failed(attempt, text).with_hint(tailnet::HINT));
        }
        Err(error) => return Err(attempt.about(Subject::Tailnet)(error)),
    };
    if result.is_success() {
        return Ok(());
    }
    let complaint = redacted(&result.stderr_text(), key);
    Err(tailnet::failed(attempt, format!("tailscale up ended with {}: {complaint}", result.status.exit)))
}

/// Takes the key out of a complaint and cuts it short.
fn redacted(text: &str, key: &Secret) -> String {
    let key = key.expose().trim();
    let clean = if key.is_empty() { text.to_owned() } else { text.replace(key, "<hidden>") };
    short(&clean)
}

/// Cuts a complaint short.
pub(crate) fn short(text: &str) -> String {
    text.trim().chars().take(COMPLAINT).collect()
}

async fn initial_command(sandbox: &modal::Sandbox, argv: &[String], attempt: Attempt) -> Result<()> {
    let command = modal::ExecSpec {
        id: Some(setup_id(sandbox.id(), "command")),
        ..modal::ExecSpec::new(argv.iter().cloned())
    };
    let failed = |text: String| {
        Error::new(ErrorKind::FailedPrecondition, attempt.0, text).with_subject(Subject::InitialCommand)
    };
    match started(sandbox, &command, Bytes::new()).await {
        Ok(result) if result.is_success() => Ok(()),
        Ok(result) => {
            Err(failed(format!("the initial command ended with {}", result.status.exit)).with_output(result))
        }
        Err(error) if is_refused(&error) => {
            Err(failed(format!("the initial command cannot run: {}", error.message())).with_source(error))
        }
        Err(error) => Err(attempt.about(Subject::Sandbox)(error)),
    }
}

/// Says whether the command itself was refused, not the way to it.
pub(crate) fn is_refused(error: &modal::Error) -> bool {
    use modal::ErrorKind::{
        FailedPrecondition, InvalidArgument, PermissionDenied, ProgramNotExecutable, ProgramNotFound,
    };
    matches!(
        error.kind(),
        InvalidArgument | FailedPrecondition | PermissionDenied | ProgramNotFound | ProgramNotExecutable
    )
}

/// Runs a command to its end, with all of its input.
async fn started(
    sandbox: &modal::Sandbox,
    command: &modal::ExecSpec,
    input: Bytes,
) -> Result<ExecResult, modal::Error> {
    let exec = sandbox.exec(command).await?;
    exec.give_stdin(input).await?;
    collect(&exec).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g8_a_complaint_does_not_repeat_the_key() {
        let key = Secret::new("tskey-hush\n");
        let text = redacted("invalid key: tskey-hush refused", &key);
        assert_eq!(text, "invalid key: <hidden> refused");
        assert_eq!(redacted(&"x".repeat(9999), &key).len(), COMPLAINT);
        assert_eq!(redacted("abc", &Secret::new("")), "abc");
    }
}
