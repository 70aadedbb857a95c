//! The database's tables and how older ones become newer ones.

use crate::error::{Error, ErrorKind, Result};
use rusqlite::Connection;

/// The newest layout that this code knows. A front brings the two before it up to it.
const VERSION: i64 = 3;

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
    -- 1 when its end was begun, which is never taken back; end_reason then says why, unless the agent has recorded another reason
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

const V2: &str = "
-- JSON: volume, path, read_only, sub_path of each
ALTER TABLE sandboxes ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';
CREATE TABLE volumes (
    id TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    name TEXT,
    created_ns INTEGER NOT NULL UNIQUE,
    expires_ns INTEGER,
    -- 1 while its folder is being removed: it is no volume any more
    doomed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX volume_names ON volumes (scope, name) WHERE name IS NOT NULL AND doomed = 0;
";

const V3: &str = "
-- The call that made or adopted it last, and may take it back
ALTER TABLE sandboxes ADD COLUMN birth INTEGER NOT NULL DEFAULT 0;
-- 1 while its writable layer exists
ALTER TABLE sandboxes ADD COLUMN files INTEGER NOT NULL DEFAULT 1;
-- 1 when that layer is to outlive its end
ALTER TABLE sandboxes ADD COLUMN keep_files INTEGER NOT NULL DEFAULT 0;
";

/// What leads from each layout to the next.
const STEPS: [&str; 3] = [V1, V2, V3];

/// Brings a database to [`VERSION`]. The caller holds the store's opening lock.
pub(super) fn migrate(db: &Connection) -> Result<()> {
    let found =
        db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).map_err(super::db_error)?;
    let steps =
        usize::try_from(found).ok().and_then(|found| STEPS.get(found..)).ok_or_else(|| newer(found))?;
    if steps.is_empty() {
        return Ok(());
    }
    let script = format!("BEGIN IMMEDIATE; {} PRAGMA user_version = {VERSION}; COMMIT;", steps.concat());
    db.execute_batch(&script).map_err(super::db_error)
}

fn newer(found: i64) -> Error {
    let message = format!(
        "the store's database has layout {found}, this version knows up to {VERSION}: use a newer one"
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_database_is_brought_up_to_date_with_its_rows() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(&format!("{V1} PRAGMA user_version = 1;")).unwrap();
        db.execute_batch(
            "INSERT INTO sandboxes (id, state, image, image_name, created_ns, command, scope, tags, note, lifetime_ms, creator) \
             VALUES ('a', 2, 'i', 'host', 1, '[]', '', '{}', '', 1, '')",
        )
        .unwrap();
        migrate(&db).unwrap();
        migrate(&db).unwrap();
        let volumes: String = db.query_row("SELECT volumes FROM sandboxes", [], |row| row.get(0)).unwrap();
        assert_eq!(volumes, "[]");
        db.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert_eq!(migrate(&db).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
