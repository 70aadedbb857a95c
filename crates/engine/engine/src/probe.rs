//! Readiness: a sandbox is tried from outside until it answers.

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    exec::{ExecEnd, ExecSpec},
    id::SandboxId,
    sandbox::SandboxState,
};
use std::time::Duration;
use tokio::time::Instant;

/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// What is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// The port accepts a connection on the sandbox's own 127.0.0.1.
    TcpPort(u16),
    /// The command exits with 0.
    Command(Vec<String>),
}

/// Tries until the first success.
pub(crate) async fn until_ready(
    engine: &Engine,
    id: &SandboxId,
    probe: &Probe,
    interval: Duration,
) -> Result<()> {
    let tries = async {
        let start = Instant::now();
        while !passes(engine, id, probe).await {
            tokio::time::sleep(pause(interval, start.elapsed())).await;
        }
    };
    tokio::select! {
        biased;
        () = tries => Ok(()),
        ended = ended(engine, id) => Err(ended?),
    }
}

/// A try that runs a command leaves a few small files, so that one that fails for long is tried ever less often: a hundredth of the
/// time waited is the least.
fn pause(interval: Duration, waited: Duration) -> Duration {
    interval.max(waited / 100)
}

async fn ended(engine: &Engine, id: &SandboxId) -> Result<Error> {
    loop {
        let info = engine.wait(id, None).await?;
        if matches!(info.state, SandboxState::Ended(_)) {
            let text = format!("sandbox {id} ended before it was ready");
            return Ok(Error::new(ErrorKind::FailedPrecondition, text));
        }
    }
}

async fn passes(engine: &Engine, id: &SandboxId, probe: &Probe) -> bool {
    match probe {
        Probe::TcpPort(port) => {
            tokio::time::timeout(TRY_LIMIT, engine.connect(id, *port)).await.is_ok_and(|made| made.is_ok())
        }
        Probe::Command(argv) => exits_with_zero(engine, id, argv).await,
    }
}

/// A program that is not there yet may still come: every failure is only a "not yet".
async fn exits_with_zero(engine: &Engine, id: &SandboxId, argv: &[String]) -> bool {
    let spec = ExecSpec {
        argv: argv.to_vec(),
        timeout: Some(TRY_LIMIT),
        discard_stdout: true,
        discard_stderr: true,
        ..ExecSpec::default()
    };
    let Ok(exec) = engine.exec(id, spec).await else { return false };
    engine.exec_wait(id, &exec).await.is_ok_and(|state| state.end == Some(ExecEnd::Exited(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_become_rarer() {
        let interval = Duration::from_millis(250);
        assert_eq!(pause(interval, Duration::ZERO), interval);
        assert_eq!(pause(interval, Duration::from_secs(60)), Duration::from_millis(600));
    }
}
