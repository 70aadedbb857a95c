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
    info.created_at =
        Duration::try_from_secs_f64(summary.created_at).ok().map(|age| Timestamp::from(UNIX_EPOCH + age));
    info.image = Some(summary.image_id).filter(|image| !image.is_empty());
    // The name of a keyed sandbox is the provider's own.
    let keyed = summary.tags.contains_key(tag::KEY);
    info.name = Some(summary.name).filter(|name| !name.is_empty() && !keyed);
    info.owner = owner::of(&summary.tags);
    info.tags = tag::of_caller(summary.tags);
    info
}
