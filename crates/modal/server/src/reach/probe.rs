//! Readiness probes: tried until the first success, which is kept.

use super::{Readiness, asked::Probe};
use crate::{shared::Shared, state::now};
use openlattice_engine::SandboxId;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

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
        Err(error) => tracing::warn!(%error, sandbox = %id, "a sandbox is never ready"),
    }
}

async fn first_success(shared: &Shared, id: &SandboxId, probe: &Probe) -> Result<f64, Status> {
    if let Some(at) = shared.state.ready_at(id.as_str()).await? {
        return Ok(at);
    }
    let ready = shared.engine.until_ready(id, &probe.check(), probe.interval()).await;
    ready.map_err(crate::status::from_engine)?;
    shared.state.keep_ready(id.as_str(), now()).await
}
