//! The layer above the machine's `/usr`.

use std::path::Path;

use super::HostError;
use super::builder::Builder;
use crate::error::failed;
use crate::ids::IdRange;
use crate::tree::attributes;

/// Builds in the empty directory `dest` the layer that makes `/usr/local` an empty directory.
///
/// What an administrator put into `/usr/local` is no part of the system that the image `host` stands for. The layer's
/// root is `/usr`: stack it on a clone of the machine's `/usr`, as the engine's second overlay does.
///
/// # Errors
/// When a file cannot be written, or `trusted` attributes cannot be set (they need root).
pub fn build_usr_mask(dest: &Path, ids: IdRange) -> Result<(), HostError> {
    let builder = Builder::new(dest, ids)?;
    builder.directory("local", 0o755)?;
    attributes::set_opaque(builder.open("local")?)
        .map_err(failed("hide what is below", dest.join("local")))?;
    for name in ["bin", "etc", "games", "include", "lib", "sbin", "share", "src"] {
        builder.directory(Path::new("local").join(name), 0o755)?;
    }
    Ok(())
}
