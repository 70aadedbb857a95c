//! Import of archives.

use super::{
    host,
    layers::{self, IDS, import_error},
};
use crate::{
    engine::{Engine, Inner},
    error::{Error, Result},
    id::ImageId,
    image::ImageInfo,
    store::{ImageContent, ImageRow},
};
use openlattice_images::{ImageConfig, ImportOptions, Imported, LayerSink};
use std::{
    path::Path,
    time::{Duration, SystemTime},
};

/// Longest name.
const MAX_NAME: usize = 255;
/// How long an image stays that has lost its last name: who resolved it just before may still want to use it.
const ORPHANS: Duration = Duration::from_secs(24 * 3600);

/// When an image goes away that loses its last name now.
pub(super) fn orphan_expiry() -> SystemTime {
    SystemTime::now() + ORPHANS
}

/// Imports an archive under a name.
pub(crate) async fn import(engine: &Engine, name: &str, archive: &Path) -> Result<ImageInfo> {
    check_name(name)?;
    let (name, archive) = (name.to_owned(), archive.to_owned());
    engine.blocking(move |inner| import_blocking(inner, &name, &archive)).await
}

fn import_blocking(inner: &Inner, name: &str, archive: &Path) -> Result<ImageInfo> {
    let _fresh = layers::keep_fresh_layers(inner)?;
    let sink = layers::sink(inner)?;
    let imported = openlattice_images::import(archive, &sink, &ImportOptions::new(IDS))
        .map_err(|e| import_error(&archive.display().to_string(), e))?;
    record(inner, name, content(imported, &sink))
}

/// Records an image under a name, which moves to it.
pub(super) fn record(inner: &Inner, name: &str, content: ImageContent) -> Result<ImageInfo> {
    let info = ImageInfo {
        env: content.env.clone(),
        command: content.command.clone(),
        workdir: content.workdir.clone(),
        ..ImageInfo::empty(ImageId::random())
    };
    let mut row = ImageRow { info, content };
    inner.store.insert_image(&mut row, Some(name), None, orphan_expiry())?;
    Ok(row.info)
}

/// What an image says of how to run it, and its layers.
pub(super) fn content(imported: Imported, sink: &LayerSink) -> ImageContent {
    let layers = imported.layers.iter().map(|id| layers::sized(sink, id)).collect();
    ImageContent { layers, ..configured(imported.config) }
}

fn configured(config: ImageConfig) -> ImageContent {
    let pair = |text: String| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    ImageContent {
        env: config.env.into_iter().filter_map(pair).filter(|(key, _)| !key.is_empty()).collect(),
        command: config.entrypoint.into_iter().chain(config.cmd).collect(),
        workdir: config.workdir.filter(|path| path.starts_with('/')),
        user: config.user.unwrap_or_default(),
        ..ImageContent::default()
    }
}

/// A name is printable, has no spaces, and cannot be mistaken for an id or for `host`.
pub(super) fn check_name(name: &str) -> Result<()> {
    let printable = name.bytes().all(|b| b.is_ascii_graphic());
    if printable && (1..=MAX_NAME).contains(&name.len()) && name != host::NAME && !name.starts_with("im-") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name:?} is no image name: use printable characters, not \"host\" and not \"im-…\""
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for bad in ["", "host", "im-abc", "a b", "a\n", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad:?} was taken");
        }
        assert!(check_name("python:3.12-slim").is_ok());
    }

    #[test]
    fn an_image_says_how_to_run_it() {
        let config = ImageConfig {
            env: vec!["A=b=c".to_owned(), "broken".to_owned()],
            cmd: vec!["-c".to_owned()],
            entrypoint: vec!["sh".to_owned()],
            workdir: Some("/app".to_owned()),
            user: None,
        };
        let content = configured(config);
        assert_eq!(content.env, [("A".to_owned(), "b=c".to_owned())]);
        assert_eq!(content.command, ["sh", "-c"]);
    }
}
