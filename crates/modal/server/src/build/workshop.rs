//! The sandbox that a build runs in: made for it, removed with it, and found by others when its process died.

use super::{Build, Builds};
use crate::{control::take_text, ids};
use openlattice_engine::{
    Engine, Error, ErrorKind, ExecEnd, ExecSpec, ExecState, Files, ImageInfo, OutputStream, Owner, SandboxId,
    SandboxSpec, SnapshotSpec,
};
use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tokio::sync::watch;

/// Scope of the sandboxes of builds: no app has it, so that no client sees them.
const SCOPE: &str = "image-builds";

/// A sandbox to build in. Dropping it removes it, in the background.
#[derive(Debug)]
pub(crate) struct Workshop {
    engine: Engine,
    id: SandboxId,
    lock: Option<Lock>,
    /// Keeps the end of all builds waiting until it is gone.
    held: watch::Receiver<()>,
}

/// Says that somebody works in a sandbox, for as long as it is open.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(folder: &Path, id: &SandboxId) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(id.as_str());
        loop {
            let file = File::create(&path)?;
            file.lock()?;
            // A sweep may have come between the two.
            if fs::metadata(&path)
                .is_ok_and(|named| file.metadata().is_ok_and(|own| own.ino() == named.ino()))
            {
                return Ok(Self { path, _file: file });
            }
        }
    }

    /// After the sandbox is gone.
    fn remove(self) {
        // A file that stays is looked at again by the next sweep.
        drop(fs::remove_file(&self.path));
    }
}

impl Workshop {
    /// Makes a sandbox of `image`. Its lock comes first, so that it is never without an owner.
    pub(crate) async fn open(engine: &Engine, builds: &Builds, image: &ImageInfo) -> Result<Self, Error> {
        let id = SandboxId::parse(&format!("sb-build-{}", ids::random(20)))?;
        let failed = |error: io::Error| Error::io("cannot lock the sandbox of a build", error);
        let lock = Lock::take(&builds.folder, &id).map_err(failed)?;
        let workshop =
            Self { engine: engine.clone(), id: id.clone(), lock: Some(lock), held: builds.tasks.subscribe() };
        let mut spec = SandboxSpec::default();
        spec.id = Some(id);
        spec.image = image.id.to_string();
        spec.scope = SCOPE.to_owned();
        spec.owner = Owner::ThisProcess;
        engine.create(spec).await?;
        Ok(workshop)
    }

    /// Its files.
    pub(crate) fn files(&self) -> Files {
        self.engine.files(&self.id)
    }

    /// Runs a command to its end; its output goes to the log.
    pub(crate) async fn run(&self, spec: ExecSpec, build: &Build) -> Result<ExecState, Error> {
        let exec = self.engine.exec(&self.id, spec).await?;
        let mut output = self.engine.output(&self.id, &exec, OutputStream::Stdout, 0).await?;
        let mut pending = Vec::new();
        while let Some(bytes) = output.next().await? {
            pending.extend_from_slice(&bytes);
            build.log(&take_text(&mut pending, false));
        }
        build.log(&take_text(&mut pending, true));
        self.engine.exec_wait(&self.id, &exec).await
    }

    /// The image of its files as they are now.
    pub(crate) async fn snapshot(&self, user: Option<String>) -> Result<ImageInfo, Error> {
        let mut spec = SnapshotSpec::default();
        spec.user = user;
        self.engine.snapshot(&self.id, spec).await
    }

    /// Removes it and waits for that.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        remove(&self.engine, &self.id).await?;
        if let Some(lock) = self.lock.take() {
            lock.remove();
        }
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        let (engine, id, held) = (self.engine.clone(), self.id.clone(), self.held.clone());
        // Without a runtime the lock falls, and the next sweep finds it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                let _held = held;
                match remove(&engine, &id).await {
                    Ok(()) => lock.remove(),
                    Err(error) => {
                        tracing::warn!(%error, sandbox = %id, "cannot remove the sandbox of a build");
                    }
                }
            }));
        }
    }
}

async fn remove(engine: &Engine, id: &SandboxId) -> Result<(), Error> {
    match engine.remove(id).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Why a command is no success; nothing when it is one.
pub(crate) fn failure(state: &ExecState) -> Option<String> {
    let memory = if state.out_of_memory { ", by the memory limit" } else { "" };
    match state.end {
        Some(ExecEnd::Exited(0)) => None,
        Some(ExecEnd::Exited(code)) => Some(format!("it exited with code {code}{memory}")),
        Some(ExecEnd::Signaled(signal)) => Some(format!("it was killed by signal {signal}{memory}")),
        _ => Some("its sandbox was ended".to_owned()),
    }
}

/// Removes the sandboxes that nobody works in any more.
pub(super) async fn sweep(folder: &Path, engine: &Engine) {
    let place = folder.to_owned();
    let abandoned = tokio::task::spawn_blocking(move || abandoned(&place)).await.unwrap_or_default();
    for (id, lock) in abandoned {
        match remove(engine, &id).await {
            Ok(()) => lock.remove(),
            Err(error) => tracing::warn!(%error, sandbox = %id, "cannot remove the sandbox of a build"),
        }
    }
}

/// The sandboxes whose locks nobody holds, locked by us now.
fn abandoned(folder: &Path) -> Vec<(SandboxId, Lock)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let take = |entry: io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let id = SandboxId::parse(path.file_name()?.to_str()?).ok()?;
        let file = File::open(&path).ok()?;
        match file.try_lock() {
            Ok(()) => Some((id, Lock { path, _file: file })),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        }
    };
    entries.filter_map(take).collect()
}

/// Shares an engine's error text with its causes.
pub(crate) fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let words = source.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = source.source();
    }
    text
}
