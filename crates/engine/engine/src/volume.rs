//! Volumes: folders of the store that outlive sandboxes and appear in any number of them at once.
//!
//! A row comes before its folder, which its first user makes; removal marks the row, then removes the folder, then the row, and
//! whoever comes next goes on with it.

use crate::{
    engine::{Engine, Inner},
    error::{Error, Result},
    id::VolumeId,
    idmap,
    lifecycle::settle::TEARDOWN,
};
use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Longest name and scope, in bytes.
const MAX_NAME: usize = 64;
const MAX_SCOPE: usize = 256;

/// What volume to make.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VolumeSpec {
    /// Name, unique in its scope: 1 to 64 letters, digits, `-`, `_` and `.`. Nameless ones are found by their id.
    pub name: Option<String>,
    /// Scope of `name` (the Modal server: the environment, where it is not the default; others: empty).
    pub scope: String,
    /// Time after which `gc` may remove it, unless it is renewed or in use; `None`: never.
    pub ttl: Option<Duration>,
}

/// What is known of a volume.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// Id.
    pub id: VolumeId,
    /// Scope of its name.
    pub scope: String,
    /// Name.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: SystemTime,
    /// When it goes away by itself.
    pub expires_at: Option<SystemTime>,
}

/// Where a volume appears in a sandbox. Set-id bits and device nodes in it have no effect.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VolumeMount {
    /// Which.
    pub volume: VolumeId,
    /// Absolute path inside; made when missing. No part of it may be a link.
    pub path: String,
    /// Whether writes are refused.
    pub read_only: bool,
    /// The folder of the volume that appears, instead of the whole; made when missing. No part of it may be a link.
    pub sub_path: Option<String>,
}

impl Engine {
    /// Makes a volume. Goes on when the future is dropped.
    ///
    /// # Errors
    /// `AlreadyExists` for a taken name, `InvalidArgument` for a wrong one, `PermissionDenied` without root.
    pub async fn create_volume(&self, spec: VolumeSpec) -> Result<VolumeInfo> {
        self.blocking(move |inner| create(inner, spec)).await
    }

    /// The volume of an id.
    ///
    /// # Errors
    /// `NotFound` for an unknown one.
    pub async fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let id = id.clone();
        self.blocking(move |inner| inner.store.volume_row(&id)).await
    }

    /// The volume of a name in a scope.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn volume_by_name(&self, scope: &str, name: &str) -> Result<VolumeInfo> {
        let (scope, name) = (scope.to_owned(), name.to_owned());
        self.blocking(move |inner| inner.store.volume_named(&scope, &name)).await
    }

    /// Volumes of a scope, or of all, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn volumes(&self, scope: Option<&str>) -> Result<Vec<VolumeInfo>> {
        let scope = scope.map(str::to_owned);
        self.blocking(move |inner| inner.store.volume_rows(scope.as_deref())).await
    }

    /// Gives a volume another name.
    ///
    /// # Errors
    /// `NotFound` for an unknown one, `AlreadyExists` for a taken name, `InvalidArgument` for a wrong one.
    pub async fn rename_volume(&self, id: &VolumeId, name: &str) -> Result<()> {
        check_name(name)?;
        let (id, name) = (id.clone(), name.to_owned());
        self.blocking(move |inner| inner.store.rename_volume(&id, &name)).await
    }

    /// Lets a volume that was made with a time to live have it anew, from now on.
    ///
    /// # Errors
    /// `NotFound` for an unknown one, `InvalidArgument` for a time past the end of time.
    pub async fn renew_volume(&self, id: &VolumeId, ttl: Duration) -> Result<()> {
        let (id, until) = (id.clone(), end_of(ttl)?);
        self.blocking(move |inner| inner.store.renew_volume(&id, until)).await
    }

    /// Removes a volume with all that is in it. Goes on when the future is dropped.
    ///
    /// # Errors
    /// `NotFound` for an unknown one, `FailedPrecondition` (with the sandbox's id) while a living sandbox has it.
    pub async fn remove_volume(&self, id: &VolumeId) -> Result<()> {
        let id = id.clone();
        self.blocking(move |inner| remove(inner, &id, None).map(|_bytes| ())).await
    }
}

fn create(inner: &Inner, spec: VolumeSpec) -> Result<VolumeInfo> {
    spec.name.as_deref().map_or(Ok(()), check_name)?;
    if spec.scope.len() > MAX_SCOPE {
        return Err(Error::invalid(format!("a scope of a volume has at most {MAX_SCOPE} bytes")));
    }
    let mut info = VolumeInfo {
        id: VolumeId::random(),
        scope: spec.scope,
        name: spec.name,
        created_at: SystemTime::now(),
        expires_at: spec.ttl.map(end_of).transpose()?,
    };
    inner.store.insert_volume(&mut info)?;
    match folder(inner, &info.id) {
        Ok(_) => Ok(info),
        Err(error) => {
            // What cannot be taken back is an empty volume, which can be removed.
            drop(remove(inner, &info.id, None));
            Err(error)
        }
    }
}

fn end_of(ttl: Duration) -> Result<SystemTime> {
    SystemTime::now().checked_add(ttl).ok_or_else(|| Error::invalid("a time to live past the end of time"))
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name:?} is no name of a volume: use 1 to {MAX_NAME} letters, digits, '-', '_' and '.'"
    )))
}

/// The folder of a volume that there is a row of; made when missing.
pub(crate) fn folder(inner: &Inner, id: &VolumeId) -> Result<PathBuf> {
    let path = inner.store.volume_dir(id);
    make_folder(&path)
        .map_err(|e| Error::io(format!("cannot make the folder {} of a volume", path.display()), e))?;
    Ok(path)
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // One that belongs to the range is finished: what it is like is up to the sandboxes from then on.
    if fs::symlink_metadata(path)?.uid() < idmap::BASE {
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        chown(path, Some(idmap::BASE), Some(idmap::BASE))?;
    }
    Ok(())
}

