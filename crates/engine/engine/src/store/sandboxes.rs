//! The table of sandboxes.

use super::{
    Process, Store,
    rows::{COLUMNS, encode_reason, json, read_row, signed},
};
use crate::{
    clock,
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    sandbox::{EndReason, SandboxEnd, SandboxInfo},
};
use rusqlite::{Connection, OptionalExtension, named_params, params};
use std::{collections::BTreeMap, time::SystemTime};

/// How far a sandbox got in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Creating,
    Running,
    Ended,
}

/// The agent's process as its creator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) pid: u32,
    pub(crate) start: u64,
}

/// One row: what the world may know and what the engine needs besides.
#[derive(Clone, Debug)]
pub(crate) struct SandboxRow {
    pub(crate) info: SandboxInfo,
    /// How far it got.
    pub(crate) phase: Phase,
    pub(crate) creator: Process,
    pub(crate) owner: Option<Process>,
    pub(crate) agent: Option<Agent>,
    /// Its end was begun, which is never taken back: why, where its agent records nothing else.
    pub(crate) ending: Option<EndReason>,
    /// A snapshot may hold it frozen.
    pub(crate) frozen: bool,
    /// Its folder exists.
    pub(crate) folder: bool,
    /// Its writable layer exists.
    pub(crate) files: bool,
    /// That layer is to outlive its end.
    pub(crate) keep_files: bool,
}

impl Store {
    /// Adds a row in phase creating and gives it its time of creation, which no other row has. `AlreadyExists` for a known id or a
    /// name that a living sandbox has, `NotFound` when the image or a volume has gone meanwhile.
    pub(crate) fn insert_sandbox(&self, row: &mut SandboxRow) -> Result<()> {
        row.info.created_at = self.write(|db| {
            let known =
                db.prepare_cached("SELECT 1 FROM images WHERE id = ?1")?.exists([row.info.image.as_str()])?;
            if !known {
                return Err(Error::not_found(format!("the image {} was removed", row.info.image)));
            }
            for mount in &row.info.volumes {
                super::volumes::require(db, &mount.volume)?;
            }
            let latest: Option<i64> =
                db.query_row("SELECT max(created_ns) FROM sandboxes", [], |row| row.get(0))?;
            let created = clock::now_ns().max(latest.map_or(0, |latest| latest + 1));
            insert(db, row, created).map_err(|error| conflict(row, error))?;
            Ok(clock::from_ns(created))
        })?;
        Ok(())
    }

    /// The row of an id; `NotFound` when there is none.
    pub(crate) fn sandbox_row(&self, id: &SandboxId) -> Result<SandboxRow> {
        let sql = select("WHERE id = ?1");
        let row = self.read(|db| db.prepare_cached(&sql)?.query_row([id.as_str()], read_row).optional())?;
        row.ok_or_else(|| Error::not_found(format!("no sandbox {id}")))
    }

    /// Rows that had a name in a scope, newest first.
    pub(crate) fn sandboxes_named(&self, scope: &str, name: &str) -> Result<Vec<SandboxRow>> {
        self.select("WHERE scope = ?1 AND name = ?2 ORDER BY created_ns DESC", &[&scope, &name])
    }

    /// All that were not known to have ended.
    pub(crate) fn living_sandboxes(&self) -> Result<Vec<SandboxRow>> {
        self.select("WHERE state < 2 ORDER BY created_ns DESC", &[])
    }

    /// Rows of a scope made before a time, newest first.
    pub(crate) fn sandbox_rows(
        &self,
        scope: Option<&str>,
        before: Option<SystemTime>,
        ended: bool,
    ) -> Result<Vec<SandboxRow>> {
        let before = before.map_or(i64::MAX, clock::to_ns);
        let clause = "WHERE (?1 IS NULL OR scope = ?1) AND created_ns < ?2 AND (?3 OR state < 2) ORDER BY created_ns DESC";
        self.select(clause, &[&scope, &before, &ended])
    }

    /// Those that ended at or before a time, oldest end first.
    pub(crate) fn ended_before(&self, before: SystemTime) -> Result<Vec<SandboxRow>> {
        self.select("WHERE state = 2 AND ended_ns <= ?1 ORDER BY ended_ns", &[&clock::to_ns(before)])
    }

    /// Those that have a folder.
    pub(crate) fn with_folder(&self) -> Result<Vec<SandboxRow>> {
        self.select("WHERE folder = 1", &[])
    }

