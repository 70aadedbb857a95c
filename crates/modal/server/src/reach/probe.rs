//! Readiness probes: tried until the first success, which is kept.

use super::{
    Readiness,
    asked::{Check, Probe},
};
use crate::{shared::Shared, state::now};
use openlattice_engine::{Engine, ExecEnd, ExecSpec, SandboxId};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// Tells when the probe of a sandbox has passed. Dropping the sender tells that it never will.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: SandboxId,
    probe: Probe,
    sender: watch::Sender<Readiness>,
    until: CancellationToken,
) {
    let passed = tokio::select! {
        passed = first_success(&shared, &id, &probe) => passed,
        () = until.cancelled() => return,
    };
    match passed {
        Ok(at) => drop(sender.send_replace(Readiness::Since(at))),
        Err(error) => tracing::warn!(%error, sandbox = %id, "cannot keep that a sandbox is ready"),
    }
}

async fn first_success(shared: &Shared, id: &SandboxId, probe: &Probe) -> Result<f64, Status> {
    if let Some(at) = shared.state.ready_at(id.as_str()).await? {
        return Ok(at);
    }
    let start = Instant::now();
    while !passes(&shared.engine, id, &probe.check).await {
        tokio::time::sleep(probe.pause(start.elapsed())).await;
    }
    shared.state.keep_ready(id.as_str(), now()).await
}

async fn passes(engine: &Engine, id: &SandboxId, check: &Check) -> bool {
    match check {
        Check::TcpPort(port) => {
            tokio::time::timeout(TRY_LIMIT, engine.connect(id, *port)).await.is_ok_and(|made| made.is_ok())
        }
        Check::Command(argv) => exits_with_zero(engine, id, argv).await,
    }
}

/// A program that is not there yet may still come: every failure is only a "not yet".
async fn exits_with_zero(engine: &Engine, id: &SandboxId, argv: &[String]) -> bool {
    let mut spec = ExecSpec::default();
    spec.argv = argv.to_vec();
    spec.timeout = Some(TRY_LIMIT);
    spec.discard_stdout = true;
    spec.discard_stderr = true;
    let Ok(exec) = engine.exec(id, spec).await else { return false };
    engine.exec_wait(id, &exec).await.is_ok_and(|state| state.end == Some(ExecEnd::Exited(0)))
}
