//! The table of volumes.

use super::Store;
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    id::VolumeId,
    volume::VolumeInfo,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::SystemTime;

const COLUMNS: &str = "id, scope, name, created_ns, expires_ns";

impl Store {
    /// Adds a row and gives it its time of creation, which no other row has. `AlreadyExists` for a name that a volume of the scope has.
    pub(crate) fn insert_volume(&self, info: &mut VolumeInfo) -> Result<()> {
        info.created_at = self.write_durably(|db| {
            let latest: Option<i64> =
                db.query_row("SELECT max(created_ns) FROM volumes", [], |row| row.get(0))?;
            let created = clock::now_ns().max(latest.map_or(0, |latest| latest + 1));
            let sql =
                "INSERT INTO volumes (id, scope, name, created_ns, expires_ns) VALUES (?1, ?2, ?3, ?4, ?5)";
            let expires = info.expires_at.map(clock::to_ns);
            let inserted = db.prepare_cached(sql)?.execute(params![
                info.id.as_str(),
                info.scope,
                info.name,
                created,
                expires
            ]);
            inserted.map_err(|error| conflict(info.name.as_deref(), error))?;
            Ok::<_, Error>(clock::from_ns(created))
        })?;
        Ok(())
    }

    /// The volume of an id; `NotFound` when there is none.
    pub(crate) fn volume_row(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let found = self.select_volumes("WHERE id = ?1 AND doomed = 0", &[&id.as_str()])?.pop();
        found.ok_or_else(|| no_volume(id))
    }

    /// The volume of a name; `NotFound` when there is none.
    pub(crate) fn volume_named(&self, scope: &str, name: &str) -> Result<VolumeInfo> {
        let clause = "WHERE scope = ?1 AND name = ?2 AND doomed = 0";
        let found = self.select_volumes(clause, &[&scope, &name])?.pop();
        found.ok_or_else(|| Error::not_found(format!("no volume {name:?}: create it first")))
    }

    /// Volumes of a scope, or of all, newest first.
    pub(crate) fn volume_rows(&self, scope: Option<&str>) -> Result<Vec<VolumeInfo>> {
        let clause = "WHERE (?1 IS NULL OR scope = ?1) AND doomed = 0 ORDER BY created_ns DESC";
        self.select_volumes(clause, &[&scope])
    }

    /// Those whose time is over.
    pub(crate) fn expired_volumes(&self, now: SystemTime) -> Result<Vec<VolumeInfo>> {
        self.select_volumes("WHERE expires_ns <= ?1 AND doomed = 0", &[&clock::to_ns(now)])
    }

    /// Those whose removal was begun.
    pub(crate) fn doomed_volumes(&self) -> Result<Vec<VolumeInfo>> {
        self.select_volumes("WHERE doomed = 1", &[])
    }

    fn select_volumes(&self, clause: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<VolumeInfo>> {
        let sql = format!("SELECT {COLUMNS} FROM volumes {clause}");
        self.read(|db| db.prepare_cached(&sql)?.query_map(params, read_row)?.collect())
    }

    /// Gives one another name. `AlreadyExists` when that is taken, `NotFound` for an unknown one.
    pub(crate) fn rename_volume(&self, id: &VolumeId, name: &str) -> Result<()> {
        self.write_durably(|db| {
            require(db, id)?;
            let renamed =
                db.execute("UPDATE volumes SET name = ?2 WHERE id = ?1", params![id.as_str(), name]);
            renamed.map(drop).map_err(|error| conflict(Some(name), error))
        })
    }

    /// Moves the time at which one goes away by itself; one that has none keeps none.
    pub(crate) fn renew_volume(&self, id: &VolumeId, until: SystemTime) -> Result<()> {
        let sql = "UPDATE volumes SET expires_ns = ?2 WHERE id = ?1 AND expires_ns IS NOT NULL";
        self.write(|db| {
            require(db, id)?;
            db.prepare_cached(sql)?.execute(params![id.as_str(), clock::to_ns(until)])?;
            Ok::<_, Error>(())
        })
    }

    /// Begins the removal of one that no living sandbox has: from then on it is unknown. `FailedPrecondition` names the sandbox; with a time
    /// it also comes when the volume's own time is not over by then.
    pub(crate) fn doom_volume(&self, id: &VolumeId, expired: Option<SystemTime>) -> Result<()> {
        let user = "SELECT id FROM sandboxes WHERE state < 2 AND EXISTS \
            (SELECT 1 FROM json_each(volumes) WHERE json_extract(value, '$.volume') = ?1) LIMIT 1";
        self.write_durably(|db| {
            require(db, id)?;
            if !super::is_expired(db, "volumes", id.as_str(), expired)? {
                return Err(Error::new(
                    ErrorKind::FailedPrecondition,
                    format!("the time of volume {id} is not over"),
                ));
            }
            let user: Option<String> =
                db.prepare_cached(user)?.query_row([id.as_str()], |row| row.get(0)).optional()?;
            if let Some(user) = user {
                let message = format!("sandbox {user} has the volume {id}: end it first");
                return Err(Error::new(ErrorKind::FailedPrecondition, message));
            }
            db.prepare_cached("UPDATE volumes SET doomed = 1 WHERE id = ?1")?.execute([id.as_str()])?;
            Ok(())
        })
    }

    /// Forgets one whose folder is gone.
    pub(crate) fn delete_volume(&self, id: &VolumeId) -> Result<()> {
        self.write(|db| {
            db.prepare_cached("DELETE FROM volumes WHERE id = ?1 AND doomed = 1")?.execute([id.as_str()])
        })?;
        Ok(())
    }
}

/// `NotFound` when there is no such volume.
pub(super) fn require(db: &Connection, id: &VolumeId) -> Result<()> {
    let known =
        db.prepare_cached("SELECT 1 FROM volumes WHERE id = ?1 AND doomed = 0")?.exists([id.as_str()])?;
    if known { Ok(()) } else { Err(no_volume(id)) }
}

fn no_volume(id: &VolumeId) -> Error {
    Error::not_found(format!("no volume {id}"))
}

fn conflict(name: Option<&str>, error: rusqlite::Error) -> Error {
    if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) {
        return error.into();
    }
    let name = name.unwrap_or_default();
    Error::new(ErrorKind::AlreadyExists, format!("there is a volume {name:?}: use it or choose another name"))
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<VolumeInfo> {
    Ok(VolumeInfo {
        id: VolumeId::parse(&row.get::<_, String>("id")?).map_err(|_| rusqlite::Error::InvalidQuery)?,
        scope: row.get("scope")?,
        name: row.get("name")?,
        created_at: clock::from_ns(row.get("created_ns")?),
        expires_at: row.get::<_, Option<i64>>("expires_ns")?.map(clock::from_ns),
    })
}