    fn select(&self, clause: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<SandboxRow>> {
        let sql = select(clause);
        self.read(|db| db.prepare_cached(&sql)?.query_map(params, read_row)?.collect())
    }

    /// Notes the agent's process.
    pub(crate) fn set_agent(&self, id: &SandboxId, agent: Agent) -> Result<()> {
        self.change(
            "UPDATE sandboxes SET agent_pid = ?2, agent_start = ?3 WHERE id = ?1",
            params![id.as_str(), agent.pid, signed(agent.start)],
        )?;
        Ok(())
    }

    /// Creating becomes running, unless somebody has asked for its end meanwhile (then false).
    pub(crate) fn set_running(&self, id: &SandboxId, expires: SystemTime) -> Result<bool> {
        let sql =
            "UPDATE sandboxes SET state = 1, expires_ns = ?2 WHERE id = ?1 AND state = 0 AND doomed = 0";
        self.change(sql, params![id.as_str(), clock::to_ns(expires)])
    }

    /// Begins the end of one that somebody asked for by its id, whatever it is doing; the first reason stays.
    pub(crate) fn begin_end(&self, id: &SandboxId, reason: EndReason) -> Result<()> {
        let sql = "UPDATE sandboxes SET doomed = 1, end_reason = COALESCE(end_reason, ?2) WHERE id = ?1 AND state < 2";
        self.change(sql, params![id.as_str(), encode_reason(reason).0])?;
        Ok(())
    }

    /// Begins the end of one that was judged by its row; false when the row is not what was judged any more.
    pub(crate) fn begin_end_of(&self, judged: &SandboxRow, reason: EndReason) -> Result<bool> {
        let sql = "UPDATE sandboxes SET doomed = 1, end_reason = COALESCE(end_reason, :reason) WHERE id = :id AND state = :state \
            AND birth = :birth AND creator = :creator AND owner IS :owner AND agent_pid IS :pid AND agent_start IS :start";
        let state = match judged.phase {
            Phase::Creating => 0,
            Phase::Running => 1,
            Phase::Ended => return Ok(false),
        };
        let named = named_params! {
            ":reason": encode_reason(reason).0,
            ":id": judged.info.id.as_str(),
            ":state": state,
            ":birth": judged.info.birth,
            ":creator": judged.creator.to_text(),
            ":owner": judged.owner.as_ref().map(Process::to_text),
            ":pid": judged.agent.map(|agent| agent.pid),
            ":start": judged.agent.map(|agent| signed(agent.start)),
        };
        self.change(sql, named)
    }

    /// Makes a living one that another call made the one of call `birth`: the other does not take it back any more. False when its end was
    /// begun.
    pub(crate) fn adopt(&self, id: &SandboxId, birth: i64) -> Result<bool> {
        let sql = "UPDATE sandboxes SET birth = ?2 WHERE id = ?1 AND state < 2 AND doomed = 0";
        self.change(sql, params![id.as_str(), birth])
    }

    /// Notes that a snapshot freezes it, or that it is thawed.
    pub(crate) fn set_frozen(&self, id: &SandboxId, frozen: bool) -> Result<()> {
        self.change("UPDATE sandboxes SET frozen = ?2 WHERE id = ?1", params![id.as_str(), frozen])?;
        Ok(())
    }

    /// Records the end of one whose end was begun, the first time only.
    pub(crate) fn set_ended(&self, id: &SandboxId, end: &SandboxEnd) -> Result<bool> {
        let (reason, code) = encode_reason(end.reason);
        let sql = "UPDATE sandboxes SET state = 2, end_reason = ?2, end_code = ?3, ended_ns = ?4, frozen = 0 \
            WHERE id = ?1 AND state < 2 AND doomed = 1";
        self.change(sql, params![id.as_str(), reason, code, clock::to_ns(end.at)])
    }

    /// Notes that its folder is gone, and with it its writable layer.
    pub(crate) fn set_folder_gone(&self, id: &SandboxId) -> Result<()> {
        self.change("UPDATE sandboxes SET folder = 0, files = 0 WHERE id = ?1", params![id.as_str()])?;
        Ok(())
    }

    /// Notes that its writable layer is gone.
    pub(crate) fn set_files_gone(&self, id: &SandboxId) -> Result<()> {
        self.change("UPDATE sandboxes SET files = 0 WHERE id = ?1", params![id.as_str()])?;
        Ok(())
    }

    /// Replaces its tags; false when it is unknown.
    pub(crate) fn set_tags(&self, id: &SandboxId, tags: &BTreeMap<String, String>) -> Result<bool> {
        self.change("UPDATE sandboxes SET tags = ?2 WHERE id = ?1", params![id.as_str(), json(tags)])
    }

    /// Gives a living one to an owner, with the text beside it, if it still belongs to the other one; false when it does not.
    pub(crate) fn set_owner(&self, id: &SandboxId, from: &Process, to: &Process, note: &str) -> Result<bool> {
        let sql = "UPDATE sandboxes SET owner = ?3, note = ?4 WHERE id = ?1 AND owner = ?2 AND state < 2 AND doomed = 0";
        self.change(sql, params![id.as_str(), from.to_text(), to.to_text(), note])
    }

    /// Names a living, unnamed one; false when it is neither, `AlreadyExists` when the name is taken.
    pub(crate) fn set_name(&self, id: &SandboxId, name: &str) -> Result<bool> {
        let sql = "UPDATE sandboxes SET name = ?2 WHERE id = ?1 AND state < 2 AND name IS NULL";
        self.write(|db| match db.prepare_cached(sql)?.execute(params![id.as_str(), name]) {
            Err(error) if is_constraint(&error) => Err(taken(name)),
            changed => Ok(changed? == 1),
        })
    }

    /// Forgets one.
    pub(crate) fn delete_sandbox(&self, id: &SandboxId) -> Result<()> {
        self.change("DELETE FROM sandboxes WHERE id = ?1", params![id.as_str()])?;
        Ok(())
    }

    /// Forgets one that has ended.
    pub(crate) fn forget(&self, id: &SandboxId) -> Result<()> {
        self.change("DELETE FROM sandboxes WHERE id = ?1 AND state = 2", params![id.as_str()])?;
        Ok(())
    }

    /// Forgets those without a folder that ended before a time.
    pub(crate) fn forget_ended(&self, before: SystemTime) -> Result<()> {
        let sql = "DELETE FROM sandboxes WHERE state = 2 AND folder = 0 AND ended_ns < ?1";
        self.change(sql, params![clock::to_ns(before)])?;
        Ok(())
    }

    fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<bool> {
        self.write(|db| db.prepare_cached(sql)?.execute(params).map(|changed| changed == 1))
    }
}

fn select(clause: &str) -> String {
    format!("SELECT {} FROM sandboxes {clause}", COLUMNS.join(", "))
}

fn insert(db: &Connection, row: &SandboxRow, created: i64) -> rusqlite::Result<()> {
    let info = &row.info;
    let sql = "INSERT INTO sandboxes (id, state, image, image_name, created_ns, command, memory_bytes, milli_cpus, pids, name, scope, \
        tags, note, lifetime_ms, idle_ms, creator, owner, volumes, birth, keep_files) VALUES (:id, 0, :image, :image_name, :created, :command, :memory, :cpus, \
        :pids, :name, :scope, :tags, :note, :lifetime, :idle, :creator, :owner, :volumes, :birth, :keep_files)";
    db.prepare_cached(sql)?.execute(named_params! {
        ":id": info.id.as_str(),
        ":image": info.image.as_str(),
        ":image_name": info.image_name,
        ":created": created,
        ":command": json(&info.command),
        ":memory": info.limits.memory_bytes.map(signed),
        ":cpus": info.limits.milli_cpus.map(signed),
        ":pids": info.limits.pids.map(signed),
        ":name": info.name,
        ":scope": info.scope,
        ":tags": json(&info.tags),
        ":note": info.note,
        ":lifetime": clock::to_ms(info.lifetime),
        ":idle": info.idle_timeout.map(clock::to_ms),
        ":creator": row.creator.to_text(),
        ":owner": row.owner.as_ref().map(Process::to_text),
        ":volumes": json(&info.volumes),
        ":birth": info.birth,
        ":keep_files": row.keep_files,
    })?;
    Ok(())
}

fn conflict(row: &SandboxRow, error: rusqlite::Error) -> Error {
    if !is_constraint(&error) {
        return error.into();
    }
    match &row.info.name {
        Some(name) if error.to_string().contains("scope") => taken(name),
        _ => Error::new(ErrorKind::AlreadyExists, format!("the sandbox id {} is taken", row.info.id)),
    }
}

fn taken(name: &str) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("a living sandbox has the name {name:?}: end it or choose another name"),
    )
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
