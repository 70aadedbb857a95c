//! This machine.

use std::path::PathBuf;
use std::sync::Arc;

use openlattice_local::LocalProvider;

use super::Opened;
use crate::failure::Result;

pub(super) async fn open(state_dir: PathBuf) -> Result<Opened> {
    let provider = LocalProvider::open(state_dir).await?;
    Ok(Opened { provider: Arc::new(provider), _kept: None })
}
