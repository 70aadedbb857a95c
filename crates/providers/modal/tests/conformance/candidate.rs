//! What is judged: the provider with a server of this project behind it, or with Modal's own service.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use openlattice::{ComputeProvider, Error, ErrorKind, RegistryCredentials, Result};
use openlattice_conformance::{Candidate, Settings};
use openlattice_engine::{Engine, EngineConfig};
use openlattice_images::testing;
use openlattice_images::testing::registry::{Both, PASSWORD, USERNAME};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Server, ServerConfig};
use tokio::sync::oneshot;

/// The provider before a server in this process, on a store of its own, with sandboxes of one generation and with something over it.
pub(crate) async fn in_process(
    second_generation: bool,
    over: impl Fn(Arc<dyn ComputeProvider>) -> Arc<dyn ComputeProvider>,
) -> Result<Candidate> {
    let store = tempfile::tempdir().map_err(failed)?;
    let image_with_command = import_with_command(store.path()).await?;
    let server = Server::bind(ServerConfig::new(store.path())).await.map_err(failed)?;
    let pair = server.credentials().cloned().ok_or_else(|| failed("the server has no credentials"))?;
    let url = server.url();
    let config = || {
        let mut config = ModalConfig::new(pair.id.as_str(), pair.secret.as_str()).with_server_url(&url);
        config.sandbox_v2 = Some(second_generation);
        config
    };
    // Dropping the sender, with the candidate, ends the server.
    let (stop, stopped) = oneshot::channel::<()>();
    drop(tokio::spawn(server.serve(async move { stopped.await.unwrap_or_default() })));
    let mut settings = Settings::new("modal", "host");
    settings.image_with_command = Some(image_with_command);
    let registries = Both::start("pulling through the provider modal").map_err(failed)?;
    if let Some(both) = &registries {
        let credentials = RegistryCredentials { username: USERNAME.to_owned(), password: PASSWORD.into() };
        settings.registry_image = Some(both.public_image.clone());
        settings.private_image = Some((both.private_image.clone(), credentials));
        settings.missing_image = both.open.reference("no-such-image", "0");
    }
    let candidate = Candidate::new(over(Arc::new(config().build()?)), settings);
    Ok(candidate
        .keeping(registries)
        .with_peer(over(Arc::new(config().build()?)))
        .with_unreachable(Arc::new(unreachable()?))
        .keeping(stop)
        .keeping(store))
}

/// Imports an image whose own command ends at once, and gives its name.
async fn import_with_command(store: &Path) -> Result<String> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let archive = folder.path().join("image.tar");
    testing::write_archive_with_command(&archive).map_err(failed)?;
    let engine = Engine::open(EngineConfig::new(store)).await.map_err(failed)?;
    engine.import_image("own-command", &archive).await.map_err(failed)?;
    Ok("own-command".to_owned())
}

/// A provider whose server does not listen: the port was free a moment ago.
pub(crate) fn unreachable() -> Result<ModalProvider> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(failed)?;
    ModalConfig::new("ak-none", "as-none").with_server_url(format!("http://{port}")).build()
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "prepare the suite", cause.to_string())
}
