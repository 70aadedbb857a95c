//! Renewing the leases of the sandboxes that belong to this process.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use openlattice_modal_client as modal;
use tokio::time::sleep;

use crate::account::Account;
use crate::owner::{self, LEASE_LENGTH};

/// The ids whose leases this process renews. One task does so for all; it ends when there are none, or with the provider.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bound: BTreeSet<String>,
    renewing: bool,
}

impl Leases {
    /// Renews a sandbox's lease from now on.
    pub(crate) fn hold(&self, account: &Arc<Account>, id: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.bound.insert(id.to_owned());
        if !state.renewing {
            state.renewing = true;
            drop(tokio::spawn(renew_all(Arc::downgrade(account))));
        }
    }

    /// Stops renewing, since the sandbox has ended.
    pub(crate) fn release(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bound.remove(id);
    }

    /// Gives the ids to renew; without any, the task has to end.
    fn due(&self) -> Option<Vec<String>> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.renewing = !state.bound.is_empty();
        state.renewing.then(|| state.bound.iter().cloned().collect())
    }
}

async fn renew_all(account: Weak<Account>) {
    loop {
        sleep(pause()).await;
        let Some(account) = account.upgrade() else { return };
        let Some(ids) = account.leases.due() else { return };
        for id in ids {
            match renew(&account, &id).await {
                Ok(()) => {}
                Err(error) if error.kind() == modal::ErrorKind::NotFound => account.leases.release(&id),
                // Two more renewals fit into the lease.
                Err(error) => tracing::debug!(sandbox = id, %error, "cannot renew a lease yet"),
            }
        }
    }
}

fn pause() -> Duration {
    LEASE_LENGTH / 3
}

async fn renew(account: &Account, id: &str) -> modal::Result<()> {
    let sandbox = account.client.sandbox(id);
    let _alone = account.labelling.lock().await;
    let mut tags = sandbox.tags().await?;
    if owner::of(&tags).is_none() {
        // It was detached since the round began.
        return Ok(());
    }
    owner::renew(&mut tags);
    sandbox.set_tags(&tags).await
}
