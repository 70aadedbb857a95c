//! A sandbox made for trial.

use std::time::{Duration, Instant};

use openlattice::{Attachment, Callbacks, ComputeProviderExt, ExecSpec, ProvisionSpec};

use super::{Finding, Status};
use crate::context::Context;
use crate::failure::{Failure, Result};

/// How long the trial may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn findings(context: &Context) -> Vec<Finding> {
    let opened = match context.open().await {
        Ok(opened) => opened,
        Err(failure) => return vec![Finding::new("provider", Status::Missing, one_line(&failure))],
    };

    let provider = opened.provider;
    let server = opened.server.map(|server| Finding::new("server", Status::Ok, server));
    let health = provider.health().await;
    let words =
        health.message.unwrap_or_else(|| format!("answers in {} ms", health.latency_ms.unwrap_or_default()));
    let provider_finding =
        Finding::needed("provider", health.healthy, format!("{}: {words}", provider.name()));
    let trial = match tokio::time::timeout(PATIENCE, trial(&*provider)).await {
        Ok(Ok(words)) => Finding::new("test sandbox", Status::Ok, words),
        Ok(Err(failure)) => Finding::new("test sandbox", Status::Missing, one_line(&failure)),
        Err(_) => Finding::new("test sandbox", Status::Missing, "no answer within 30 s"),
    };
    server.into_iter().chain([provider_finding, trial]).collect()
}

async fn trial(provider: &dyn openlattice::ComputeProvider) -> Result<String> {
    let mut spec = ProvisionSpec::default().with_max_seconds(60);
    if provider.capabilities().identity.owners {
        spec.attachment = Attachment::Bound;
    }
    let start = Instant::now();
    let id = provider.provision(spec).await?.id;
    let outcome = provider.run(&id, ExecSpec::new(["true"]), Callbacks::none()).await;
    let took = start.elapsed();
    provider.destroy(&id).await?;
    if outcome?.is_success() {
        return Ok(format!("first command done after {} ms", took.as_millis()));
    }
    Err(Failure::new(openlattice::ErrorKind::Internal, "`true` did not succeed in the sandbox"))
}

fn one_line(failure: &Failure) -> String {
    failure.to_string().replace('\n', "; ")
}
