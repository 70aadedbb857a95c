//! From a reference to layers in the sink.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::auth::Credentials;
use super::body::{self, Sink};
use super::client::Repository;
use super::error::PullError;
use super::reference::Reference;
use super::send::Answer;
use crate::archive::blob::{LayerBlob, expect_digest};
use crate::archive::manifest::{Configuration, Index, Manifest};
use crate::archive::{ImportError, Imported, oci};
use crate::error::FileError;
use crate::ids::IdRange;
use crate::layer::LayerId;
use crate::limits::Budget;
use crate::sink::{LayerSink, Published, StagedLayer};
use crate::unpack::{UnpackReport, digest_of};
use crate::{ImageConfig, ImportOptions, ImportReport, Platform};

/// Indexes inside indexes; one is usual for a multi-platform image.
const INDEX_DEPTH: usize = 3;
/// Layers of one image: the kernel takes 500 in one mount.
const LAYERS: usize = 480;

/// How far a pull is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of layers that came, as the registry stores them.
    pub done: u64,
    /// All of those bytes; layers that were there before do not count.
    pub total: u64,
}

/// A pulled image whose new layers are whole and wait to be published. Dropped, they are removed.
#[derive(Debug)]
pub struct Pulled {
    layers: Vec<LayerId>,
    staged: Staged,
    config: ImageConfig,
    digest: String,
    reference: String,
    report: ImportReport,
}

impl Pulled {
    /// Moves the new layers into the sink. Blocks while they are written to disk.
    ///
    /// # Errors
    /// When that fails; layers that were published by then stay.
    pub fn publish(mut self, sink: &LayerSink) -> Result<Imported, FileError> {
        for (id, staged) in std::mem::take(&mut self.staged.0) {
            match staged.publish(&id)? {
                Published::Fresh => self.report.unpacked_layers += 1,
                Published::Reused => self.report.reused_layers += 1,
            }
        }
        debug_assert!(
            self.layers.iter().all(|id| sink.contains(id)),
            "the caller keeps layers from being removed"
        );
        Ok(Imported {
            layers: self.layers,
            config: self.config,
            digest: self.digest,
            references: vec![self.reference],
            report: self.report,
        })
    }
}

/// Layers that nobody sees yet.
#[derive(Debug, Default)]
struct Staged(Vec<(LayerId, StagedLayer)>);

impl Drop for Staged {
    fn drop(&mut self) {
        let layers = std::mem::take(&mut self.0);
        if layers.is_empty() {
            return;
        }
        // A thread of its own, because removing large trees must not hold up a runtime. Where none can be had it is done here.
        let thread = std::thread::Builder::new().name("lattice-undo".to_owned());
        drop(thread.spawn(move || drop(layers)));
    }
}

