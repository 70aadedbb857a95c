//! The one place where a provider is chosen; what follows is the same for all of them.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use openlattice::{Attachment, ComputeProvider, ProvisionSpec};
use openlattice_local::LocalProvider;
use openlattice_modal::ModalConfig;

use crate::Arguments;

/// Where the nodes of this machine are kept when `LATTICE_STATE_DIR` does not say: the folder of the command `lattice`.
const STORE: &str = "/var/lib/openlattice";

/// Builds the provider that `--provider` names: `local`, which is the default, or `modal`.
///
/// Reads `LATTICE_STATE_DIR` for the first; `MODAL_*` and `~/.modal.toml`, as Modal's own clients do, for the second.
///
/// # Errors
/// For an unknown name, a store that cannot be opened, or missing credentials.
pub async fn open(arguments: &mut Arguments) -> Result<Arc<dyn ComputeProvider>, Box<dyn Error>> {
    match arguments.value("--provider", "local".to_owned())?.as_str() {
        "local" => {
            let store = std::env::var_os("LATTICE_STATE_DIR").map_or_else(|| STORE.into(), PathBuf::from);
            Ok(Arc::new(LocalProvider::open(store).await?))
        }
        "modal" => Ok(Arc::new(ModalConfig::from_env()?.build()?)),
        other => Err(format!("no provider {other:?}: local or modal").into()),
    }
}

/// Asks for a node of the provider's default image, which lives ten minutes at most and which `gc` ends if this process dies.
pub fn spec(provider: &dyn ComputeProvider) -> ProvisionSpec {
    let mut spec = ProvisionSpec::default().with_max_seconds(600);
    if provider.capabilities().identity.owners {
        spec.attachment = Attachment::Bound;
    }
    spec
}

/// Puts an error and what caused it in one line, with the remedy where one is known.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    if let Some(hint) = error.downcast_ref::<openlattice::Error>().and_then(openlattice::Error::hint) {
        text.push_str(&format!(" ({hint})"));
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
