//! A sandbox on its way to the caller.

use std::sync::Arc;
use std::time::Duration;

use openlattice::{Result, SandboxInfo, Subject};
use openlattice_modal_client as modal;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::account::Account;
use crate::claim::Claim;
use crate::error::Attempt;
use crate::tag;

/// How often an end is tried again in the background, and how long after the first failure.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const END: Attempt = Attempt("end failed sandbox");

/// A sandbox that this provision made or found. One that it made is ended when nobody takes it.
pub(crate) struct Made {
    account: Arc<Account>,
    pub(crate) sandbox: modal::Sandbox,
    pub(crate) info: SandboxInfo,
    /// Whether dropping this ends the sandbox: it does while this provision has the claim on it.
    claim: Option<Claim>,
    /// Whether this provision made it.
    created_here: bool,
}

impl Made {
    /// Holds a sandbox that this provision made, before it has [its claim](Self::claimed).
    pub(crate) fn new(account: &Arc<Account>, sandbox: modal::Sandbox, info: SandboxInfo) -> Self {
        Self { account: Arc::clone(account), sandbox, info, claim: None, created_here: true }
    }

    /// Holds a sandbox that an earlier provision with the same key made.
    pub(crate) fn found(account: &Arc<Account>, sandbox: modal::Sandbox, info: SandboxInfo) -> Self {
        Self { account: Arc::clone(account), sandbox, info, claim: None, created_here: false }
    }

    /// Takes the claim of the attempt; that on a found sandbox ends here.
    pub(crate) fn claimed(mut self, claim: Claim) -> Self {
        self.claim = Some(claim).filter(|_| self.created_here);
        self
    }

    /// Says whether this provision made it.
    pub(crate) fn is_new(&self) -> bool {
        self.created_here
    }

    /// Hands the sandbox over.
    pub(crate) fn keep(mut self) -> SandboxInfo {
        self.claim = None;
        self.account.keep(&self.sandbox);
        self.info.clone()
    }

    /// Ends a sandbox whose provision failed, and returns once it has ended. A found one is left alone.
    pub(crate) async fn abandon(mut self) -> Result<()> {
        if self.claim.is_none() {
            return Ok(());
        }
        self.account.leases.release(self.sandbox.id());
        end(&self.sandbox).await?;
        // Only now: a future dropped before leaves the rest to Drop.
        self.claim = None;
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let (Some(claim), Ok(runtime)) = (self.claim.take(), Handle::try_current()) else { return };
        let sandbox = self.sandbox.clone();
        self.account.leases.release(sandbox.id());
        drop(runtime.spawn(async move {
            let mut pause = FIRST_PAUSE;
            for _ in 0..TRIES {
                let Err(error) = end(&sandbox).await else { return };
                tracing::warn!(sandbox = sandbox.id(), %error, "cannot end an abandoned sandbox yet");
                claim.pause();
                sleep(pause).await;
                pause *= 2;
                if !claim.resume() {
                    return;
                }
            }
            // Rather an ended sandbox that answers for its key than one that is left running.
            if let Err(error) = crate::end::terminate(&sandbox, END).await {
                tracing::warn!(sandbox = sandbox.id(), %error, "an abandoned sandbox is left behind");
            }
        }));
    }
}

/// Ends a sandbox that its provision gives up. One that answers for a key is marked first and is not ended where that fails: a
/// repeated provision would find the ended one.
pub(crate) async fn end(sandbox: &modal::Sandbox) -> Result<()> {
    mark(sandbox).await?;
    crate::end::terminate(sandbox, END).await
}

async fn mark(sandbox: &modal::Sandbox) -> Result<()> {
    let marked = async {
        let mut tags = sandbox.tags().await?;
        if !tags.contains_key(tag::KEY) || tags.contains_key(tag::FAILED) {
            return Ok(());
        }
        tags.insert(tag::FAILED.to_owned(), "1".to_owned());
        sandbox.set_tags(&tags).await
    };
    match marked.await {
        // It has ended by itself.
        Err(error) if error.kind() == modal::ErrorKind::FailedPrecondition => Ok(()),
        Err(error) if crate::end::is_gone(sandbox.id(), &error) => Ok(()),
        marked => marked.map_err(END.about(Subject::Sandbox)),
    }
}
