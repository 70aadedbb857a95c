//! OCI image layouts (OCI image specification, image-layout.md).

use super::blob::{LayerBlob, check_digest, expect_digest};
use super::manifest::{Configuration, Descriptor, Index, Manifest};
use super::platform::Platform;
use super::source::Source;
use super::{ImportError, Plan};
use crate::unpack::digest_of;

/// Indexes inside indexes; one is usual for a multi-platform image.
const INDEX_DEPTH: usize = 3;

pub(super) fn plan(source: &Source, platform: &Platform) -> Result<Plan, ImportError> {
    let index: Index = parse("index.json", &source.document("index.json")?)?;
    let mut references = Vec::new();
    let chosen = choose(source, index, platform, &mut references, INDEX_DEPTH)?;
    let (name, manifest) = blob::<Manifest>(source, &chosen)?;
    let (config_name, configuration) = blob::<Configuration>(source, &manifest.config)?;
    check_platform(&configuration, platform)?;
    let diff_ids = &configuration.rootfs.diff_ids;
    check_count(&config_name, diff_ids.len(), manifest.layers.len())?;
    let layers = manifest.layers.iter().zip(diff_ids);
    let layers =
        layers.map(|(layer, diff_id)| layer_blob(&name, layer, diff_id)).collect::<Result<_, _>>()?;
    Ok(Plan { layers, config: configuration.image_config(), digest: manifest.config.digest, references })
}

/// The number of layers must agree between manifest and configuration.
pub(crate) fn check_count(name: &str, diff_ids: usize, layers: usize) -> Result<(), ImportError> {
    if diff_ids == layers && layers > 0 {
        return Ok(());
    }
    let reason = format!("lists {diff_ids} layers where the manifest has {layers}");
    Err(ImportError::Malformed { name: name.to_owned(), reason })
}

/// The configuration's own word on what it runs on.
pub(crate) fn check_platform(configuration: &Configuration, platform: &Platform) -> Result<(), ImportError> {
    let (os, architecture) = (configuration.os.as_deref(), configuration.architecture.as_deref());
    if platform.accepts(os, architecture) {
        return Ok(());
    }
    let offered = format!("{}/{}", os.unwrap_or("unknown"), architecture.unwrap_or("unknown"));
    Err(ImportError::Platform { wanted: platform.clone(), offered: vec![offered] })
}

/// Reads a document with the error that names it.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|source| ImportError::Json { name: name.to_owned(), source })
}

/// The one manifest of `index` for `platform`, looking into nested indexes.
fn choose(
    source: &Source,
    index: Index,
    platform: &Platform,
    references: &mut Vec<String>,
    depth: usize,
) -> Result<Descriptor, ImportError> {
    let images: Vec<Descriptor> =
        index.manifests.into_iter().filter(|entry| !is_attestation(entry)).collect();
    let offered = images.iter().map(platform_text).collect();
    let mut fitting: Vec<Descriptor> = images.into_iter().filter(|entry| fits(entry, platform)).collect();
    references.extend(fitting.iter().flat_map(names).filter(|name| !name.is_empty()));
    fitting.dedup_by(|a, b| a.digest == b.digest);
    if fitting.len() > 1 {
        let names = fitting.iter().map(|entry| names(entry).next().unwrap_or_else(|| entry.digest.clone()));
        return Err(ImportError::Ambiguous { names: names.collect() });
    }
    let Some(entry) = fitting.pop() else {
        return Err(ImportError::Platform { wanted: platform.clone(), offered });
    };
    if !is_index(&entry) {
        return Ok(entry);
    }
    let (name, nested) = blob::<Index>(source, &entry)?;
    let too_deep = || ImportError::Malformed { name, reason: "nests indexes too deeply".to_owned() };
    let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
    choose(source, nested, platform, references, depth)
}

