//! The engine's use of the layer folder.

use crate::{
    engine::Inner,
    error::{Error, ErrorKind, Result},
    idmap, store,
};
use openlattice_images::{FileError, HostError, IdRange, ImportError, LayerId, LayerSink};
use rustix::fs::FlockOperation;
use std::fs::File;

/// The store's id range, as layers have it.
pub(super) const IDS: IdRange = IdRange { base: idmap::BASE, count: idmap::COUNT };

/// The store's layers.
pub(super) fn sink(inner: &Inner) -> Result<LayerSink> {
    LayerSink::open(&inner.store.layers_dir()).map_err(file_error)
}

/// Keeps `gc` away from layers that no image refers to yet.
pub(super) fn keep_fresh_layers(inner: &Inner) -> Result<Option<File>> {
    inner.store.lock("layers", FlockOperation::LockShared)
}

/// A layer with its bytes on disk, as images refer to it.
pub(super) fn sized(sink: &LayerSink, id: &LayerId) -> (String, u64) {
    (id.as_str().to_owned(), store::disk_usage(&sink.path(id)))
}

/// Removes layers that no image refers to and says how many bytes that gave back. Leaves them to the next time when somebody adds
/// some just now.
pub(super) fn remove_unused(inner: &Inner) -> Result<u64> {
    let Some(_lock) = inner.store.lock("layers", FlockOperation::NonBlockingLockExclusive)? else {
        return Ok(0);
    };
    let (sink, mut bytes) = (sink(inner)?, 0);
    for id in sink.list().map_err(file_error)? {
        if !inner.store.layer_is_used(id.as_str())? {
            bytes += store::disk_usage(&sink.path(&id));
            sink.remove(&id).map_err(file_error)?;
        }
    }
    Ok(bytes)
}

/// Whether a name in the folder of layers is of one that is not finished: no layer has such a name.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.parse::<LayerId>().is_err()
}

pub(super) fn file_error(error: FileError) -> Error {
    let kind = Error::io("", std::io::Error::from(error.source.kind())).kind();
    Error::new(kind, "the layer store refuses").with_source(error)
}

pub(super) fn host_error(error: HostError) -> Error {
    let kind = match &error {
        HostError::File(error) => Error::io("", std::io::Error::from(error.source.kind())).kind(),
        _ => ErrorKind::Unsupported,
    };
    Error::new(kind, "cannot build the image \"host\"").with_source(error)
}

pub(super) fn import_error(image: &str, error: ImportError) -> Error {
    let kind = match &error {
        ImportError::File(error) => Error::io("", std::io::Error::from(error.source.kind())).kind(),
        ImportError::Platform { .. } | ImportError::MediaType { .. } => ErrorKind::Unsupported,
        _ => ErrorKind::InvalidArgument,
    };
    Error::new(kind, format!("cannot import {image}")).with_source(error)
}
