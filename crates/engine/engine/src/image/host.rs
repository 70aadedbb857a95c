//! The image `host`: the machine's own `/usr` under a small root.

use super::layers::{self, IDS, file_error, host_error};
use crate::{
    engine::Inner,
    error::{Error, ErrorKind, Result},
    id::ImageId,
    image::{ImageInfo, import::orphan_expiry},
    store::{ImageContent, ImageRow},
};
use openlattice_images::{
    IdRange, LayerId, LayerSink, build_host_skeleton, build_usr_mask, skeleton_fingerprint, usr_fingerprint,
};
use rustix::fs::FlockOperation;
use std::{
    path::Path,
    sync::PoisonError,
    time::{Duration, Instant},
};

/// Its name, which no import may take.
pub(crate) const NAME: &str = "host";

/// How long the machine's state is believed to be what it was.
const FRESH: Duration = Duration::from_secs(5);

/// The image, built when there is none yet or the machine has changed since.
pub(crate) fn ensure(inner: &Inner) -> Result<ImageRow> {
    let fingerprint = inner.host_fingerprint();
    let current = |inner: &Inner| {
        Ok::<_, Error>(inner.store.find_image(NAME)?.filter(|row| row.content.fingerprint == fingerprint))
    };
    if let Some(row) = current(inner)? {
        return Ok(row);
    }
    let _building = inner.store.lock("host", FlockOperation::LockExclusive)?;
    match current(inner)? {
        Some(row) => Ok(row),
        None => build(inner, fingerprint.clone()),
    }
}

/// Refuses a snapshot that has changed a `/usr` which is not the machine's any more: what lies below those changes is another system.
pub(crate) fn check_usr(image: &ImageRow) -> Result<()> {
    let changed = image.content.usr.as_ref().is_some_and(|layers| layers.len() > 1);
    if image.info.snapshot_of.is_none() || !changed || image.content.fingerprint == usr_fingerprint() {
        return Ok(());
    }
    let message = format!(
        "the snapshot {} changed /usr, and the machine's /usr has changed since: make it anew",
        image.info.id
    );
    Err(Error::new(ErrorKind::FailedPrecondition, message))
}

impl Inner {
    /// What the image `host` is built from, looked at anew after a while.
    fn host_fingerprint(&self) -> String {
        let mut known = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((at, fingerprint)) if at.elapsed() < FRESH => fingerprint.clone(),
            _ => {
                let fingerprint = skeleton_fingerprint();
                *known = Some((Instant::now(), fingerprint.clone()));
                fingerprint
            }
        }
    }
}

fn build(inner: &Inner, fingerprint: String) -> Result<ImageRow> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::new(ErrorKind::Unsupported, "sandboxes need root on this machine: run with sudo"));
    }
    let _fresh = layers::keep_fresh_layers(inner)?;
    let sink = layers::sink(inner)?;
    let root = layer(&sink, "host", build_host_skeleton)?;
    let mask = layer(&sink, "usr", build_usr_mask)?;
    let content =
        ImageContent { layers: vec![root], usr: Some(vec![mask]), fingerprint, ..ImageContent::default() };
    let mut row = ImageRow { info: ImageInfo::empty(ImageId::random()), content };
    inner.store.insert_image(&mut row, Some(NAME), None, orphan_expiry())?;
    Ok(row)
}

type Build = fn(&Path, IdRange) -> Result<(), openlattice_images::HostError>;

fn layer(sink: &LayerSink, prefix: &str, build: Build) -> Result<(String, u64)> {
    let id = LayerId::random(prefix).expect("the prefix has lower-case letters only");
    let staged = sink.stage().map_err(file_error)?;
    build(staged.path(), IDS).map_err(host_error)?;
    staged.publish(&id).map_err(file_error)?;
    Ok(layers::sized(sink, &id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_snapshot_that_changed_another_usr_is_refused() {
        let layers = |count: usize| Some(vec![("l".to_owned(), 0); count]);
        let check = |usr, fingerprint: &str| {
            let content =
                ImageContent { usr, fingerprint: fingerprint.to_owned(), ..ImageContent::default() };
            let mut info = ImageInfo::empty(ImageId::random());
            info.snapshot_of = Some(crate::id::SandboxId::random());
            check_usr(&ImageRow { info, content })
        };
        assert_eq!(check(layers(2), "old").unwrap_err().kind(), ErrorKind::FailedPrecondition);
        check(layers(2), &usr_fingerprint()).unwrap();
        check(layers(1), "old").unwrap();
        check(None, "").unwrap();
    }
}
