//! The daemon of a tailnet inside a sandbox.
//!
//! `tailscale up` speaks to `tailscaled`. Where nothing in the image has started it, the provider does. It keeps its state in memory,
//! and where the sandbox has no `/dev/net/tun` (Modal's have none) it does its networking in user space.

use std::time::Duration;

use openlattice::{Bytes, Error, ErrorKind, Result, Subject};
use openlattice_modal_client as modal;
use tokio::time::{sleep, timeout};

use crate::error::Attempt;
use crate::exec::collect;
use crate::key::setup_id;
use crate::setup::{is_refused, short};

/// What an image needs.
pub(crate) const HINT: &str = "the image must have the programs tailscale and tailscaled";
/// The device that a virtual network interface is made with.
const TUN: &str = "/dev/net/tun";
/// Where the daemon listens by default on Linux.
const SOCKET: &str = "/var/run/tailscale/tailscaled.sock";
/// How long the daemon may take until it listens, and how often that is looked at.
const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Makes an error about the tailnet.
pub(crate) fn failed(attempt: Attempt, text: String) -> Error {
    Error::new(ErrorKind::FailedPrecondition, attempt.0, text).with_subject(Subject::Tailnet)
}

/// Starts the daemon unless one listens, and returns once it does.
pub(crate) async fn start_daemon(sandbox: &modal::Sandbox, attempt: Attempt) -> Result<()> {
    if exists(sandbox, SOCKET, attempt).await? {
        return Ok(());
    }
    let command = modal::ExecSpec {
        id: Some(setup_id(sandbox.id(), "tailnet-daemon")),
        discard_stdout: true,
        ..modal::ExecSpec::new(arguments(exists(sandbox, TUN, attempt).await?))
    };
    let daemon = match sandbox.exec(&command).await {
        Ok(daemon) => daemon,
        Err(error) if is_refused(&error) => {
            let text = format!("cannot run tailscaled: {}", error.message());
            return Err(failed(attempt, text).with_hint(HINT));
        }
        Err(error) => return Err(attempt.about(Subject::Tailnet)(error)),
    };
    daemon.give_stdin(Bytes::new()).await.map_err(attempt.about(Subject::Tailnet))?;
    let late = |_| failed(attempt, format!("tailscaled does not listen after {} s", START_LIMIT.as_secs()));
    timeout(START_LIMIT, listening(sandbox, &daemon, attempt)).await.map_err(late)?
}

fn arguments(has_tun: bool) -> Vec<&'static str> {
    let mut arguments = vec!["tailscaled", "--state=mem:"];
    if !has_tun {
        arguments.push("--tun=userspace-networking");
    }
    arguments
}

/// Waits until the daemon listens; one that ended instead says why.
async fn listening(sandbox: &modal::Sandbox, daemon: &modal::Exec, attempt: Attempt) -> Result<()> {
    let tailnet = attempt.about(Subject::Tailnet);
    while !exists(sandbox, SOCKET, attempt).await? {
        if daemon.poll().await.map_err(tailnet)?.is_some() {
            let result = collect(daemon).await.map_err(tailnet)?;
            let complaint = short(&result.stderr_text());
            return Err(failed(
                attempt,
                format!("tailscaled ended with {}: {complaint}", result.status.exit),
            ));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

async fn exists(sandbox: &modal::Sandbox, path: &str, attempt: Attempt) -> Result<bool> {
    match sandbox.stat(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.path().is_some() => Ok(false),
        Err(error) => Err(attempt.about(Subject::Sandbox)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m11_without_the_device_networking_is_in_user_space() {
        assert_eq!(arguments(false), ["tailscaled", "--state=mem:", "--tun=userspace-networking"]);
        assert_eq!(arguments(true), ["tailscaled", "--state=mem:"]);
    }
}
