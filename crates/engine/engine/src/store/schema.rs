//! The database's tables and how older ones become newer ones.

use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;

/// The newest layout that this code knows. A front reads the two before it, too (there is none yet).
pub(crate) const VERSION: i64 = 1;

const V1: &str = "
CREATE TABLE sandboxes (
    id TEXT PRIMARY KEY,
    -- 0 creating, 1 running, 2 ended
    state INTEGER NOT NULL,
    image TEXT NOT NULL,
    image_name TEXT NOT NULL,
    created_ns INTEGER NOT NULL UNIQUE,
    expires_ns INTEGER,
    command TEXT NOT NULL,
    memory_bytes INTEGER,
    milli_cpus INTEGER,
    pids INTEGER,
    name TEXT,
    scope TEXT NOT NULL,
    tags TEXT NOT NULL,
    note TEXT NOT NULL,
    lifetime_ms INTEGER NOT NULL,
    idle_ms INTEGER,
    creator TEXT NOT NULL,
    owner TEXT,
    agent_pid INTEGER,
    agent_start INTEGER,
    -- 1 when somebody has asked for its end: an agent that dies without a word was then not lost
    doomed INTEGER NOT NULL DEFAULT 0,
    -- 1 while a snapshot may hold it frozen
    frozen INTEGER NOT NULL DEFAULT 0,
    -- 1 while its folder exists
    folder INTEGER NOT NULL DEFAULT 1,
    end_reason INTEGER,
    end_code INTEGER,
    ended_ns INTEGER
) STRICT;
CREATE UNIQUE INDEX living_names ON sandboxes (scope, name) WHERE name IS NOT NULL AND state < 2;
CREATE INDEX living ON sandboxes (state) WHERE state < 2;
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    created_ns INTEGER NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    -- JSON: env, command, workdir, user, layers, usr
    content TEXT NOT NULL,
    expires_ns INTEGER,
    snapshot_of TEXT,
    snapshot_key TEXT
) STRICT;
CREATE UNIQUE INDEX snapshot_keys ON images (snapshot_of, snapshot_key) WHERE snapshot_key IS NOT NULL;
CREATE TABLE image_names (name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE) STRICT;
CREATE TABLE image_layers (
    image TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
    layer TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (image, layer)
) STRICT;
";

/// Brings a database to [`VERSION`]. The caller holds the store's opening lock.
pub(super) fn migrate(db: &Connection) -> Result<()> {
    let found =
        db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(super::db_error)?;
    match found {
        0 => {
            let script = format!("BEGIN IMMEDIATE; {V1} PRAGMA user_version = {VERSION}; COMMIT;");
            db.execute_batch(&script).map_err(super::db_error)
        }
        VERSION => Ok(()),
        newer => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the store's database has layout {newer}, this version knows up to {VERSION}: use a newer one"
            ),
        )),
    }
}
