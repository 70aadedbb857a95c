//! Keeping a sandbox's files as an image.

use std::time::Duration;

use openlattice_modal_proto::task_command_router as wire;
use uuid::Uuid;

use super::Sandbox;
use crate::error::{Error, ErrorKind, Result};
use crate::image::ImageId;
use crate::router::{RouterCall, RouterStub};
use crate::status::Operation;

const SNAPSHOT: Operation = Operation::creates("TaskSnapshotFilesystem");
/// How long Modal's clients wait for a snapshot when nothing else is said.
const DEFAULT_LIMIT: Duration = Duration::from_secs(55);

/// How long the server keeps a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotLife {
    /// Until it is deleted.
    Forever,
    /// This long; whole seconds are sent.
    For(Duration),
}

impl Default for SnapshotLife {
    /// Thirty days, as Modal's clients ask for.
    fn default() -> Self {
        Self::For(Duration::from_secs(2_592_000))
    }
}

impl SnapshotLife {
    fn on_wire(self) -> i64 {
        match self {
            Self::Forever => -1,
            Self::For(time) => i64::try_from(time.as_secs()).unwrap_or(i64::MAX).max(1),
        }
    }
}

impl Sandbox {
    /// Keeps the sandbox's files as an image that new sandboxes can start from; its processes run on.
    ///
    /// The request carries an id of its own, so that a broken connection does not make two.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] when it takes longer than `limit` (55 s without one); [`ErrorKind::NotFound`] when the sandbox has ended.
    pub async fn snapshot_filesystem(&self, life: SnapshotLife, limit: Option<Duration>) -> Result<ImageId> {
        let router = self.router().await?;
        let request = wire::TaskSnapshotFilesystemRequest {
            task_id: router.task_id().to_owned(),
            snapshot_id: Uuid::new_v4().to_string(),
            ttl_seconds: Some(life.on_wire()),
            ..Default::default()
        };
        let call = RouterCall::from(SNAPSHOT).in_all(limit.unwrap_or(DEFAULT_LIMIT));
        let send =
            |mut stub: RouterStub, request| async move { stub.task_snapshot_filesystem(request).await };
        let reply = router.unary(call, request, send).await?.into_inner();
        if reply.image_id.is_empty() {
            return Err(
                Error::new(ErrorKind::UnexpectedReply, "the server gave no image id").during(SNAPSHOT.name)
            );
        }
        Ok(ImageId::new(reply.image_id))
    }
}
