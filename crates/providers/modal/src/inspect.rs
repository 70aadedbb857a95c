//! Describing a sandbox.

use openlattice::{EndReason, Result, SandboxId, SandboxInfo, SandboxState, Subject};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::end::{is_gone, sandbox_end};
use crate::error::Attempt;
use crate::{owner, tag};

const INSPECT: Attempt = Attempt("inspect");

/// Asks for state and labels; an unknown sandbox is a terminated one.
pub(crate) async fn run(account: &Account, id: &SandboxId) -> Result<SandboxInfo> {
    let sandbox = account.sandbox(id);
    let (status, tags) = tokio::join!(sandbox.poll(), sandbox.tags());
    let status = match status {
        Ok(status) => status,
        Err(error) if is_gone(id.as_str(), &error) => {
            account.forget(id.as_str());
            return Ok(SandboxInfo::terminated(id.clone(), EndReason::Unknown, None));
        }
        Err(error) => return Err(INSPECT.about(Subject::Sandbox)(error)),
    };
    let mut info = match status {
        modal::SandboxStatus::Running => SandboxInfo::running(id.clone()),
        modal::SandboxStatus::Ended(end) => {
            account.forget(id.as_str());
            let end = sandbox_end(&end);
            SandboxInfo { end: Some(end), ..SandboxInfo::new(id.clone(), SandboxState::Terminated) }
        }
    };
    info.tags = match tags {
        Ok(tags) => {
            info.owner = owner::of(&tags);
            info.state = owner::judged(info.state, &tags);
            tag::of_caller(tags)
        }
        // Labels of an ended sandbox may be gone with it; those of a running one may not.
        Err(_) if info.end.is_some() => Default::default(),
        Err(error) => return Err(INSPECT.about(Subject::Sandbox)(error)),
    };
    Ok(info)
}
