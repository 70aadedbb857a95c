//! Ends what nobody owns any more and removes what nothing uses.

use crate::{
    config::GcReport,
    engine::Engine,
    error::Result,
    id::SandboxId,
    image,
    lifecycle::{remove::remove_folder, settle::settle, terminate::terminate},
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

/// Ends the living ones whose owner is gone; creations whose creator is gone are ended by the look at them.
async fn end_ownerless(engine: &Engine) -> Result<Vec<SandboxId>> {
    let (mut ended, ownerless) = engine
        .blocking(|inner| {
            let (mut ended, mut ownerless) = (Vec::new(), Vec::new());
            for row in inner.store.living_sandboxes()? {
                let creating = row.phase() == Phase::Creating;
                let row = settle(inner, row)?;
                match row.phase() {
                    Phase::Running if is_ownerless(&row) => ownerless.push(row.info.id),
                    Phase::Ended if creating => ended.push(row.info.id),
                    _ => {}
                }
            }
            Ok((ended, ownerless))
        })
        .await?;
    for id in ownerless {
        terminate(engine, &id).await?;
        ended.push(id);
    }
    Ok(ended)
}

fn is_ownerless(row: &SandboxRow) -> bool {
    row.owner.as_ref().is_some_and(crate::store::Process::is_gone)
}
