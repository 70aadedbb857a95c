//! The account's volumes.

use std::sync::Arc;
use std::time::Duration;

use openlattice::{Error, Result, Subject, Timestamp, VolumeInfo, Volumes, async_trait};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Makes, lists and removes volumes of the configured environment.
pub(crate) struct ModalVolumes {
    account: Arc<Account>,
}

impl ModalVolumes {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self { account }
    }
}

#[async_trait]
impl Volumes for ModalVolumes {
    async fn create(&self, name: &str) -> Result<VolumeInfo> {
        let made =
            self.account.client.create_volume(name).await.map_err(about(Attempt("create volume"), name))?;
        Ok(volume_info(made))
    }

    async fn list(&self) -> Result<Vec<VolumeInfo>> {
        let all = self.account.client.list_volumes().await.map_err(Attempt("list volumes").failed())?;
        Ok(all.into_iter().map(volume_info).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let about = about(Attempt("remove volume"), name);
        let id = self.account.client.volume(name, modal::IfMissing::Fail).await.map_err(&about)?;
        self.account.client.delete_volume(&id).await.map_err(&about)
    }
}

/// Turns an error about the volume of a name into the contract's.
pub(crate) fn about(attempt: Attempt, name: &str) -> impl Fn(modal::Error) -> Error + '_ {
    move |error| attempt.about(Subject::Volume)(error).with_context("volume", name)
}

fn volume_info(volume: modal::Volume) -> VolumeInfo {
    let made = Duration::try_from_secs_f64(volume.created_at).ok().filter(|since| !since.is_zero());
    let created_at =
        made.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp::from_unix_millis);
    VolumeInfo { name: volume.name, id: volume.id, created_at }
}

impl std::fmt::Debug for ModalVolumes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModalVolumes").finish_non_exhaustive()
    }
}
