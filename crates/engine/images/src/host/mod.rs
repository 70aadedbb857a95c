//! The image `host`: the machine's own `/usr` below a minimal root that holds no secret.

mod builder;
mod etc;
mod fingerprint;
mod mask;
mod skeleton;

use std::path::PathBuf;

pub use fingerprint::{skeleton_fingerprint, usr_fingerprint};
pub use mask::build_usr_mask;
pub use skeleton::build_host_skeleton;

use crate::error::FileError;

/// Why the image `host` could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// A file of the machine could not be read, or one of the layer not written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The machine keeps programs outside `/usr`.
    #[error("{path:?} is no link into /usr: the image host needs a merged /usr, import an image instead")]
    UnmergedUsr {
        /// The directory of the machine that should be a link.
        path: PathBuf,
    },
}
