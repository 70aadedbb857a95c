//! Listing the app's sandboxes.

use std::time::{Duration, UNIX_EPOCH};

use openlattice::{ListFilter, Result, SandboxId, SandboxInfo, SandboxState, Timestamp};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::sandbox_end;
use crate::error::Attempt;
use crate::{owner, tag};

const LIST: Attempt = Attempt("list");

/// Lists those that match, newest first. Modal filters by labels; the name is compared here.
pub(crate) async fn run(account: &Account, filter: ListFilter) -> Result<Vec<SandboxInfo>> {
    let ListFilter { tags, name, include_ended } = filter;
    let wanted = modal::SandboxFilter { tags, include_finished: include_ended };
    let app = account.app(LIST).await?;
    let found = account.client.list_sandboxes(app, &wanted).await.map_err(LIST.failed())?;
    let named = |summary: &modal::SandboxSummary| name.as_ref().is_none_or(|name| *name == summary.name);
    Ok(found.into_iter().filter(named).map(info).collect())
}

/// Describes one line of the list.
pub(crate) fn info(summary: modal::SandboxSummary) -> SandboxInfo {
    let id = SandboxId::new(summary.id);
    let mut info = match &summary.status {
        modal::SandboxStatus::Running => SandboxInfo::running(id),
        modal::SandboxStatus::Ended(end) => {
            SandboxInfo { end: Some(sandbox_end(end)), ..SandboxInfo::new(id, SandboxState::Terminated) }
        }
    };
    info.created_at = created_at(summary.created_at);
    info.image = Some(summary.image_id).filter(|image| !image.is_empty());
    // The name of a keyed sandbox is the provider's own.
    let keyed = summary.tags.contains_key(tag::KEY);
    info.name = Some(summary.name).filter(|name| !name.is_empty() && !keyed);
    info.owner = owner::of(&summary.tags);
    info.state = owner::judged(info.state, &summary.tags);
    info.tags = tag::of_caller(summary.tags);
    info
}

/// Reads seconds since 1970; nothing for a number that is no time.
fn created_at(seconds: f64) -> Option<Timestamp> {
    let age = Duration::try_from_secs_f64(seconds).ok()?;
    UNIX_EPOCH.checked_add(age).map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g3_a_time_of_making_that_is_none_is_left_out() {
        assert_eq!(created_at(1.5).unwrap().unix_millis(), 1500);
        for seconds in [-1.0, f64::NAN, f64::INFINITY, 1.8e19] {
            assert_eq!(created_at(seconds), None, "{seconds}");
        }
    }
}
