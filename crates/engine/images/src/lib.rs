//! Images: archives, layers and the folder that keeps them.
//!
//! This crate turns an OCI layout, a `docker save` archive or an image of a registry into layer folders that an overlay mount can
//! use as they are, copies a sandbox's writable layer into such a folder, and builds the two small layers of the image
//! `host`. It works on folders only: names, tags and reference counts belong to the engine.
//!
//! # Layer folders
//!
//! A layer is a plain tree in overlayfs's own format: a deleted path is a character device 0:0, a directory that
//! hides the one below carries the extended attribute `trusted.overlay.opaque=y`. Owners are *shifted*: what the
//! image calls id 0 is [`IdRange::base`] on the host, so that a layer mounts as a plain overlay lower below a user
//! namespace that maps the same range, and so that a setuid file in a layer means nothing to the host.
//!
//! Every layer is built in a locked temporary folder beside its place ([`StagedLayer`]) and renamed, so a reader
//! sees a whole layer or none; [`LayerSink::sweep`] removes what a crash left.
//!
//! # What is needed
//!
//! Linux 5.6 (`openat2(2)`), `/proc` mounted, and for anything that sets owners, whiteouts or `trusted` attributes the
//! capabilities of root in the first user namespace.

mod archive;
mod copy;
mod error;
mod host;
mod ids;
mod layer;
mod limits;
pub mod registry;
mod sink;
pub mod testing;
mod tree;
mod unpack;

pub use archive::{ImageConfig, ImportError, ImportOptions, ImportReport, Imported, Platform, import};
pub use copy::{CopyReport, copy_tree};
pub use error::FileError;
pub use host::{HostError, build_host_skeleton, build_usr_mask, skeleton_fingerprint, usr_fingerprint};
pub use ids::IdRange;
pub use layer::{InvalidLayerId, LayerId};
pub use limits::{Budget, Limits};
pub use sink::{LayerSink, Published, StagedLayer};
pub use tree::remove::remove_tree;
pub use unpack::{UnpackError, UnpackReport, unpack_layer};
