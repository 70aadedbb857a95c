//! Volumes that the server stores.

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::task_command_router as router;

use crate::app::IfMissing;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, Result};
use crate::router::RouterStub;
use crate::sandbox::Sandbox;
use crate::status::Operation;

const VOLUME_GET_OR_CREATE: Operation = Operation::repeatable("VolumeGetOrCreate");
const VOLUME_CREATE: Operation = Operation::creates("VolumeGetOrCreate");
const VOLUME_LIST: Operation = Operation::repeatable("VolumeList");
const VOLUME_DELETE: Operation = Operation::creates("VolumeDelete");
const VOLUME_RENAME: Operation = Operation::repeatable("VolumeRename");
const RELOAD_VOLUMES: Operation = Operation::repeatable("TaskReloadVolumes");
/// Volumes that one page has, as Modal's clients ask for.
const PAGE: usize = 100;
/// More pages than this mean that the server ignores where we are.
const MAX_PAGES: usize = 10_000;

/// A stored volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// The id, `vo-...`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in seconds since 1970.
    pub created_at: f64,
}

impl Client {
    /// Looks a stored volume up by its name in the configured environment and gives its id, `vo-...`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a missing volume with [`IfMissing::Fail`].
    pub async fn volume(&self, name: &str, if_missing: IfMissing) -> Result<String> {
        Ok(self.get_or_create(VOLUME_GET_OR_CREATE, name, if_missing.on_wire()).await?.id)
    }

    /// Makes a volume in the configured environment.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) when one has the name.
    pub async fn create_volume(&self, name: &str) -> Result<Volume> {
        let creation = wire::ObjectCreationType::CreateFailIfExists.into();
        self.get_or_create(VOLUME_CREATE, name, creation).await
    }

    async fn get_or_create(&self, operation: Operation, name: &str, creation: i32) -> Result<Volume> {
        let request = wire::VolumeGetOrCreateRequest {
            deployment_name: name.to_owned(),
            environment_name: self.config().environment().to_owned(),
            object_creation_type: creation,
            ..Default::default()
        };
        let send = |mut stub: ControlPlane, request| async move { stub.volume_get_or_create(request).await };
        let reply = self.unary(operation, request, send).await?;
        if reply.volume_id.is_empty() {
            return Err(Error::unexpected("the server gave no volume id").during(operation.name));
        }
        Ok(volume(reply.volume_id, name, reply.metadata))
    }

    /// Lists the volumes of the configured environment, newest first.
    ///
    /// # Errors
    /// Those of any call.
    pub async fn list_volumes(&self) -> Result<Vec<Volume>> {
        let mut found: Vec<Volume> = Vec::new();
        for _ in 0..MAX_PAGES {
            let before = found.last().map_or(0.0, |last| last.created_at);
            let page = self.volume_page(before).await?;
            let last = page.len() < PAGE;
            found.extend(page);
            if last {
                return Ok(found);
            }
        }
        Err(Error::unexpected("the list of volumes has no end").during(VOLUME_LIST.name))
    }

    async fn volume_page(&self, created_before: f64) -> Result<Vec<Volume>> {
        let max_objects = i32::try_from(PAGE).unwrap_or(i32::MAX);
        let request = wire::VolumeListRequest {
            environment_name: self.config().environment().to_owned(),
            pagination: Some(wire::ListPagination { max_objects, created_before }),
        };
        let send = |mut stub: ControlPlane, request| async move { stub.volume_list(request).await };
        let items = self.unary(VOLUME_LIST, request, send).await?.items;
        Ok(items.into_iter().map(|item| volume(item.volume_id, &item.label, item.metadata)).collect())
    }

    /// Deletes a volume, by its id, with all that is in it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown one;
    /// [`ErrorKind::FailedPrecondition`](crate::ErrorKind::FailedPrecondition) where the server keeps one that a sandbox has.
    pub async fn delete_volume(&self, volume_id: &str) -> Result<()> {
        let request = wire::VolumeDeleteRequest {
            volume_id: volume_id.to_owned(),
            environment_name: self.config().environment().to_owned(),
        };
        let send = |mut stub: ControlPlane, request| async move { stub.volume_delete(request).await };
        self.unary(VOLUME_DELETE, request, send).await
    }

    /// Gives a volume, by its id, another name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for an unknown one;
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) when the name is taken.
    pub async fn rename_volume(&self, volume_id: &str, name: &str) -> Result<()> {
        let request = wire::VolumeRenameRequest { volume_id: volume_id.to_owned(), name: name.to_owned() };
        let send = |mut stub: ControlPlane, request| async move { stub.volume_rename(request).await };
        self.unary(VOLUME_RENAME, request, send).await
    }
}

impl Sandbox {
    /// Shows the sandbox what others have committed to its volumes since it was made. Modal asks for that; the local server shows
    /// every write at once, and has nothing to do.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the sandbox has ended.
    pub async fn reload_volumes(&self) -> Result<()> {
        let router = self.router().await?;
        let request =
            router::TaskReloadVolumesRequest { task_id: router.task_id().to_owned(), ..Default::default() };
        let send = |mut stub: RouterStub, request| async move { stub.task_reload_volumes(request).await };
        router.unary(RELOAD_VOLUMES, request, send).await.map(drop)
    }
}

fn volume(id: String, asked: &str, metadata: Option<wire::VolumeMetadata>) -> Volume {
    let metadata = metadata.unwrap_or_default();
    let name = if metadata.name.is_empty() { asked.to_owned() } else { metadata.name };
    Volume { id, name, created_at: metadata.creation_info.unwrap_or_default().created_at }
}
