//! What `docker save` writes: `manifest.json` beside configuration and layers.

use super::blob::LayerBlob;
use super::manifest::{Configuration, SavedImage};
use super::oci::{check_count, check_platform, parse};
use super::platform::Platform;
use super::source::Source;
use super::{ImportError, Plan};
use crate::unpack::digest_of;

const MANIFEST: &str = "manifest.json";

pub(super) fn plan(source: &Source, platform: &Platform) -> Result<Plan, ImportError> {
    let mut images: Vec<SavedImage> = parse(MANIFEST, &source.document(MANIFEST)?)?;
    if images.len() > 1 {
        let name = |image: &SavedImage| image.repo_tags.first().unwrap_or(&image.config).clone();
        return Err(ImportError::Ambiguous { names: images.iter().map(name).collect() });
    }
    let Some(image) = images.pop() else {
        let reason = "lists no image".to_owned();
        return Err(ImportError::Malformed { name: MANIFEST.to_owned(), reason });
    };
    let bytes = source.document(&image.config)?;
    let digest = digest_of(&bytes);
    check_named_digest(&image.config, &digest)?;
    let configuration: Configuration = parse(&image.config, &bytes)?;
    check_platform(&configuration, platform)?;
    let diff_ids = &configuration.rootfs.diff_ids;
    check_count(&image.config, diff_ids.len(), image.layers.len())?;
    let layer = |(name, diff_id): (&String, &String)| LayerBlob {
        name: name.clone(),
        // The format gives no digest of the stored bytes; the digest of the uncompressed tar decides.
        stored: None,
        diff_id: diff_id.clone(),
    };
    let layers = image.layers.iter().zip(diff_ids).map(layer).collect();
    Ok(Plan { layers, config: configuration.image_config(), digest, references: image.repo_tags })
}

/// A configuration named by a digest, `HEX.json` or `blobs/sha256/HEX`, must have it.
fn check_named_digest(name: &str, found: &str) -> Result<(), ImportError> {
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".json");
    let named = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wanted = format!("sha256:{stem}");
    if named && wanted != found {
        let name = name.to_owned();
        return Err(ImportError::Digest { name, wanted, found: found.to_owned() });
    }
    Ok(())
}
