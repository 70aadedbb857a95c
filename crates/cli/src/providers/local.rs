//! This machine.

use std::path::PathBuf;
use std::sync::Arc;

use openlattice::ComputeProvider;
use openlattice_local::LocalProvider;

use crate::failure::Result;

pub(super) async fn open(state_dir: PathBuf) -> Result<Arc<dyn ComputeProvider>> {
    let provider = LocalProvider::open(state_dir).await?;
    Ok(Arc::new(provider))
}
