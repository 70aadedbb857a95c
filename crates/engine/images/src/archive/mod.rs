//! Import of an image archive: an OCI layout, as a directory or a tar of one, or what `docker save` writes.

pub(crate) mod blob;
mod docker;
pub(crate) mod manifest;
pub(crate) mod oci;
mod platform;
mod source;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::ids::IdRange;
use crate::layer::LayerId;
use crate::limits::{Budget, Limits};
use crate::sink::{LayerSink, Published};
use crate::unpack::{UnpackError, UnpackReport};

pub use manifest::ImageConfig;
pub use platform::Platform;

use blob::LayerBlob;
use source::Source;

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The store's id range, by which owners are shifted.
    pub ids: IdRange,
    /// Caps on what the image may unpack to.
    pub limits: Limits,
    /// Which image of a multi-platform archive to take.
    pub platform: Platform,
}

impl ImportOptions {
    /// The machine's own platform and the default limits.
    #[must_use]
    pub fn new(ids: IdRange) -> Self {
        Self { ids, limits: Limits::default(), platform: Platform::of_this_machine() }
    }
}

/// An image whose layers are in the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Layers from the lowest to the highest, named by the digest of their uncompressed tar (`sha256-…`).
    pub layers: Vec<LayerId>,
    /// What the image says of how to run it.
    pub config: ImageConfig,
    /// `sha256:` digest of the image's configuration, which is the image's identity.
    pub digest: String,
    /// Names that the archive gives to the image, as written there.
    pub references: Vec<String>,
    /// What the import did.
    pub report: ImportReport,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Layers that were unpacked.
    pub unpacked_layers: u64,
    /// Layers that the sink had already.
    pub reused_layers: u64,
    /// Sum over the layers that were unpacked.
    pub unpacked: UnpackReport,
}

/// Why an archive was not imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The archive or the sink could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Neither an OCI layout nor a `docker save` archive.
    #[error(
        "{path:?} is no image archive: it has neither 'oci-layout' with 'index.json' nor 'manifest.json'"
    )]
    NotAnArchive {
        /// The archive.
        path: PathBuf,
    },
    /// The archive is damaged as a file.
    #[error("the archive is damaged")]
    Damaged(#[source] io::Error),
    /// The archive lacks a file that its manifest names.
    #[error("the archive has no {name:?}")]
    Missing {
        /// The file.
        name: String,
    },
    /// A manifest or configuration is no valid JSON of its kind.
    #[error("{name:?} is malformed")]
    Json {
        /// The file.
        name: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A manifest contradicts itself or the specification.
    #[error("{name:?} {reason}")]
    Malformed {
        /// The file.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Bytes do not have the digest that names them.
    #[error("{name:?} has digest {found}, not {wanted}")]
    Digest {
        /// The file.
        name: String,
        /// By manifest or configuration.
        wanted: String,
        /// Of the bytes.
        found: String,
    },
    /// The archive has several images.
    #[error("the archive holds several images ({}): save one alone", names.join(", "))]
    Ambiguous {
        /// Their names or digests.
        names: Vec<String>,
    },
    /// No image for the platform.
    #[error("the archive has no image for {wanted}, only for {}", offered.join(", "))]
    Platform {
        /// The platform asked for.
        wanted: Platform,
        /// The platforms that the archive has.
        offered: Vec<String>,
    },
    /// A layer or manifest of a kind that is not supported.
    #[error("{name:?} is of type {media_type:?}, which is not supported")]
    MediaType {
        /// The file.
        name: String,
        /// Its media type.
        media_type: String,
    },
    /// A layer could not be unpacked.
    #[error("cannot unpack layer {name:?}")]
    Layer {
        /// The layer's file in the archive.
        name: String,
        /// Why.
        source: UnpackError,
    },
}

/// An image as an archive describes it, before any layer is read.
#[derive(Debug)]
struct Plan {
    layers: Vec<LayerBlob>,
    config: ImageConfig,
    digest: String,
    references: Vec<String>,
}

/// Imports the image in `archive` into `sink`.
///
/// The archive is told by its content; a gzip or zstd compressed tar is taken too, as are gzip, zstd and plain layers.
/// The digests of manifests, configuration, layer blobs and uncompressed layers are checked before a layer appears in
/// the sink; layers that are there already are not read again. Unpacking is as strict as [`crate::unpack_layer`].
/// Blocks for as long as unpacking takes; a crash leaves whole layers that nothing names, and a temporary folder that
/// [`LayerSink::sweep`] removes.
///
/// # Errors
/// See [`ImportError`]; layers that were complete by then stay in the sink.
pub fn import(archive: &Path, sink: &LayerSink, options: &ImportOptions) -> Result<Imported, ImportError> {
    let source = Source::open(archive, sink, options.limits.bytes)?;
    let plan = if source.has("oci-layout") && source.has("index.json") {
        oci::plan(&source, &options.platform)?
    } else if source.has("manifest.json") {
        docker::plan(&source, &options.platform)?
    } else {
        return Err(ImportError::NotAnArchive { path: archive.to_owned() });
    };
    let mut budget = Budget::new(options.limits);
    let (mut layers, mut report) = (Vec::new(), ImportReport::default());
    for blob in &plan.layers {
        layers.push(import_layer(&source, blob, sink, options.ids, &mut budget, &mut report)?);
    }
    let Plan { config, digest, references, .. } = plan;
    Ok(Imported { layers, config, digest, references, report })
}

fn import_layer(
    source: &Source,
    blob: &LayerBlob,
    sink: &LayerSink,
    ids: IdRange,
    budget: &mut Budget,
    report: &mut ImportReport,
) -> Result<LayerId, ImportError> {
    let id = blob.layer_id()?;
    if sink.contains(&id) {
        report.reused_layers += 1;
        return Ok(id);
    }
    let staged = sink.stage()?;
    let unpacked = blob.unpack(source.reader(&blob.name)?, &staged, ids, budget)?;
    match staged.publish(&id)? {
        Published::Fresh => report.unpacked_layers += 1,
        Published::Reused => report.reused_layers += 1,
    }
    report.unpacked.add(unpacked);
    Ok(id)
}