/// Reads the document that a descriptor names, checking size and digest.
fn blob<T: serde::de::DeserializeOwned>(
    source: &Source,
    descriptor: &Descriptor,
) -> Result<(String, T), ImportError> {
    let name = blob_name(&descriptor.digest)?;
    let document = checked(descriptor, &source.document(&name)?)?;
    Ok((name, document))
}

/// The document that a descriptor names, once its bytes have the size and digest that they should.
pub(crate) fn checked<T: serde::de::DeserializeOwned>(
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<T, ImportError> {
    check_bytes(descriptor, bytes)?;
    parse(&blob_name(&descriptor.digest)?, bytes)
}

/// Size and digest of what a descriptor names.
pub(crate) fn check_bytes(descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ImportError> {
    let name = blob_name(&descriptor.digest)?;
    if bytes.len() as u64 != descriptor.size {
        let reason =
            format!("has {} bytes, not the {} that its descriptor says", bytes.len(), descriptor.size);
        return Err(ImportError::Malformed { name, reason });
    }
    expect_digest(&name, &descriptor.digest, digest_of(bytes))
}

/// The digest, if it is one that can be checked; `name` is the document that gives it.
pub(crate) fn known_digest<'a>(name: &str, digest: &'a str) -> Result<&'a str, ImportError> {
    check_digest(name, digest).map(|()| digest)
}

/// The first image of an index for the platform, as registries' clients choose.
pub(crate) fn first_fitting(index: Index, platform: &Platform) -> Result<Descriptor, ImportError> {
    let images = || index.manifests.iter().filter(|entry| !is_attestation(entry));
    if let Some(entry) = images().find(|entry| fits(entry, platform)) {
        return Ok(entry.clone());
    }
    Err(ImportError::Platform { wanted: platform.clone(), offered: images().map(platform_text).collect() })
}

fn blob_name(digest: &str) -> Result<String, ImportError> {
    check_digest("index.json", digest)?;
    Ok(format!("blobs/{}", digest.replacen(':', "/", 1)))
}

/// The layer of a descriptor.
pub(crate) fn layer_blob(
    manifest: &str,
    layer: &Descriptor,
    diff_id: &str,
) -> Result<LayerBlob, ImportError> {
    if !is_layer(&layer.media_type) {
        let (name, media_type) = (manifest.to_owned(), layer.media_type.clone());
        return Err(ImportError::MediaType { name, media_type });
    }
    let stored = Some((layer.digest.clone(), layer.size));
    Ok(LayerBlob { name: blob_name(&layer.digest)?, stored, diff_id: diff_id.to_owned() })
}

fn is_layer(media_type: &str) -> bool {
    const OCI: &str = "application/vnd.oci.image.layer.v1.tar";
    const SHARED: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    const DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    [OCI, SHARED, DOCKER].iter().any(|kind| {
        let rest = media_type.strip_prefix(kind);
        matches!(rest, Some("" | "+gzip" | "+zstd" | ".gzip" | ".zstd"))
    })
}

fn is_index(entry: &Descriptor) -> bool {
    matches!(
        entry.media_type.as_str(),
        "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json"
    )
}

/// Build provenance that stands beside the images of an index.
fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotations.contains_key("vnd.docker.reference.type")
        || entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}

fn fits(entry: &Descriptor, platform: &Platform) -> bool {
    let declared = entry.platform.as_ref();
    platform.accepts(
        declared.map(|declared| declared.os.as_str()),
        declared.map(|declared| declared.architecture.as_str()),
    )
}

fn platform_text(entry: &Descriptor) -> String {
    entry.platform.as_ref().map_or_else(
        || "an undeclared platform".to_owned(),
        |platform| format!("{}/{}", platform.os, platform.architecture),
    )
}

/// The names that tools put beside a manifest, the full one first.
fn names(entry: &Descriptor) -> impl Iterator<Item = String> {
    ["io.containerd.image.name", "org.opencontainers.image.ref.name"]
        .into_iter()
        .filter_map(|key| entry.annotations.get(key).cloned())
}
