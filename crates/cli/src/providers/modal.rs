//! Modal: its own service, or any server of its protocol, where the environment or a profile names one; else a server of
//! our own in this process, on the local store.

use std::env;
use std::fs;
use std::path::PathBuf;

use openlattice::ErrorKind;
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Server, ServerConfig};

use super::Opened;
use crate::failure::{Failure, Result};
use crate::output;

/// Variables each of which says that the user means a server.
const SETTINGS: [&str; 4] = ["MODAL_SERVER_URL", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_PROFILE"];
/// What Modal's own service gives beyond a server of this project.
const OF_MODAL: &str = "GPUs, outbound network, regions";
/// What a server of this project does not give.
const NOT_OURS: &str = "no GPUs, no outbound network";

pub(super) async fn open(state_dir: PathBuf) -> Result<Opened> {
    if is_configured() {
        let provider = ModalConfig::from_env()?.build()?;
        let server = named(&provider);
        return Ok(Opened::new(provider, Some(server)));
    }
    let server = format!(
        "no Modal credentials and no MODAL_SERVER_URL: the built-in server in this process, on the store {} ({NOT_OURS})",
        state_dir.display()
    );
    Ok(Opened::new(in_process(state_dir).await?, Some(server)))
}

/// Whose server a provider speaks to, and what that one gives.
fn named(provider: &ModalProvider) -> String {
    let config = provider.client().config();
    let url = config.server_url();
    if config.is_modal_service() {
        format!("Modal's cloud at {url} ({OF_MODAL})")
    } else {
        format!("lattice serve, or another server of Modal's protocol, at {url} (lattice serve: {NOT_OURS})")
    }
}

/// Whether calls go to the built-in server, for which this machine matters.
pub(crate) fn is_built_in() -> bool {
    !is_configured()
}

/// Whether the environment or a profile file names a server or credentials. What is wrong in them is then reported, and
/// not taken for their absence.
fn is_configured() -> bool {
    let set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let profiles = env::var_os("MODAL_CONFIG_PATH")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".modal.toml")));
    let filled = |path: PathBuf| fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() > 0);
    SETTINGS.iter().any(set) || profiles.is_some_and(filled)
}

/// Serves on a free port of loopback for as long as this process lives. Sandboxes and commands outlive it.
async fn in_process(state_dir: PathBuf) -> Result<ModalProvider> {
    let server = Server::bind(ServerConfig::new(state_dir)).await.map_err(failed)?;
    let pair = server.credentials().cloned();
    let pair = pair
        .ok_or_else(|| Failure::new(ErrorKind::Internal, "the server in this process has no credentials"))?;
    let config = ModalConfig::new(pair.id.as_str(), pair.secret.as_str()).with_server_url(server.url());
    drop(tokio::spawn(async {
        if let Err(error) = server.serve(std::future::pending()).await {
            output::complain(&failed(error).to_string());
        }
    }));
    Ok(config.build()?)
}

/// A server that could not start or serve.
pub(crate) fn failed(error: openlattice_modal_server::Error) -> Failure {
    use openlattice_modal_server::Error as From;
    let kind = match &error {
        From::Config(_) | From::Tls(_) => ErrorKind::InvalidArgument,
        From::Listen { .. } => ErrorKind::Unavailable,
        From::Engine(error) => return Failure::from_engine(error),
        _ => ErrorKind::Internal,
    };
    Failure::from_chain(kind, &error)
}
