//! Listing sandboxes.

use std::collections::BTreeMap;

use openlattice_modal_proto::client as wire;

use super::definition::tags;
use super::{Generation, SandboxEnd, SandboxStatus};
use crate::app::App;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, Result};
use crate::status::Operation;

const LIST_V1: Operation = Operation::repeatable("SandboxList");
const LIST_V2: Operation = Operation::repeatable("SandboxListV2");
/// More pages than this are no list of sandboxes.
const MAX_PAGES: usize = 10_000;

/// Which sandboxes to list.
#[derive(Debug, Clone, Default)]
pub struct SandboxFilter {
    /// Labels that a sandbox must all carry.
    pub tags: BTreeMap<String, String>,
    /// Whether ended ones are listed too.
    pub include_finished: bool,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSummary {
    /// The id, `sb-...`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created_at: f64,
    /// Its name; empty when it has none.
    pub name: String,
    /// The image that it was made from.
    pub image_id: String,
    /// Its labels.
    pub tags: BTreeMap<String, String>,
    /// Whether it runs.
    pub status: SandboxStatus,
}

impl Client {
    /// Lists an app's sandboxes of both generations, newest first.
    ///
    /// A server may list both generations under both names; each sandbox comes once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for labels that the server refuses.
    pub async fn list_sandboxes(&self, app: &App, filter: &SandboxFilter) -> Result<Vec<SandboxSummary>> {
        let mut found = self.list_generation(app, filter, Generation::V2).await?;
        let known: std::collections::HashSet<String> = found.iter().map(|one| one.id.clone()).collect();
        let older = self.list_generation(app, filter, Generation::V1).await?;
        found.extend(older.into_iter().filter(|one| !known.contains(&one.id)));
        found.sort_by(|a, b| b.created_at.total_cmp(&a.created_at));
        Ok(found)
    }

    async fn list_generation(
        &self,
        app: &App,
        filter: &SandboxFilter,
        generation: Generation,
    ) -> Result<Vec<SandboxSummary>> {
        let mut found: Vec<SandboxSummary> = Vec::new();
        for _ in 0..MAX_PAGES {
            let before = found.last().map_or(0.0, |last| last.created_at);
            let request = wire::SandboxListRequest {
                app_id: app.id().to_owned(),
                before_timestamp: before,
                environment_name: self.config().environment().to_owned(),
                include_finished: filter.include_finished,
                tags: tags(&filter.tags),
            };
            let page = self.list_page(request, generation).await?;
            if page.is_empty() {
                return Ok(found);
            }
            found.extend(page.into_iter().map(SandboxSummary::from_wire));
            // Each page is older than the one before it; a server that ignores where we are would go on for ever.
            let last = found.last().map_or(0.0, |last| last.created_at);
            if last <= 0.0 || last.is_nan() || (before > 0.0 && last >= before) {
                let text = "a page of the list of sandboxes is not older than the one before it";
                return Err(Error::unexpected(text).during(LIST_V2.name));
            }
        }
        Err(Error::unexpected("the list of sandboxes has no end").during(LIST_V2.name))
    }

    async fn list_page(
        &self,
        request: wire::SandboxListRequest,
        generation: Generation,
    ) -> Result<Vec<wire::SandboxInfo>> {
        let operation = if generation == Generation::V1 { LIST_V1 } else { LIST_V2 };
        let send = move |mut stub: ControlPlane, request| async move {
            match generation {
                Generation::V1 => stub.sandbox_list(request).await,
                Generation::V2 => stub.sandbox_list_v2(request).await,
            }
        };
        Ok(self.unary(operation, request, send).await?.sandboxes)
    }
}

impl SandboxSummary {
    fn from_wire(info: wire::SandboxInfo) -> Self {
        let result = info.task_info.and_then(|task| task.result);
        let result = result.or_else(|| info.metadata.and_then(|metadata| metadata.result));
        let end = result.as_ref().and_then(SandboxEnd::from_wire);
        Self {
            id: info.id,
            created_at: info.created_at,
            name: info.name,
            image_id: info.image_id,
            tags: info.tags.into_iter().map(|tag| (tag.tag_name, tag.tag_value)).collect(),
            status: end.map_or(SandboxStatus::Running, SandboxStatus::Ended),
        }
    }
}
