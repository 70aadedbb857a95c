//! Ending the sandboxes whose owner is gone.

use std::collections::BTreeMap;

use openlattice::{GcReport, Result, SandboxId, SandboxState};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;
use crate::{end, owner};

const GC: Attempt = Attempt("gc");

/// Looks at all sandboxes of the app that belong to a process. The first that cannot be ended is the error; a repeated call goes on.
pub(crate) async fn run(account: &Account) -> Result<GcReport> {
    let (name, value) = owner::BOUND;
    let filter = modal::SandboxFilter {
        tags: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        include_finished: false,
    };
    let app = account.app(GC).await?;
    let bound = account.client.list_sandboxes(app, &filter).await.map_err(GC.failed())?;
    let mut report = GcReport::default();
    for summary in bound {
        if owner::judged(SandboxState::Running, &summary.tags) == SandboxState::Abandoned {
            end::terminate(&account.client.sandbox(&summary.id), GC).await?;
            account.forget(&summary.id);
            report.ended.push(SandboxId::new(summary.id));
        }
    }
    Ok(report)
}
