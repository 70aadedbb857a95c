//! The client with what belongs to it: the app, defaults, and handles to sandboxes in use.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use openlattice::{Result, SandboxId};
use openlattice_modal_client as modal;
use tokio::sync::OnceCell;

use crate::claim::Claims;
use crate::error::Attempt;
use crate::lease::Leases;

/// Handles kept, so that calls to the same sandbox share its connection.
const KEPT: usize = 256;

/// What every call of the provider needs.
pub(crate) struct Account {
    pub(crate) client: modal::Client,
    pub(crate) app_name: String,
    pub(crate) default_image: String,
    pub(crate) leases: Leases,
    pub(crate) claims: Claims,
    /// Held from reading all labels of a sandbox to writing them.
    pub(crate) labelling: tokio::sync::Mutex<()>,
    app: OnceCell<modal::App>,
    sandboxes: Mutex<VecDeque<modal::Sandbox>>,
}

impl Account {
    pub(crate) fn new(client: modal::Client, app_name: String, default_image: String) -> Self {
        Self {
            client,
            app_name,
            default_image,
            leases: Leases::default(),
            claims: Claims::default(),
            labelling: tokio::sync::Mutex::default(),
            app: OnceCell::new(),
            sandboxes: Mutex::default(),
        }
    }

    /// Gives the app, looked up or made at the first call.
    pub(crate) async fn app(&self, attempt: Attempt) -> Result<&modal::App> {
        let find = || self.client.app(&self.app_name, modal::IfMissing::Create);
        self.app.get_or_try_init(find).await.map_err(attempt.failed())
    }

    /// Gives the handle to a sandbox; nothing is sent.
    pub(crate) fn sandbox(&self, id: &SandboxId) -> modal::Sandbox {
        let mut kept = self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|one| one.id() == id.as_str()) {
            return kept[at].clone();
        }
        let sandbox = self.client.sandbox(id.as_str());
        keep(&mut kept, sandbox.clone());
        sandbox
    }

    /// Keeps a handle that knows more than one made from the id would.
    pub(crate) fn keep(&self, sandbox: &modal::Sandbox) {
        let mut kept = self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.id() != sandbox.id());
        keep(&mut kept, sandbox.clone());
    }

    /// Forgets the handle to a sandbox that has ended, and with it the connection and the lease.
    pub(crate) fn forget(&self, id: &str) {
        self.leases.release(id);
        let mut kept = self.sandboxes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|one| one.id() != id);
    }
}

fn keep(kept: &mut VecDeque<modal::Sandbox>, sandbox: modal::Sandbox) {
    kept.push_back(sandbox);
    if kept.len() > KEPT {
        kept.pop_front();
    }
}
