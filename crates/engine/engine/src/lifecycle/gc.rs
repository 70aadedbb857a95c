//! Ends what nobody owns any more and removes what nothing uses.

use crate::{
    config::{GcReport, GcSpec},
    engine::Inner,
    error::Result,
    id::SandboxId,
    image,
    lifecycle::{
        output,
        remove::{free_files, remove_all, remove_folder},
        settle::{TEARDOWN, end_judged},
    },
    sandbox::{EndReason, SandboxState},
    store::{Phase, SandboxRow},
    volume,
};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

/// How long the result of an ended sandbox stays known.
const RESULTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// One round. What another process removes at the same time is nobody's error.
pub(crate) fn round(inner: &Inner, spec: &GcSpec) -> Result<GcReport> {
    let mut report = GcReport::default();
    end_ownerless(inner, &mut report)?;
    if let Some(age) = spec.older {
        for row in inner.store.ended_before(ago(age))? {
            report.bytes += remove_all(inner, &row.info.id)?;
            report.removed.push(row.info.id);
        }
    }
    free_ended(inner, &mut report)?;
    report.bytes += discard_unknown(inner)?;
    inner.store.forget_ended(ago(RESULTS))?;
    inner.store.empty_trash()?;
    image::gc::collect(inner, &mut report)?;
    volume::collect(inner, &mut report)?;
    Ok(report)
}

fn ago(age: Duration) -> SystemTime {
    SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Ends the living ones whose owner is gone, and goes on with ends that somebody has begun and left; creations whose creator is gone are
/// ended by the look at them. One that does not die is left to the next round.
fn end_ownerless(inner: &Inner, report: &mut GcReport) -> Result<()> {
    for row in inner.store.living_sandboxes()? {
        let creating = row.phase == Phase::Creating;
        let Some(row) = inner.settled(row, TEARDOWN) else { continue };
        match row.phase {
            Phase::Ended if creating => report.ended.push(row.info.id),
            Phase::Running if row.ending.is_some() || is_ownerless(&row) => {
                // Its owner may have changed since the row was read: judged and written at once.
                if let Some(ended) = end_judged(inner, &row, EndReason::Terminated, TEARDOWN)? {
                    drop(free_files(inner, &ended));
                    report.ended.push(ended.info.id);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_ownerless(row: &SandboxRow) -> bool {
    row.owner.as_ref().is_some_and(crate::store::Process::is_gone)
}

/// Frees what ended sandboxes still have: files that nobody wants to keep, output whose time is over, and with it the folder.
fn free_ended(inner: &Inner, report: &mut GcReport) -> Result<()> {
    report.bytes += output::collect(inner)?;
    let old = ago(inner.config.output_retention);
    for row in inner.store.ended_before(SystemTime::now())?.into_iter().filter(|row| row.folder) {
        if !inner.store.sandbox_dir(&row.info.id).exists() {
            // A removal that was cut short after its first step.
            inner.store.set_folder_gone(&row.info.id)?;
            continue;
        }
        let over = !row.keep_files && matches!(&row.info.state, SandboxState::Ended(end) if end.at <= old);
        report.bytes += if over { remove_folder(inner, &row.info.id)? } else { free_files(inner, &row)? };
        if over {
            report.removed.push(row.info.id);
        }
    }
    Ok(())
}

/// Removes folders that no row has: a host that went down may have lost a row that was written before its folder was made.
fn discard_unknown(inner: &Inner) -> Result<u64> {
    // Listed before the rows are read: a folder's row comes before it.
    let folders = inner.store.sandbox_folders()?;
    let rows = inner.store.with_folder()?;
    let known: BTreeSet<&str> = rows.iter().map(|row| row.info.id.as_str()).collect();
    let unknown = folders.iter().filter(|name| !known.contains(name.as_str()));
    unknown.filter_map(|name| SandboxId::parse(name).ok()).map(|id| inner.store.discard_unknown(&id)).sum()
}
