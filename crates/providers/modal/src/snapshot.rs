//! Snapshots of the file system.

use std::time::Duration;

use openlattice::{Result, SandboxId, SnapshotKind, SnapshotRef, Subject, Timestamp};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;
use crate::provider::PROVIDER_NAME;

/// How long a snapshot may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Keeps the file system as an image; the reference is Modal's image id.
pub(crate) async fn take(account: &Account, id: &SandboxId) -> Result<SnapshotRef> {
    let sandbox = account.sandbox(id);
    let taken = sandbox.snapshot_filesystem(modal::SnapshotLife::default(), Some(LIMIT)).await;
    let image = taken.map_err(|error| ended(error).with_context("sandbox", id))?;
    Ok(SnapshotRef {
        provider: PROVIDER_NAME.to_owned(),
        external_id: image.as_str().to_owned(),
        created_at: Timestamp::now(),
        kind: SnapshotKind::Filesystem,
    })
}

/// An ended sandbox is not there any more, in whichever words the server says so.
fn ended(error: modal::Error) -> openlattice::Error {
    let attempt = Attempt("snapshot");
    if error.kind() != modal::ErrorKind::FailedPrecondition {
        return attempt.about(Subject::Sandbox)(error);
    }
    openlattice::Error::new(openlattice::ErrorKind::NotFound, attempt.0, error.to_string())
        .with_subject(Subject::Sandbox)
        .with_source(error)
}
