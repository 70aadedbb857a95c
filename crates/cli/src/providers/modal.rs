//! Modal: its own service, or any server of its protocol, where the environment or a profile names one; else a server of
//! our own in this process, on the local store.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use openlattice::{ComputeProvider, ErrorKind};
use openlattice_modal::ModalConfig;
use openlattice_modal_server::{Server, ServerConfig};

use crate::failure::{Failure, Result};
use crate::output;

/// Variables each of which says that the user means a server.
const SETTINGS: [&str; 4] = ["MODAL_SERVER_URL", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_PROFILE"];

pub(super) async fn open(state_dir: PathBuf) -> Result<Arc<dyn ComputeProvider>> {
    if is_configured() {
        return Ok(Arc::new(ModalConfig::from_env()?.build()?));
    }
    output::complain(&format!(
        "no Modal credentials and no MODAL_SERVER_URL: serving Modal's protocol in this process, on the store {}",
        state_dir.display()
    ));
    in_process(state_dir).await
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

/// Serves on a free port of loopback for as long as this process lives. Nodes and commands outlive it.
async fn in_process(state_dir: PathBuf) -> Result<Arc<dyn ComputeProvider>> {
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
    Ok(Arc::new(config.build()?))
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
