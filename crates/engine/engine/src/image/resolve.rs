//! Finding images.

use super::host;
use crate::{
    engine::{Engine, Inner},
    error::Result,
    image::ImageInfo,
    store::ImageRow,
};
use openlattice_images::registry::Reference;

impl Engine {
    /// The image of a name or id.
    pub(crate) async fn image_row(&self, reference: &str) -> Result<ImageRow> {
        let reference = reference.to_owned();
        self.blocking(move |inner| find(inner, &reference)).await
    }
}

fn find(inner: &Inner, reference: &str) -> Result<ImageRow> {
    if reference == host::NAME {
        return host::ensure(inner);
    }
    if let Some(row) = inner.store.find_image(reference)? {
        return Ok(row);
    }
    for spelling in [Some(other_spelling(reference)), canonical(reference)].into_iter().flatten() {
        if let Some(row) = inner.store.find_image(&spelling)? {
            return Ok(row);
        }
    }
    inner.store.image_row(reference)
}

/// `name` for `name:latest` and the other way round.
fn other_spelling(reference: &str) -> String {
    reference.strip_suffix(":latest").map_or_else(|| format!("{reference}:latest"), str::to_owned)
}

/// The name under which a pull keeps the image of a reference: `python:latest` for `docker.io/library/python`.
fn canonical(reference: &str) -> Option<String> {
    reference.parse::<Reference>().ok().map(|reference| reference.to_string())
}

/// All images, newest first.
pub(crate) async fn list(engine: &Engine) -> Result<Vec<ImageInfo>> {
    engine
        .blocking(|inner| {
            // Where it cannot be built, the others are there all the same.
            drop(host::ensure(inner));
            Ok(inner.store.image_rows()?.into_iter().map(|row| row.info).collect())
        })
        .await
}
