//! The contract's trait over the client.

use std::fmt;
use std::sync::Arc;

use openlattice::{
    Capabilities, ComputeProvider, Error, ErrorKind, ExecId, ExecSession, ExecSpec, Extensions, Files,
    GcReport, Health, ListFilter, Network, Operation, OutputReader, OutputStream, ProvisionSpec, Result,
    SandboxId, SandboxInfo, SnapshotKind, SnapshotRef, SnapshotSpec, Subject, Tags, Volumes, async_trait,
};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::capability::{Service, declared};
use crate::error::Attempt;
use crate::files::ModalFiles;
use crate::network::ModalNetwork;
use crate::provision::{self, Order};
use crate::tags::ModalTags;
use crate::volumes::ModalVolumes;
use crate::{end, exec, gc, health, inspect, list, plan, snapshot};

/// The provider's name, which its snapshot references carry.
pub const PROVIDER_NAME: &str = "modal";

/// Offers sandboxes of Modal's service, or of another server of its protocol. Made by [`ModalConfig::build`](crate::ModalConfig::build).
///
/// Its calls run on the tokio runtime of the caller; several instances may use the same account and app.
pub struct ModalProvider {
    account: Arc<Account>,
    offer: Arc<Capabilities>,
    extensions: Extensions,
}

impl ModalProvider {
    pub(crate) fn on(client: modal::Client, app_name: String, default_image: String) -> Self {
        let service = if client.config().is_modal_service() { Service::Modal } else { Service::Other };
        let account = Arc::new(Account::new(client, app_name, default_image));
        let offer = Arc::new(declared(service));
        let network = ModalNetwork::new(Arc::clone(&account), Arc::clone(&offer));
        let extensions = Extensions::default()
            .with::<dyn Files>(Arc::new(ModalFiles::new(Arc::clone(&account))))
            .with::<dyn Network>(Arc::new(network))
            .with::<dyn Tags>(Arc::new(ModalTags::new(Arc::clone(&account))))
            .with::<dyn Volumes>(Arc::new(ModalVolumes::new(Arc::clone(&account))));
        Self { account, offer, extensions }
    }

    /// Gives the client, for what Modal has and the contract does not.
    pub fn client(&self) -> &modal::Client {
        &self.account.client
    }

    async fn make(
        &self,
        spec: ProvisionSpec,
        from: Option<SnapshotRef>,
        attempt: Attempt,
    ) -> Result<SandboxInfo> {
        plan::check(&spec, &self.account.default_image)?;
        let order = Order::new(spec, from, Arc::clone(&self.offer), attempt);
        provision::run(&self.account, order).await
    }

    /// Refuses a call that the capabilities do not offer.
    fn refuse<T>(&self, operation: Operation) -> Result<T> {
        self.offer.check_operation(operation)?;
        Err(Error::new(ErrorKind::Internal, "modal", "a call that is not there was offered"))
    }
}

#[async_trait]
impl ComputeProvider for ModalProvider {
    fn name(&self) -> &'static str {
        PROVIDER_NAME
    }

    fn capabilities(&self) -> &Capabilities {
        &self.offer
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    async fn health(&self) -> Health {
        health::check(&self.account.client).await
    }

    async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.offer.check_provision(&spec)?;
        self.make(spec, None, Attempt("provision")).await
    }

    async fn inspect(&self, id: &SandboxId) -> Result<SandboxInfo> {
        inspect::run(&self.account, id).await
    }

    async fn list(&self, filter: ListFilter) -> Result<Vec<SandboxInfo>> {
        self.offer.check_operation(Operation::List)?;
        list::run(&self.account, filter).await
    }

    async fn exec(&self, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
        self.offer.check_exec(&spec)?;
        Ok(Box::new(exec::start(&self.account, id, spec).await?))
    }

    async fn attach(&self, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
        self.offer.check_operation(Operation::Attach)?;
        Ok(Box::new(exec::attach(&self.account, id, exec).await?))
    }

    async fn snapshot(&self, id: &SandboxId, spec: SnapshotSpec) -> Result<SnapshotRef> {
        self.offer.check_snapshot(&spec)?;
        snapshot::take(&self.account, id).await
    }

    async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<SandboxInfo> {
        self.offer.check_restore(&spec)?;
        if from.provider != PROVIDER_NAME {
            let text = format!("the snapshot belongs to provider {:?}, not {PROVIDER_NAME:?}", from.provider);
            return Err(
                Error::new(ErrorKind::InvalidArgument, "restore", text).with_subject(Subject::Snapshot)
            );
        }
        if from.kind == SnapshotKind::Memory {
            return Err(Error::unsupported("restore", "type").with_subject(Subject::Snapshot));
        }
        self.make(spec, Some(from.clone()), Attempt("restore")).await
    }

    async fn destroy(&self, id: &SandboxId) -> Result<()> {
        let sandbox = self.account.sandbox(id);
        end::terminate(&sandbox, Attempt("destroy")).await?;
        self.account.forget(id.as_str());
        Ok(())
    }

    async fn pause(&self, _id: &SandboxId) -> Result<()> {
        self.refuse(Operation::Pause)
    }

    async fn resume(&self, _id: &SandboxId) -> Result<()> {
        self.refuse(Operation::Resume)
    }

    async fn restart(&self, _id: &SandboxId) -> Result<()> {
        self.refuse(Operation::Restart)
    }

    async fn logs(
        &self,
        _id: &SandboxId,
        _stream: OutputStream,
        _offset: u64,
    ) -> Result<Box<dyn OutputReader>> {
        self.refuse(Operation::Logs)
    }

    async fn gc(&self) -> Result<GcReport> {
        self.offer.check_operation(Operation::Gc)?;
        gc::run(&self.account).await
    }
}

impl fmt::Debug for ModalProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalProvider")
            .field("client", &self.account.client)
            .field("app", &self.account.app_name)
            .finish_non_exhaustive()
    }
}
