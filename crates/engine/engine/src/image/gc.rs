//! What nobody needs any more.

use super::layers;
use crate::{
    config::GcReport,
    engine::Inner,
    error::{ErrorKind, Result},
};
use std::time::SystemTime;

/// Removes what crashed builds of layers have left.
pub(crate) fn sweep(inner: &Inner) -> Result<()> {
    layers::sink(inner)?.sweep().map(|_count| ()).map_err(layers::file_error)
}

/// Removes images whose time is over and layers that no image has.
pub(crate) fn collect(inner: &Inner, report: &mut GcReport) -> Result<()> {
    let now = SystemTime::now();
    for id in inner.store.expired_images(now)? {
        match inner.store.delete_image(&id, Some(now)) {
            // Somebody has made a sandbox of it meanwhile, or given it more time.
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => {}
            Err(error) => return Err(error),
            Ok(()) => report.images.push(id),
        }
    }
    sweep(inner)?;
    report.bytes += layers::remove_unused(inner)?;
    Ok(())
}
