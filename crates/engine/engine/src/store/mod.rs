//! The store: one folder with a database, layers, and a folder per sandbox.
//!
//! Any number of processes use it at once. What must not be half done is one transaction, or is ordered so that the next user can
//! finish or undo it: a row comes before its folder and goes after it; what is to be deleted is first renamed into `trash`.

mod folder;
mod images;
mod process;
mod rows;
mod sandboxes;
mod schema;
mod trash;
mod volumes;

pub(crate) use folder::{Folder, LAYER_FOLDERS};
pub(crate) use images::{ImageContent, ImageRow};
pub(crate) use process::{Process, describe_process, start_time};
pub(crate) use sandboxes::{Agent, Phase, SandboxRow};
pub(crate) use trash::disk_usage;

use crate::{
    error::{Error, ErrorKind, Result},
    id::{self, SandboxId, VolumeId},
};
use rusqlite::{Connection, Transaction, TransactionBehavior, config::DbConfig};
use rustix::{fs::FlockOperation, io::Errno};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Version of the folder's layout, in `STORE/version`.
const LAYOUT: u32 = 1;
/// Longest wait for another process's transaction.
const BUSY: Duration = Duration::from_secs(20);

/// Pages of the log above which a commit brings it over: the first process that opens a store after others reads all of it.
const LOG_PAGES: u32 = 128;

/// An open store. Its methods block: call them on a blocking thread.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    id: String,
    /// The folder of the sandboxes' folders.
    sandboxes: OwnedFd,
    db: Mutex<Connection>,
}

impl Store {
    /// Opens or makes the store in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir)
            .map_err(|e| Error::io(format!("cannot resolve {}", dir.display()), e))?;
        make_dir(&dir)?;
        let _opening = lock_at(&dir.join("opening.lock"), FlockOperation::LockExclusive)?;
        check_layout(&dir.join("version"))?;
        for name in ["layers", "sandboxes", "volumes", "trash"] {
            make_dir(&dir.join(name))?;
        }
        let id = store_id(&dir.join("id"))?;
        let db = open_database(&dir.join("store.db"))?;
        let sandboxes = File::open(dir.join("sandboxes"))
            .map_err(|e| Error::io(format!("cannot open the sandboxes of {}", dir.display()), e))?;
        Ok(Self { dir, id, sandboxes: sandboxes.into(), db: Mutex::new(db) })
    }

    /// The store's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The store's folder, absolute.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Folder of the layers.
    pub(crate) fn layers_dir(&self) -> PathBuf {
        self.dir.join("layers")
    }

    /// Folder of a sandbox, whether it exists or not.
    pub(crate) fn sandbox_dir(&self, id: &SandboxId) -> PathBuf {
        self.dir.join("sandboxes").join(id.as_str())
    }

    /// Whether the creator or the agent of a sandbox lives: it holds a lock. By a descriptor, because a list asks it of each of them.
    pub(crate) fn is_locked(&self, id: &SandboxId) -> Result<bool> {
        folder::is_locked(&self.sandboxes, id.as_str())
    }

    /// Names of the sandboxes that have a folder.
    pub(crate) fn sandbox_folders(&self) -> Result<Vec<String>> {
        names(&self.dir.join("sandboxes"))
    }

    /// Folder of a volume, whether it exists or not.
    pub(crate) fn volume_dir(&self, id: &VolumeId) -> PathBuf {
        self.dir.join("volumes").join(id.as_str())
    }

    /// Locks one of the store's lock files; the lock lives as long as the file is open. `None` when a non-blocking operation finds
    /// it taken. `layers` is held shared while layers are added that no image refers to yet, exclusively while unused ones are
    /// removed; `host` while the image `host` is built; `sweep` during a round of clean-up in the background.
    pub(crate) fn lock(&self, name: &str, operation: FlockOperation) -> Result<Option<File>> {
        lock_at(&self.lock_file(name), operation)
    }

    /// Where a lock file is.
    pub(crate) fn lock_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.lock"))
    }

    /// Reads from the database.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.db.lock().unwrap_or_else(PoisonError::into_inner)).map_err(db_error)
    }

    /// One transaction that holds the write lock from its start. Survives a crash of the process; one of the host may lose it.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T>
    where
        Error: From<E>,
    {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(db_error)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(db_error)?;
        Ok(value)
    }

    /// Like [`Self::write`], and on disk when it returns.
    pub(crate) fn write_durably<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T>
    where
        Error: From<E>,
    {
        self.read(|db| db.pragma_update(None, "synchronous", "FULL"))?;
        let result = self.write(work);
        self.read(|db| db.pragma_update(None, "synchronous", "NORMAL"))?;
        result
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        db_error(error)
    }
}