/// Removes one; with a time, only if its own is over by then.
fn remove(inner: &Inner, id: &VolumeId, expired: Option<SystemTime>) -> Result<u64> {
    // One that ended unnoticed has no volume any more.
    for row in inner.store.living_sandboxes()? {
        if row.info.volumes.iter().any(|mount| mount.volume == *id) {
            inner.settled(row, TEARDOWN);
        }
    }
    inner.store.doom_volume(id, expired)?;
    finish_removal(inner, id)
}

fn finish_removal(inner: &Inner, id: &VolumeId) -> Result<u64> {
    let bytes = inner.store.discard_measured(&inner.store.volume_dir(id))?;
    inner.store.delete_volume(id)?;
    Ok(bytes)
}

/// Finishes the removals that a crash has stopped; says how many bytes that gave back.
pub(crate) fn sweep(inner: &Inner) -> Result<u64> {
    inner.store.doomed_volumes()?.iter().map(|volume| finish_removal(inner, &volume.id)).sum()
}

/// Removes those whose time is over and that no living sandbox has.
pub(crate) fn collect(inner: &Inner, report: &mut crate::GcReport) -> Result<()> {
    report.bytes += sweep(inner)?;
    let now = SystemTime::now();
    for volume in inner.store.expired_volumes(now)? {
        match remove(inner, &volume.id, Some(now)) {
            Ok(bytes) => {
                report.bytes += bytes;
                report.volumes.push(volume.id);
            }
            // In use, renewed, or removed by somebody else meanwhile.
            Err(error)
                if matches!(
                    error.kind(),
                    crate::ErrorKind::FailedPrecondition | crate::ErrorKind::NotFound
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineConfig, ErrorKind};

    fn named(name: &str) -> VolumeSpec {
        VolumeSpec { name: Some(name.to_owned()), ..VolumeSpec::default() }
    }

    async fn engine(dir: &Path) -> Option<Engine> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: volumes belong to the sandboxes' ids, which needs root");
            return None;
        }
        Some(Engine::open(EngineConfig::new(dir)).await.unwrap())
    }

    #[tokio::test]
    async fn a_crash_at_any_point_is_finished_by_the_next_round() {
        let dir = tempfile::tempdir().unwrap();
        let Some(engine) = engine(dir.path()).await else { return };
        let (kept, going) = (
            engine.create_volume(named("a")).await.unwrap(),
            engine.create_volume(named("b")).await.unwrap(),
        );
        let store = &engine.inner().store;
        // Between the row and the folder, and between the folder and its owner.
        fs::remove_dir(store.volume_dir(&kept.id)).unwrap();
        let path = folder(engine.inner(), &kept.id).unwrap();
        chown(&path, Some(0), Some(0)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        folder(engine.inner(), &kept.id).unwrap();
        let made = fs::metadata(&path).unwrap();
        assert_eq!((made.uid(), made.mode() & 0o7777), (idmap::BASE, 0o755));
        // Between the mark and the folder's removal.
        fs::write(store.volume_dir(&going.id).join("file"), "x").unwrap();
        store.doom_volume(&going.id, None).unwrap();
        assert_eq!(engine.volume(&going.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(engine.create_volume(named("b")).await.unwrap().name.as_deref(), Some("b"));
        let again = Engine::open(EngineConfig::new(dir.path())).await.unwrap();
        again.gc(crate::GcSpec::default()).await.unwrap();
        assert!(!store.volume_dir(&going.id).exists());
        assert_eq!(again.volumes(None).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn names_are_unique_in_their_scope() {
        let dir = tempfile::tempdir().unwrap();
        let Some(engine) = engine(dir.path()).await else { return };
        let first = engine.create_volume(named("a")).await.unwrap();
        let taken = engine.create_volume(named("a")).await.unwrap_err();
        assert_eq!((taken.kind(), taken.to_string().contains("\"a\"")), (ErrorKind::AlreadyExists, true));
        let other = VolumeSpec { scope: "other".to_owned(), ..named("a") };
        let second = engine.create_volume(other).await.unwrap();
        assert_eq!(engine.volume_by_name("", "a").await.unwrap().id, first.id);
        assert_eq!(engine.volumes(Some("other")).await.unwrap()[0].id, second.id);
        engine.rename_volume(&first.id, "b").await.unwrap();
        assert_eq!(engine.volume_by_name("", "a").await.unwrap_err().kind(), ErrorKind::NotFound);
        for bad in ["", "a/b", "a:b", "ä", &"x".repeat(65)] {
            assert_eq!(
                engine.create_volume(named(bad)).await.unwrap_err().kind(),
                ErrorKind::InvalidArgument,
                "{bad:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_volume_that_is_not_renewed_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let Some(engine) = engine(dir.path()).await else { return };
        let short = VolumeSpec { ttl: Some(Duration::ZERO), ..VolumeSpec::default() };
        let (gone, renewed) =
            (engine.create_volume(short.clone()).await.unwrap(), engine.create_volume(short).await.unwrap());
        let kept = engine.create_volume(named("kept")).await.unwrap();
        engine.renew_volume(&renewed.id, Duration::from_secs(600)).await.unwrap();
        engine.renew_volume(&kept.id, Duration::ZERO).await.unwrap();
        // What was found expired and is renewed before it is removed stays.
        let found = Some(SystemTime::now());
        let error = engine.inner().store.doom_volume(&renewed.id, found).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert_eq!(engine.gc(crate::GcSpec::default()).await.unwrap().volumes, [gone.id]);
        assert_eq!(engine.volumes(None).await.unwrap().len(), 2);
    }
}