/// Pulls the image of `reference` for the platform of `options`.
///
/// Manifests, configuration, blobs and uncompressed layers are checked against their digests; layers come one after the other and are
/// unpacked as they come, as strictly as by [`crate::import`]; those that `sink` has already are not downloaded. Credentials go to
/// the registry and to the token service that it names, over TLS; only a registry on loopback is spoken to in plain HTTP.
/// `progress` is told of every piece. The caller must keep the sink's layers from being removed until it has recorded the image.
///
/// Needs a tokio runtime with I/O and time. Dropping the future, or a failure, leaves nothing in the sink.
///
/// # Errors
/// See [`PullError`].
pub async fn pull(
    reference: &Reference,
    credentials: Option<&Credentials>,
    sink: &Arc<LayerSink>,
    options: &ImportOptions,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Pulled, PullError> {
    let mut repository = Repository::new(reference, credentials);
    let plan = plan(&mut repository, reference, options).await?;
    let mut pulled = Pulled {
        layers: Vec::new(),
        staged: Staged::default(),
        config: plan.config,
        digest: plan.digest,
        reference: reference.to_string(),
        report: ImportReport::default(),
    };
    let missing = missing(&plan.layers, sink, &mut pulled)?;
    let mut state = Download {
        budget: Budget::new(options.limits),
        ids: options.ids,
        progress: Progress { done: 0, total: total(&missing, options.limits.bytes)? },
        tell: progress,
    };
    progress(state.progress);
    for (id, blob) in missing {
        let staged = state.layer(&mut repository, sink, blob, &mut pulled.report.unpacked).await?;
        pulled.staged.0.push((id, staged));
    }
    Ok(pulled)
}

/// An image as its registry describes it.
struct Plan {
    layers: Vec<LayerBlob>,
    config: ImageConfig,
    digest: String,
}

async fn plan(
    repository: &mut Repository<'_>,
    reference: &Reference,
    options: &ImportOptions,
) -> Result<Plan, PullError> {
    let (name, manifest) = manifest(repository, reference, &options.platform).await?;
    let config = repository.small_blob(oci::known_digest(&name, &manifest.config.digest)?).await?;
    let configuration: Configuration = oci::checked(&manifest.config, &config)?;
    oci::check_platform(&configuration, &options.platform)?;
    let diff_ids = &configuration.rootfs.diff_ids;
    oci::check_count(&name, diff_ids.len(), manifest.layers.len())?;
    if diff_ids.len() > LAYERS {
        let reason = format!("lists {} layers, and {LAYERS} can be mounted", diff_ids.len());
        return Err(ImportError::Malformed { name, reason }.into());
    }
    let layers = manifest.layers.iter().zip(diff_ids);
    let layers =
        layers.map(|(layer, diff_id)| oci::layer_blob(&name, layer, diff_id)).collect::<Result<_, _>>()?;
    Ok(Plan { layers, config: configuration.image_config(), digest: manifest.config.digest })
}

/// The manifest for the platform, through as many indexes as it takes, with a name for errors.
async fn manifest(
    repository: &mut Repository<'_>,
    reference: &Reference,
    platform: &Platform,
) -> Result<(String, Manifest), PullError> {
    let mut name = format!("manifest {}", reference.version());
    let mut bytes = repository.manifest(reference.version()).await?;
    if let Some(digest) = reference.digest() {
        expect_digest(&name, digest, digest_of(&bytes))?;
    }
    for _ in 0..=INDEX_DEPTH {
        let Some(index) = index(&name, &bytes)? else {
            return Ok((name.clone(), oci::parse(&name, &bytes)?));
        };
        let entry = oci::first_fitting(index, platform)?;
        let digest = oci::known_digest(&name, &entry.digest)?.to_owned();
        bytes = repository.manifest(&digest).await?;
        oci::check_bytes(&entry, &bytes)?;
        name = format!("manifest {digest}");
    }
    Err(ImportError::Malformed { name, reason: "nests indexes too deeply".to_owned() }.into())
}

/// The document as an index, if it is one: it has `manifests` where a manifest has `layers`.
fn index(name: &str, bytes: &[u8]) -> Result<Option<Index>, ImportError> {
    let document: serde_json::Value = oci::parse(name, bytes)?;
    if document.get("manifests").is_none() {
        return Ok(None);
    }
    oci::parse(name, bytes).map(Some)
}

/// The layers to download, each once; all of them are noted in their order.
fn missing(
    layers: &[LayerBlob],
    sink: &LayerSink,
    pulled: &mut Pulled,
) -> Result<Vec<(LayerId, LayerBlob)>, ImportError> {
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for blob in layers {
        let id = blob.layer_id()?;
        pulled.layers.push(id.clone());
        if sink.contains(&id) {
            pulled.report.reused_layers += 1;
        } else if seen.insert(id.clone()) {
            missing.push((id, blob.clone()));
        }
    }
    Ok(missing)
}

/// The bytes to come; compressed layers that are larger than what they may unpack to are no layers.
fn total(missing: &[(LayerId, LayerBlob)], limit: u64) -> Result<u64, ImportError> {
    let sizes = missing.iter().map(|(_, blob)| blob.stored.as_ref().map_or(0, |(_, size)| *size));
    let total = sizes.fold(0, u64::saturating_add);
    if total <= limit {
        return Ok(total);
    }
    let reason = format!("lists layers of {total} bytes, more than the {limit} that are taken");
    Err(ImportError::Malformed { name: "manifest".to_owned(), reason })
}

/// What one layer's download hands to the next.
struct Download<'a> {
    budget: Budget,
    ids: IdRange,
    progress: Progress,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Download<'_> {
    /// Downloads and unpacks one layer.
    async fn layer(
        &mut self,
        repository: &mut Repository<'_>,
        sink: &Arc<LayerSink>,
        blob: LayerBlob,
        sum: &mut UnpackReport,
    ) -> Result<StagedLayer, PullError> {
        let digest = blob.stored.as_ref().map(|(digest, _)| digest.clone()).unwrap_or_default();
        let answer = repository.blob(&digest).await?;
        let (pipe, source) = body::pipe();
        let (sink, ids, mut budget) = (Arc::clone(sink), self.ids, self.budget.clone());
        let unpacking = tokio::task::spawn_blocking(move || {
            let staged = sink.stage()?;
            let report = blob.unpack(source, &staged, ids, &mut budget)?;
            Ok::<_, ImportError>((staged, report, budget))
        });
        let pumped = self.pump(answer, pipe).await;
        let unpacked = unpacking.await;
        // What broke the download is the reason for whatever the unpacker says of it.
        pumped.map_err(|error| repository.unreachable(error))?;
        let (staged, report, budget) = match unpacked {
            Ok(unpacked) => unpacked?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => return Err(repository.unreachable(io::Error::other(error))),
            },
        };
        self.budget = budget;
        sum.add(report);
        Ok(staged)
    }

    /// Passes the body on until its end, or until the unpacker has given up.
    async fn pump(&mut self, mut answer: Answer, pipe: Sink) -> io::Result<()> {
        while let Some(piece) = answer.piece().await? {
            self.progress.done += piece.len() as u64;
            (self.tell)(self.progress);
            if !pipe.put(piece).await {
                return Ok(());
            }
        }
        pipe.end().await;
        Ok(())
    }
}
