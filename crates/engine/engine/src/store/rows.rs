//! How a sandbox's row is read and written.

use super::{Agent, Phase, Process, SandboxRow};
use crate::{
    clock,
    id::{ImageId, SandboxId},
    sandbox::{EndReason, Limits, SandboxEnd, SandboxInfo, SandboxState},
};
use rusqlite::Row;

/// The columns that a row is read from, in their order.
pub(super) const COLUMNS: [&str; 30] = [
    "id",
    "state",
    "image",
    "image_name",
    "created_ns",
    "expires_ns",
    "command",
    "memory_bytes",
    "milli_cpus",
    "pids",
    "name",
    "scope",
    "tags",
    "note",
    "lifetime_ms",
    "idle_ms",
    "creator",
    "owner",
    "agent_pid",
    "agent_start",
    "doomed",
    "frozen",
    "folder",
    "end_reason",
    "end_code",
    "ended_ns",
    "volumes",
    "birth",
    "files",
    "keep_files",
];

/// The place of a column, known when this is compiled: to look it up by name for each of a thousand rows takes longer than to read them.
macro_rules! column {
    ($name:literal) => {
        const { position($name) }
    };
}

const fn position(name: &str) -> usize {
    let mut at = 0;
    while !same(COLUMNS[at].as_bytes(), name.as_bytes()) {
        at += 1;
    }
    at
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

pub(super) fn read_row(row: &Row<'_>) -> rusqlite::Result<SandboxRow> {
    Ok(SandboxRow {
        info: read_info(row)?,
        phase: read_phase(row)?,
        ending: read_ending(row)?,
        creator: read_process(row, column!("creator"))?.ok_or(rusqlite::Error::InvalidQuery)?,
        owner: read_process(row, column!("owner"))?,
        agent: read_agent(row)?,
        frozen: row.get(column!("frozen"))?,
        folder: row.get(column!("folder"))?,
        files: row.get(column!("files"))?,
        keep_files: row.get(column!("keep_files"))?,
    })
}

fn read_info(row: &Row<'_>) -> rusqlite::Result<SandboxInfo> {
    let id = |text: String| SandboxId::parse(&text).map_err(|_| rusqlite::Error::InvalidQuery);
    let image = |text: String| ImageId::parse(&text).map_err(|_| rusqlite::Error::InvalidQuery);
    Ok(SandboxInfo {
        id: id(row.get(column!("id"))?)?,
        state: read_state(row)?,
        image: image(row.get(column!("image"))?)?,
        image_name: row.get(column!("image_name"))?,
        created_at: clock::from_ns(row.get(column!("created_ns"))?),
        expires_at: row.get::<_, Option<i64>>(column!("expires_ns"))?.map(clock::from_ns),
        command: from_json(&row.get::<_, String>(column!("command"))?)?,
        limits: Limits {
            memory_bytes: unsigned(row.get(column!("memory_bytes"))?),
            milli_cpus: unsigned(row.get(column!("milli_cpus"))?),
            pids: unsigned(row.get(column!("pids"))?),
        },
        volumes: from_json(&row.get::<_, String>(column!("volumes"))?)?,
        name: row.get(column!("name"))?,
        scope: row.get(column!("scope"))?,
        tags: from_json(&row.get::<_, String>(column!("tags"))?)?,
        owned: row.get::<_, Option<String>>(column!("owner"))?.is_some(),
        note: row.get(column!("note"))?,
        lifetime: clock::from_ms(row.get(column!("lifetime_ms"))?),
        idle_timeout: row.get::<_, Option<i64>>(column!("idle_ms"))?.map(clock::from_ms),
        birth: row.get(column!("birth"))?,
    })
}

fn read_state(row: &Row<'_>) -> rusqlite::Result<SandboxState> {
    Ok(match row.get::<_, i64>(column!("state"))? {
        2 => SandboxState::Ended(SandboxEnd {
            reason: decode_reason(row.get(column!("end_reason"))?, row.get(column!("end_code"))?),
            at: clock::from_ns(row.get(column!("ended_ns"))?),
        }),
        _ if row.get(column!("doomed"))? => SandboxState::Ending,
        0 => SandboxState::Creating,
        _ => SandboxState::Running,
    })
}

/// Why one is being ended; rows of older versions do not say.
fn read_ending(row: &Row<'_>) -> rusqlite::Result<Option<EndReason>> {
    if !row.get::<_, bool>(column!("doomed"))? {
        return Ok(None);
    }
    let reason: Option<i64> = row.get(column!("end_reason"))?;
    Ok(Some(reason.map_or(EndReason::Terminated, |reason| decode_reason(reason, 0))))
}

fn read_phase(row: &Row<'_>) -> rusqlite::Result<Phase> {
    Ok(match row.get::<_, i64>(column!("state"))? {
        0 => Phase::Creating,
        1 => Phase::Running,
        _ => Phase::Ended,
    })
}

fn read_process(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Process>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| Process::parse(&text).ok_or(rusqlite::Error::InvalidQuery)).transpose()
}

fn read_agent(row: &Row<'_>) -> rusqlite::Result<Option<Agent>> {
    let (pid, start) =
        (row.get::<_, Option<u32>>(column!("agent_pid"))?, unsigned(row.get(column!("agent_start"))?));
    Ok(pid.zip(start).map(|(pid, start)| Agent { pid, start }))
}

pub(super) fn encode_reason(reason: EndReason) -> (i64, i32) {
    match reason {
        EndReason::Exited(code) => (1, code),
        EndReason::Signaled(signal) => (2, signal),
        EndReason::TimedOut => (3, 0),
        EndReason::Idle => (4, 0),
        EndReason::Terminated => (5, 0),
        EndReason::OutOfMemory => (6, 0),
        EndReason::Lost => (7, 0),
        EndReason::Failed => (8, 0),
    }
}

fn decode_reason(reason: i64, code: i32) -> EndReason {
    match reason {
        1 => EndReason::Exited(code),
        2 => EndReason::Signaled(code),
        3 => EndReason::TimedOut,
        4 => EndReason::Idle,
        5 => EndReason::Terminated,
        6 => EndReason::OutOfMemory,
        8 => EndReason::Failed,
        _ => EndReason::Lost,
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and maps of texts have a JSON form")
}

pub(super) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: Option<i64>) -> Option<u64> {
    value.and_then(|value| u64::try_from(value).ok())
}
