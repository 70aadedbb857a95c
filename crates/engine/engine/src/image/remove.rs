//! Removal of images.

use super::{host, layers};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
};

/// Removes an image and the layers that only it had.
pub(crate) async fn remove(engine: &Engine, reference: &str) -> Result<()> {
    if reference == host::NAME {
        return Err(Error::new(
            ErrorKind::FailedPrecondition,
            "the image \"host\" is the machine's own and stays",
        ));
    }
    let row = engine.image_row(reference).await?;
    engine
        .blocking(move |inner| {
            inner.store.delete_image(&row.info.id, None)?;
            layers::remove_unused(inner).map(|_bytes| ())
        })
        .await
}
