//! Sandboxes that are not what their rows say.

use super::{Found, GC, Rows, data::Folders};
use crate::{
    engine::Inner,
    error::Result,
    sandbox::SandboxState,
    store::{self, LAYER_FOLDERS, Phase, SandboxRow},
};

pub(super) fn compare(inner: &Inner, rows: &Rows, folders: &Folders) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for row in &rows.sandboxes {
        let name = format!("sandbox {}", row.info.id);
        let unfit = match row.phase {
            Phase::Ended => left_over(inner, row, &name),
            _ => not_alive(inner, row)?.map(|problem| Found::new(&name, problem, GC)),
        };
        found.extend(unfit);
        if row.folder && row.phase != Phase::Creating && !inner.store.sandbox_dir(&row.info.id).exists() {
            found.push(Found::new(&name, "its folder is gone", GC));
        }
    }
    for folder in &folders.sandboxes {
        let known = rows.sandboxes.iter().any(|row| row.info.id.as_str() == folder);
        let path = inner.store.dir().join("sandboxes").join(folder);
        if !known && path.exists() {
            found.push(Found::new(path.display().to_string(), "no sandbox has this folder", GC));
        }
    }
    Ok(found)
}

/// Why a sandbox that has not ended by its row does not live.
fn not_alive(inner: &Inner, row: &SandboxRow) -> Result<Option<&'static str>> {
    let creating = row.phase == Phase::Creating;
    Ok(if row.info.state == SandboxState::Ending {
        Some("its end was begun and is not over")
    } else if creating && row.creator.is_gone() {
        Some("the process that was creating it is gone")
    } else if !creating && !inner.store.is_locked(&row.info.id)? {
        Some("it runs no more, and nobody has recorded its end")
    } else if row.owner.as_ref().is_some_and(store::Process::is_gone) {
        Some("the process that it belongs to is gone")
    } else {
        None
    })
}

/// What is still there of an ended one that is not kept. A snapshot of it may still be copying.
fn left_over(inner: &Inner, row: &SandboxRow, name: &str) -> Option<Found> {
    let dir = inner.store.sandbox_dir(&row.info.id);
    let left = LAYER_FOLDERS.iter().any(|folder| dir.join(folder).exists());
    let problem = "it has ended, and its files are still there";
    (left && !row.keep_files).then(|| Found::new(name, problem, GC).unless_held(dir.join("snapshot.lock")))
}
