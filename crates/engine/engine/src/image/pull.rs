//! Pull of images from registries.

use super::{
    host,
    import::{check_name, content, record},
    layers::{self, IDS, import_error},
};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    image::{ImageInfo, PullSpec},
};
use openlattice_images::{
    ImportError, ImportOptions, Imported,
    registry::{self, Credentials, Progress, PullError, Reference},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The pulls of this process that are under way, by name, so that many that want one image at once share one pull.
#[derive(Debug, Default)]
pub(crate) struct Pulls(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Pulls {
    /// The turn to pull `name`; whoever has waited for it finds what the one before has pulled.
    async fn turn(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turns = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, turns| turns.strong_count() > 0);
            let known = all.get(name).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let new = Arc::default();
                all.insert(name.to_owned(), Arc::downgrade(&new));
                new
            })
        };
        turns.lock_owned().await
    }
}

/// The image of a reference: the store's, or else its registry's.
pub(crate) async fn ensure(engine: &Engine, spec: PullSpec) -> Result<ImageInfo> {
    if let Some(known) = known(engine, &spec.reference).await? {
        return Ok(known);
    }
    let reference = parse(&spec.reference)?;
    let _turn = engine.inner().pulls.turn(&reference.to_string()).await;
    match known(engine, &spec.reference).await? {
        Some(known) => Ok(known),
        None => fetch(engine, reference, spec).await,
    }
}

/// The image of a reference as its registry has it now.
pub(crate) async fn pull(engine: &Engine, spec: PullSpec) -> Result<ImageInfo> {
    let reference = parse(&spec.reference)?;
    let _turn = engine.inner().pulls.turn(&reference.to_string()).await;
    fetch(engine, reference, spec).await
}

async fn known(engine: &Engine, reference: &str) -> Result<Option<ImageInfo>> {
    match engine.image_row(reference).await {
        Ok(row) => Ok(Some(row.info)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `host` and ids are the store's own: they are in no registry.
fn parse(text: &str) -> Result<Reference> {
    if text == host::NAME || text.starts_with("im-") {
        return Err(Error::not_found(format!("{text:?} is no image of a registry")));
    }
    let reference: Reference = text.parse().map_err(|error| Error::invalid(format!("{error}")))?;
    check_name(&reference.to_string())?;
    Ok(reference)
}

async fn fetch(engine: &Engine, reference: Reference, spec: PullSpec) -> Result<ImageInfo> {
    let (fresh, sink) = engine
        .blocking(|inner| Ok((layers::keep_fresh_layers(inner)?, Arc::new(layers::sink(inner)?))))
        .await?;
    let credentials =
        spec.credentials.map(|given| Credentials { username: given.username, password: given.password });
    let tell = move |at: Progress| {
        if let Some(progress) = &spec.progress {
            progress(at.done, at.total);
        }
    };
    let options = ImportOptions::new(IDS);
    let pulled = registry::pull(&reference, credentials.as_ref(), &sink, &options, &tell).await;
    let pulled = pulled.map_err(|error| pull_error(&reference, error))?;
    engine
        .blocking(move |inner| {
            // Until the image refers to its layers.
            let _fresh = fresh;
            let imported = pulled.publish(&sink).map_err(layers::file_error)?;
            keep(inner, &reference, imported, &sink)
        })
        .await
}

/// Records the image under its reference, unless that names this very image already.
fn keep(
    inner: &crate::engine::Inner,
    reference: &Reference,
    imported: Imported,
    sink: &openlattice_images::LayerSink,
) -> Result<ImageInfo> {
    let name = reference.to_string();
    let content = content(imported, sink);
    match inner.store.find_image(&name)? {
        Some(row) if row.content == content => Ok(row.info),
        _ => record(inner, &name, content),
    }
}

fn pull_error(reference: &Reference, error: PullError) -> Error {
    let kind = match error {
        PullError::Image(error) => return bad_image(reference, error),
        PullError::File(error) => return layers::file_error(error),
        PullError::NotFound { .. } => ErrorKind::NotFound,
        PullError::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        PullError::Denied { .. } => ErrorKind::PermissionDenied,
        PullError::Unreachable { .. } => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let error: Box<dyn std::error::Error + Send + Sync> = error.into();
    let message = format!("cannot pull {reference}: {error}");
    match error.source() {
        Some(cause) => Error::new(kind, message).with_source(cause.to_string()),
        None => Error::new(kind, message),
    }
}

/// What is wrong with the image is not the caller's fault, unlike with an archive.
fn bad_image(reference: &Reference, error: ImportError) -> Error {
    let error = import_error(&reference.to_string(), error);
    match error.kind() {
        ErrorKind::InvalidArgument => {
            let message = format!("the registry's image {reference} is damaged");
            Error::new(ErrorKind::FailedPrecondition, message).with_source(error)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m05_the_stores_own_images_are_in_no_registry() {
        for own in ["host", "im-0123456789abcdef0123456789abcdef"] {
            assert_eq!(parse(own).unwrap_err().kind(), ErrorKind::NotFound, "{own}");
        }
        assert_eq!(parse("A").unwrap_err().kind(), ErrorKind::InvalidArgument);
        assert_eq!(parse("docker.io/library/python").unwrap().to_string(), "python:latest");
    }

    #[test]
    fn m05_every_failure_of_a_pull_has_its_kind() {
        let reference: Reference = "localhost:1/a".parse().unwrap();
        let name = || reference.to_string();
        let io = std::io::Error::other("reset");
        let table = [
            (PullError::NotFound { reference: name() }, ErrorKind::NotFound),
            (PullError::Unauthenticated { reference: name(), given: true }, ErrorKind::Unauthenticated),
            (PullError::Denied { reference: name() }, ErrorKind::PermissionDenied),
            (PullError::Unreachable { host: "h".to_owned(), source: io }, ErrorKind::Unavailable),
            (PullError::Protocol { host: "h".to_owned(), reason: "lies".to_owned() }, ErrorKind::Internal),
        ];
        for (error, kind) in table {
            let error = pull_error(&reference, error);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().starts_with("cannot pull localhost:1/a:latest: "), "{error}");
        }
    }

    #[tokio::test]
    async fn one_pulls_a_name_at_a_time() {
        let pulls = Pulls::default();
        let first = pulls.turn("a").await;
        let other = pulls.turn("b").await;
        let mut second = std::pin::pin!(pulls.turn("a"));
        assert!(futures_poll(second.as_mut()).await.is_none());
        drop((first, other));
        drop(second.await);
    }

    /// What a future gives at its first look.
    async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
