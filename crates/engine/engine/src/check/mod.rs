//! Compares what a store says with what is there, and changes nothing.

mod data;
mod kernel;
mod sandboxes;

use crate::{
    engine::{Engine, Inner},
    error::Result,
    store::{self, ImageRow, SandboxRow},
    volume::VolumeInfo,
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};
use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// How long something may not fit that another process is changing just now.
const CHANGING: Duration = Duration::from_secs(1);
/// What remedies most findings.
const GC: &str = "run `lattice gc`";

/// What a store holds, and what in it does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreReport {
    /// Sandboxes that it knows, ended ones too.
    pub sandboxes: usize,
    /// Those of them that have not ended.
    pub living: usize,
    /// Images.
    pub images: usize,
    /// Volumes.
    pub volumes: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// What does not fit; empty for a clean store.
    pub findings: Vec<StoreFinding>,
}

/// Something in a store, or in the kernel under its name, that does not fit what the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFinding {
    /// What it is about: a sandbox, an image, a volume, or a path.
    pub thing: String,
    /// What is wrong with it.
    pub problem: String,
    /// What mends it.
    pub remedy: String,
}

impl Engine {
    /// Compares what the store says with what is there: sandboxes whose process, owner or folder is gone, what is left of those that have
    /// ended, removals that nobody finished, layers and volumes that nothing refers to, control groups, processes and mounts of no living
    /// sandbox, and the database itself. Changes nothing, and may run beside anything: what others are changing just now is no finding.
    ///
    /// # Errors
    /// Those of the database and of folders that cannot be read.
    pub async fn check(&self) -> Result<StoreReport> {
        self.blocking(check).await
    }
}

/// A finding, and the file or folder whose lock says that somebody works on it.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    finding: StoreFinding,
    held: Option<PathBuf>,
}

impl Found {
    fn new(thing: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let finding = StoreFinding { thing: thing.into(), problem: problem.into(), remedy: remedy.into() };
        Self { finding, held: None }
    }

    /// No finding as long as somebody has the lock of this file or folder.
    fn unless_held(self, lock: PathBuf) -> Self {
        Self { held: Some(lock), ..self }
    }
}

/// What the store says. Read after folders and groups were listed: rows come before them and go after them.
struct Rows {
    sandboxes: Vec<SandboxRow>,
    images: Vec<ImageRow>,
    volumes: Vec<VolumeInfo>,
}

impl Rows {
    fn read(inner: &Inner) -> Result<Self> {
        Ok(Self {
            sandboxes: inner.store.sandbox_rows(None, None, true)?,
            images: inner.store.image_rows()?,
            volumes: inner.store.volume_rows(None)?,
        })
    }

    /// The living sandbox of an id.
    fn living(&self, id: &str) -> Option<&SandboxRow> {
        let living = |row: &&SandboxRow| row.phase != store::Phase::Ended && row.info.id.as_str() == id;
        self.sandboxes.iter().find(living)
    }
}

fn check(inner: &Inner) -> Result<StoreReport> {
    let (mut report, mut first) = look(inner)?;
    if !first.is_empty() {
        thread::sleep(CHANGING);
        // Whoever worked on it at the first look and does no more has finished: then it fits at the second look.
        first.retain(|found| !found.held.as_deref().is_some_and(is_held));
        let (again, second) = look(inner)?;
        report = again;
        let stayed = second.into_iter().filter(|found| first.contains(found));
        report.findings = stayed.map(|found| found.finding).collect();
    }
    report.bytes = store::disk_usage(inner.store.dir());
    Ok(report)
}

fn look(inner: &Inner) -> Result<(StoreReport, Vec<Found>)> {
    let (folders, groups) = (data::Folders::list(inner)?, kernel::groups(inner)?);
    let rows = Rows::read(inner)?;
    let mut found = sandboxes::compare(inner, &rows, &folders)?;
    found.extend(data::compare(inner, &rows, &folders)?);
    found.extend(kernel::compare(inner, &rows, &groups)?);
    found.extend(database(inner)?);
    let living = rows.sandboxes.iter().filter(|row| row.phase != store::Phase::Ended).count();
    let report = StoreReport {
        sandboxes: rows.sandboxes.len(),
        living,
        images: rows.images.len(),
        volumes: rows.volumes.len(),
        ..StoreReport::default()
    };
    Ok((report, found))
}

/// What SQLite itself says of the file.
fn database(inner: &Inner) -> Result<Vec<Found>> {
    let lines: Vec<String> = inner
        .store
        .read(|db| db.prepare("PRAGMA quick_check")?.query_map([], |row| row.get(0))?.collect())?;
    let path = inner.store.dir().join("store.db").display().to_string();
    let remedy = "end what runs, move the store away, and begin a new one";
    let damage = lines.into_iter().filter(|line| line != "ok");
    Ok(damage.map(|line| Found::new(&path, format!("the database is damaged: {line}"), remedy)).collect())
}

/// Whether somebody has the lock of a file or folder. What is not there is held by nobody.
fn is_held(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return false };
    // An exclusive lock, because who adds layers holds a shared one. Released when `file` closes.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}
