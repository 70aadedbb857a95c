//! Modal: its own service where the environment or a profile has a token, else a server of our own.

use std::path::PathBuf;

use super::Opened;
use crate::failure::{Failure, Result};

pub(super) async fn open(_state_dir: PathBuf) -> Result<Opened> {
    Err(Failure::new(openlattice::ErrorKind::Unsupported, "provider modal is not offered by this build"))
}