/// Whether the time of a row of `table` was over at a given one; true where none is given.
fn is_expired(db: &Connection, table: &str, id: &str, at: Option<SystemTime>) -> rusqlite::Result<bool> {
    let Some(at) = at else { return Ok(true) };
    let sql = format!("SELECT 1 FROM {table} WHERE id = ?1 AND expires_ns <= ?2");
    db.prepare_cached(&sql)?.exists(rusqlite::params![id, crate::clock::to_ns(at)])
}

/// The engine's error of a database's.
fn db_error(error: rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => ErrorKind::ResourceExhausted,
        Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::PermissionDenied) => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Internal,
    };
    Error::new(kind, "the store's database refuses").with_source(error)
}

/// Names in a folder of the store, sorted.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(path).map_err(|e| Error::io(format!("cannot list {}", path.display()), e))?;
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn make_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Error::io(format!("cannot make the store folder {}", path.display()), e))
}

/// Locks a file, which is made when missing; `None` when a non-blocking operation finds it taken.
pub(crate) fn lock_at(path: &Path, operation: FlockOperation) -> Result<Option<File>> {
    let failed = |e: io::Error| Error::io(format!("cannot lock {}", path.display()), e);
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map_err(failed)?;
    loop {
        match rustix::fs::flock(&file, operation) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(e) => return Err(failed(e.into())),
        }
    }
}

/// Refuses a folder that a newer version has laid out.
fn check_layout(path: &Path) -> Result<()> {
    let text = read_or_make(path, || LAYOUT.to_string())?;
    match text.parse::<u32>() {
        Ok(found) if found <= LAYOUT => Ok(()),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "{} says layout {text:?}, this version knows up to {LAYOUT}: use a newer one",
                path.display()
            ),
        )),
    }
}

fn store_id(path: &Path) -> Result<String> {
    let text = read_or_make(path, id::random_store_id)?;
    let fits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if fits {
        Ok(text)
    } else {
        Err(Error::new(ErrorKind::Internal, format!("{} holds no store id", path.display())))
    }
}

/// The file's text, after writing it whole when it was missing. The caller holds the opening lock.
fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> Result<String> {
    let failed = |e| Error::io(format!("cannot read or write {}", path.display()), e);
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        Err(_) => {}
    }
    let (text, partial) = (make(), path.with_extension("new"));
    let write = || {
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&partial)?;
        file.write_all(format!("{text}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(failed)?;
    Ok(text)
}

fn open_database(path: &Path) -> Result<Connection> {
    let db = Connection::open(path).map_err(db_error)?;
    db.busy_timeout(BUSY).map_err(db_error)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(db_error)?;
    db.pragma_update(None, "synchronous", "NORMAL").map_err(db_error)?;
    db.pragma_update(None, "foreign_keys", "ON").map_err(db_error)?;
    // The log stays when the last process closes the database, and is brought over when it is long: a short command that writes a little
    // waits for no disk then. What it has written is safe from its own crash either way.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(db_error)?;
    db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES).map_err(db_error)?;
    schema::migrate(&db)?;
    Ok(db)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_id_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = Store::open(&path).unwrap();
        let second = Store::open(&path).unwrap();
        assert_eq!(first.id(), second.id());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_newer_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("version"), "2\n").unwrap();
        assert_eq!(Store::open(dir.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_newer_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let db = Connection::open(dir.path().join("store.db")).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        assert_eq!(Store::open(dir.path()).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn many_open_a_new_store_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let ids: Vec<String> = std::thread::scope(|scope| {
            let open = || Store::open(&dir.path().join("s")).unwrap().id().to_owned();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}
