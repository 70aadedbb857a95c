//! The contract's conformance suite, over the real wire: this project's server of Modal's protocol runs in this process, on
//! a store of its own. With `OPENLATTICE_TEST_MODAL=1` the other side is Modal's own service instead, with the credentials of
//! the environment.

use std::net::TcpListener;
use std::sync::Arc;

use openlattice::{Error, ErrorKind, GpuType, Result};
use openlattice_conformance::{Candidate, Settings};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Server, ServerConfig};
use tokio::sync::oneshot;

fn main() -> std::process::ExitCode {
    openlattice_conformance::run(async || {
        match std::env::var_os("OPENLATTICE_TEST_MODAL").is_some_and(|value| value == "1") {
            true => cloud(),
            false => in_process().await,
        }
    })
}

/// Judges against a server in this process.
async fn in_process() -> Result<Candidate> {
    let store = tempfile::tempdir().map_err(failed)?;
    let server = Server::bind(ServerConfig::new(store.path())).await.map_err(failed)?;
    let pair = server.credentials().cloned().ok_or_else(|| failed("the server has no credentials"))?;
    let url = server.url();
    let config = || ModalConfig::new(pair.id.as_str(), pair.secret.as_str()).with_server_url(&url);
    // Dropping the sender, with the candidate, ends the server.
    let (stop, stopped) = oneshot::channel::<()>();
    drop(tokio::spawn(server.serve(async move { stopped.await.unwrap_or_default() })));
    let candidate = Candidate::new(Arc::new(config().build()?), Settings::new("modal", "host"));
    Ok(candidate
        .with_peer(Arc::new(config().build()?))
        .with_unreachable(Arc::new(unreachable()?))
        .keeping(stop)
        .keeping(store))
}

/// Judges against Modal's own service.
fn cloud() -> Result<Candidate> {
    let config = || ModalConfig::from_env().map(|config| config.with_app_name("openlattice-conformance"));
    let mut settings = Settings::new("modal", "debian:stable-slim");
    settings.registry_image = Some("busybox:stable".to_owned());
    settings.gpu = Some(GpuType::new("T4")?);
    settings.deadline = std::time::Duration::from_secs(600);
    let candidate = Candidate::new(Arc::new(config()?.build()?), settings);
    Ok(candidate.with_peer(Arc::new(config()?.build()?)).with_unreachable(Arc::new(unreachable()?)))
}

/// A provider whose server does not listen: the port was free a moment ago.
fn unreachable() -> Result<ModalProvider> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)?;
    ModalConfig::new("ak-none", "as-none").with_server_url(format!("http://{port}")).build()
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "prepare the suite", cause.to_string())
}
