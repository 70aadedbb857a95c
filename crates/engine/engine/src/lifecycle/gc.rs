//! Ends what nobody owns any more and removes what nothing uses.

use crate::{
    config::GcReport,
    engine::{Engine, Inner},
    error::{ErrorKind, Result},
    id::SandboxId,
    image,
    lifecycle::{remove::remove_folder, settle::TEARDOWN, terminate::end_begun},
    sandbox::EndReason,
    store::{Phase, SandboxRow},
    volume,
};
use std::time::{Duration, SystemTime};

/// How long the result of an ended sandbox stays known.
const RESULTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// One round. What another process removes at the same time is nobody's error.
pub(crate) async fn gc(engine: &Engine) -> Result<GcReport> {
    let mut report = GcReport { ended: end_ownerless(engine).await?, ..GcReport::default() };
    let keep = engine.inner().config.keep_ended;
    report = engine
        .blocking(move |inner| {
            let before = SystemTime::now().checked_sub(keep).unwrap_or(SystemTime::UNIX_EPOCH);
            for row in inner.store.ended_folders(before)? {
                report.bytes += remove_folder(inner, &row.info.id)?;
                report.removed.push(row.info.id);
            }
            inner.store.forget_ended(SystemTime::now() - RESULTS)?;
            inner.store.empty_trash()?;
            image::gc::collect(inner, &mut report)?;
            volume::collect(inner, &mut report)?;
            Ok(report)
        })
        .await?;
    Ok(report)
}

/// Ends the living ones whose owner is gone, and goes on with ends that somebody has begun and left; creations whose creator is gone are
/// ended by the look at them. One that does not die is left to the next round.
async fn end_ownerless(engine: &Engine) -> Result<Vec<SandboxId>> {
    let (mut ended, begun) = engine.blocking(begin_ends).await?;
    for row in begun {
        let id = row.info.id.clone();
        match end_begun(engine, row).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {}
            result => drop(result?),
        }
        ended.push(id);
    }
    Ok(ended)
}

/// Begins the ends of those whose owner is gone; says which creations were undone, and which ends are to be gone on with.
fn begin_ends(inner: &Inner) -> Result<(Vec<SandboxId>, Vec<SandboxRow>)> {
    let (mut ended, mut begun) = (Vec::new(), Vec::new());
    for row in inner.store.living_sandboxes()? {
        let creating = row.phase == Phase::Creating;
        let Some(row) = inner.settled(row, TEARDOWN) else { continue };
        match row.phase {
            Phase::Ended if creating => ended.push(row.info.id),
            Phase::Running if row.ending.is_some() => begun.push(row),
            // Its owner may have changed since the row was read: judged and written at once.
            Phase::Running
                if is_ownerless(&row) && inner.store.begin_end_of(&row, EndReason::Terminated)? =>
            {
                begun.push(row);
            }
            _ => {}
        }
    }
    Ok((ended, begun))
}

fn is_ownerless(row: &SandboxRow) -> bool {
    row.owner.as_ref().is_some_and(crate::store::Process::is_gone)
}
