//! The contract's conformance suite, over the real wire: this project's server of Modal's protocol runs in this process, on
//! a store of its own. With `OPENLATTICE_TEST_MODAL=1` the other side is Modal's own service instead, with the credentials of
//! the environment, and what it is known to do otherwise is in `differences.toml`.

mod candidate;

use std::sync::Arc;
use std::time::Duration;

use openlattice::{GpuType, Result};
use openlattice_conformance::{Candidate, Differences, Settings};
use openlattice_modal::ModalConfig;

fn main() -> std::process::ExitCode {
    openlattice_conformance::run(async || {
        match std::env::var_os("OPENLATTICE_TEST_MODAL").is_some_and(|value| value == "1") {
            true => cloud(),
            false => candidate::in_process(true, |provider| provider).await,
        }
    })
}

/// The provider before Modal's own service, with the credentials of the environment.
fn cloud() -> Result<Candidate> {
    let config = || ModalConfig::from_env().map(|config| config.with_app_name("openlattice-conformance"));
    let mut settings = Settings::new("modal", "debian:stable-slim");
    settings.registry_image = Some("busybox:stable".to_owned());
    settings.gpu = Some(GpuType::new("T4")?);
    settings.deadline = Duration::from_secs(600);
    settings.differences = Differences::parse(include_str!("differences.toml"))?;
    let candidate = Candidate::new(Arc::new(config()?.build()?), settings);
    Ok(candidate
        .with_peer(Arc::new(config()?.build()?))
        .with_unreachable(Arc::new(candidate::unreachable()?)))
}
