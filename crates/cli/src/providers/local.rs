//! This machine.

use std::path::PathBuf;

use openlattice_local::LocalProvider;

use super::Opened;
use crate::failure::Result;

pub(super) async fn open(state_dir: PathBuf) -> Result<Opened> {
    Ok(Opened::new(LocalProvider::open(state_dir).await?, None))
}
