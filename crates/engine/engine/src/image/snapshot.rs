//! Images of a sandbox's file system.

use super::layers::{self, file_error};
use crate::{
    cgroup,
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::{ImageId, SandboxId},
    image::{ImageInfo, SnapshotSpec, import::orphan_expiry},
    lifecycle::remove::free_files,
    store::{ImageContent, ImageRow, Phase, SandboxRow},
};
use openlattice_images::{LayerId, LayerSink, StagedLayer, copy_tree, usr_fingerprint};
use rustix::fs::FlockOperation;
use std::{fs::File, path::Path, time::SystemTime};

/// Most layers of one mount: the kernel takes 500 (measured on Linux 6.18).
const MAX_LAYERS: usize = 480;

/// Makes an image of a sandbox.
pub(crate) async fn snapshot(engine: &Engine, id: &SandboxId, spec: SnapshotSpec) -> Result<ImageInfo> {
    let id = id.clone();
    engine.blocking(move |inner| take(inner, &id, &spec)).await
}

fn take(inner: &Inner, id: &SandboxId, spec: &SnapshotSpec) -> Result<ImageInfo> {
    if let Some(known) = find_key(inner, id, spec)? {
        return Ok(known);
    }
    let row = inner.row(id)?;
    let base = base(inner, &row)?;
    let only = lock(inner, id)?;
    if let Some(known) = find_key(inner, id, spec)? {
        return Ok(known);
    }
    let _fresh = layers::keep_fresh_layers(inner)?;
    let sink = layers::sink(inner)?;
    let copies = copy(inner, id, &sink, &base)?;
    drop(only);
    // One that has ended meanwhile has kept its files for this copy.
    drop(inner.row(id).and_then(|row| free_files(inner, &row)));
    let mut content = publish(&sink, base, copies)?;
    if let Some(user) = &spec.user {
        content.user.clone_from(user);
    }
    if let Some(command) = &spec.command {
        content.command.clone_from(command);
    }
    let mut image = image(id, spec, content)?;
    inner.store.insert_image(&mut image, None, spec.key.as_deref(), orphan_expiry())?;
    Ok(image.info)
}

fn find_key(inner: &Inner, id: &SandboxId, spec: &SnapshotSpec) -> Result<Option<ImageInfo>> {
    let Some(key) = &spec.key else { return Ok(None) };
    Ok(inner.store.snapshot_of_key(id, key)?.map(|row| row.info))
}

/// One snapshot at a time.
fn lock(inner: &Inner, id: &SandboxId) -> Result<Option<File>> {
    match inner.lock_snapshot(id, FlockOperation::LockExclusive) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(gone(id)),
        lock => lock,
    }
}

fn gone(id: &SandboxId) -> Error {
    Error::new(ErrorKind::FailedPrecondition, format!("the files of sandbox {id} are gone"))
}

/// What the sandbox was made from.
fn base(inner: &Inner, row: &SandboxRow) -> Result<ImageContent> {
    let id = &row.info.id;
    match row.phase {
        Phase::Creating => row.require_running()?,
        Phase::Ended if !row.files => return Err(gone(id)),
        // Its writable layer was never forced to disk (the overlay is mounted volatile).
        Phase::Ended if row.creator.before_this_boot() => return Err(gone(id)),
        _ => {}
    }
    let image = inner.store.find_image(row.info.image.as_str())?.ok_or_else(|| {
        Error::new(
            ErrorKind::FailedPrecondition,
            format!("the image {} of sandbox {id} was removed", row.info.image),
        )
    })?;
    let content = image.content;
    if content.layers.len().max(content.usr.as_ref().map_or(0, Vec::len)) >= MAX_LAYERS {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("a chain of more than {MAX_LAYERS} snapshots cannot be mounted"),
        ));
    }
    Ok(content)
}

/// Copies of the two writable layers; none of one that is empty.
struct Copies {
    root: Option<StagedLayer>,
    usr: Option<StagedLayer>,
}

/// Copies while nothing in the sandbox runs. It may end meanwhile, which changes no file.
fn copy(inner: &Inner, id: &SandboxId, sink: &LayerSink, base: &ImageContent) -> Result<Copies> {
    let dir = inner.store.sandbox_dir(id);
    let frozen = match inner.row(id)?.phase {
        Phase::Ended => None,
        _ => Some(Frozen::new(inner, id)?),
    };
    let root = copy_layer(sink, &dir.join("upper"))?;
    let usr = base.usr.is_some().then(|| copy_layer(sink, &dir.join("usr-upper"))).transpose()?.flatten();
    frozen.map_or(Ok(()), Frozen::thaw)?;
    Ok(Copies { root, usr })
}

fn copy_layer(sink: &LayerSink, upper: &Path) -> Result<Option<StagedLayer>> {
    let staged = sink.stage().map_err(file_error)?;
    let report = copy_tree(upper, &staged).map_err(file_error)?;
    Ok((report.entries > 0).then_some(staged))
}

/// A sandbox in which nothing runs until it is dropped. The row says so, for the case that this process dies.
struct Frozen<'a> {
    inner: &'a Inner,
    id: &'a SandboxId,
    armed: bool,
}

impl<'a> Frozen<'a> {
    fn new(inner: &'a Inner, id: &'a SandboxId) -> Result<Self> {
        inner.store.set_frozen(id, true)?;
        let frozen = Self { inner, id, armed: true };
        match cgroup::freeze(inner.store.id(), id.as_str()) {
            // One that ended meanwhile is as still as a frozen one.
            Err(error) if inner.row(id)?.phase != Phase::Ended => Err(error),
            _ => Ok(frozen),
        }
    }

    fn thaw(mut self) -> Result<()> {
        self.armed = false;
        self.lift()
    }

    fn lift(&self) -> Result<()> {
        cgroup::thaw(self.inner.store.id(), self.id.as_str())?;
        self.inner.store.set_frozen(self.id, false)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if self.armed {
            // What failed to thaw is thawed by the next look at the sandbox, because the row still says frozen.
            drop(self.lift());
        }
    }
}

/// Puts the copies on top of what the sandbox was made from. After the thaw, because it waits for the disk.
fn publish(sink: &LayerSink, mut base: ImageContent, copies: Copies) -> Result<ImageContent> {
    base.layers.extend(publish_layer(sink, copies.root)?);
    if let Some(usr) = &mut base.usr {
        usr.extend(publish_layer(sink, copies.usr)?);
        base.fingerprint = usr_fingerprint();
    }
    Ok(base)
}

fn publish_layer(sink: &LayerSink, copy: Option<StagedLayer>) -> Result<Option<(String, u64)>> {
    let Some(copy) = copy else { return Ok(None) };
    let id = LayerId::random("snap").expect("the prefix has lower-case letters only");
    copy.publish(&id).map_err(file_error)?;
    Ok(Some(layers::sized(sink, &id)))
}

fn image(id: &SandboxId, spec: &SnapshotSpec, content: ImageContent) -> Result<ImageRow> {
    let expires_at = match spec.ttl {
        Some(ttl) => Some(
            SystemTime::now()
                .checked_add(ttl)
                .ok_or_else(|| Error::invalid("a time to live past the end of time"))?,
        ),
        None => None,
    };
    let info = ImageInfo {
        env: content.env.clone(),
        command: content.command.clone(),
        workdir: content.workdir.clone(),
        expires_at,
        snapshot_of: Some(id.clone()),
        ..ImageInfo::empty(ImageId::random())
    };
    Ok(ImageRow { info, content })
}
