//! The server's own state, in `modal.db` of the store: apps, environments, built images, secrets, and what retried calls
//! were answered. Any number of servers may share it.

mod apps;
mod builds;
mod images;
mod reach;
mod replies;
mod secrets;
mod stdin;

pub(crate) use apps::{App, AppKey, DEFAULT_ENVIRONMENT};
pub(crate) use images::BuiltImage;
pub(crate) use reach::PortNumbers;
pub(crate) use secrets::{Secret, SecretSpec};
pub(crate) use stdin::StdinMark;

use crate::error::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::{
    fmt,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tonic::Status;

/// Version of the tables; a database with a newer one is refused.
const VERSION: i64 = 3;

const SCHEMA: &str = "
CREATE TABLE environments (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL) STRICT;
CREATE TABLE apps (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, created_at REAL NOT NULL,
    UNIQUE (environment, name)) STRICT;
CREATE TABLE images (id TEXT PRIMARY KEY, base TEXT NOT NULL, config TEXT NOT NULL, created_at REAL NOT NULL) STRICT;
CREATE TABLE replies (
    method TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (method, key)) STRICT;
CREATE TABLE secrets (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT, keys TEXT NOT NULL, sealed BLOB NOT NULL,
    created_at REAL NOT NULL, UNIQUE (environment, name)) STRICT;
CREATE TABLE stdin_marks (sandbox TEXT PRIMARY KEY, last_index INTEGER NOT NULL, next_offset INTEGER NOT NULL) STRICT;
";

/// What version 2 added.
const REACH: &str = "
CREATE TABLE ports (
    sandbox TEXT NOT NULL, position INTEGER NOT NULL, inside INTEGER NOT NULL, tls INTEGER NOT NULL,
    PRIMARY KEY (sandbox, position)) STRICT;
CREATE TABLE ready (sandbox TEXT PRIMARY KEY, at REAL NOT NULL) STRICT;
";

/// What version 3 added.
const BUILDS: &str = "
CREATE TABLE builds (id TEXT PRIMARY KEY, definition BLOB, made_from TEXT, at REAL NOT NULL) STRICT;
";

/// The open database. Calls run on blocking threads.
pub(crate) struct State {
    /// For what must survive a power cut: every change is forced to disk.
    durable: Arc<Mutex<Connection>>,
    /// For reads, and for what is worth nothing after the machine restarts.
    quick: Arc<Mutex<Connection>>,
    secret_key: [u8; 32],
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl State {
    /// Opens the database, making or upgrading its tables. `secret_key` encrypts secrets.
    pub(crate) fn open(path: &Path, secret_key: [u8; 32]) -> Result<Self> {
        // Made by us first, so that nobody else can ever read it; SQLite gives its side files the same mode.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::File { path: path.to_owned(), source })?;
        let open = |synchronous| prepare(path, synchronous).map_err(Error::Database);
        let (durable, quick) = (open("FULL")?, open("NORMAL")?);
        Ok(Self { durable: Arc::new(Mutex::new(durable)), quick: Arc::new(Mutex::new(quick)), secret_key })
    }

    /// Runs `work` in one transaction that is on disk when it returns. It completes even when the caller goes away.
    async fn write<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T, Status> {
        run(&self.durable, TransactionBehavior::Immediate, work).await
    }

    /// As [`write`](Self::write), for what may be lost when the power is.
    async fn note<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T, Status> {
        run(&self.quick, TransactionBehavior::Immediate, work).await
    }

    /// Runs `work`, which only reads.
    async fn read<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T, Status> {
        run(&self.quick, TransactionBehavior::Deferred, work).await
    }
}

/// What runs in a transaction.
trait Work<T>: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static {}
impl<T, F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static> Work<T> for F {}

async fn run<T: Send + 'static>(
    connection: &Arc<Mutex<Connection>>,
    behavior: TransactionBehavior,
    work: impl Work<T>,
) -> Result<T, Status> {
    let connection = connection.clone();
    let task = tokio::task::spawn_blocking(move || {
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(behavior)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    });
    let done: rusqlite::Result<T> =
        task.await.map_err(|error| Status::internal(format!("server state: {error}")))?;
    done.map_err(|error| Status::internal(format!("server state: {error}")))
}

fn prepare(path: &Path, synchronous: &str) -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        0 => [SCHEMA, REACH, BUILDS].iter().try_for_each(|tables| transaction.execute_batch(tables))?,
        1 => [REACH, BUILDS].iter().try_for_each(|tables| transaction.execute_batch(tables))?,
        2 => transaction.execute_batch(BUILDS)?,
        VERSION => {}
        newer => {
            return Err(
                format!("its version is {newer}, this program knows {VERSION}; use a newer program").into()
            );
        }
    }
    if version != VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// Now, in Unix seconds, as Modal's messages carry times.
pub(crate) fn now() -> f64 {
    unix(SystemTime::now())
}

/// A time in Unix seconds.
pub(crate) fn unix(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    pub(crate) fn state() -> (tempfile::TempDir, State) {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("modal.db"), [7; 32]).unwrap();
        (folder, state)
    }

    #[test]
    fn only_the_owner_reads_the_database() {
        let (folder, _state) = state();
        let mode = std::fs::metadata(folder.path().join("modal.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_older_database_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modal.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(SCHEMA).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        for _ in 0..2 {
            let state = State::open(&path, [7; 32]).unwrap();
            let connection = state.quick.lock().unwrap();
            let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
            assert_eq!(version, VERSION);
            connection.execute("DELETE FROM ports", []).unwrap();
            connection.execute("DELETE FROM builds", []).unwrap();
        }
    }

    #[test]
    fn a_newer_database_is_refused() {
        let (folder, state) = state();
        state.quick.lock().unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = State::open(&folder.path().join("modal.db"), [7; 32]).unwrap_err();
        assert!(matches!(error, Error::Database(cause) if cause.to_string().contains("99")));
    }
}
