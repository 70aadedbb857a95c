//! Sandboxes after their making: wait, terminate, list, names, tags.

use super::{
    Reply,
    app::named,
    create::{Note, tags},
    repeat,
};
use crate::{
    deadline::{Deadline, seconds},
    ids, result,
    shared::Shared,
    state::{AppKey, unix},
    status,
};
use openlattice_engine::{ErrorKind, SandboxFilter, SandboxId, SandboxInfo, SandboxState};
use openlattice_modal_proto::client as proto;
use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};
use tonic::{Request, Response, Status};

/// Sandboxes in one reply of a list; the client asks for the next page by time.
const PAGE: usize = 500;

pub(super) async fn info(shared: &Shared, id: &str) -> Result<SandboxInfo, Status> {
    shared.engine.sandbox(&ids::sandbox(id)?).await.map_err(status::from_engine)
}

/// What clients keep of a sandbox.
pub(super) fn metadata(info: &SandboxInfo) -> proto::SandboxHandleMetadata {
    proto::SandboxHandleMetadata { result: result::of(info), app_id: info.scope.clone() }
}

pub(super) async fn wait(
    shared: &Shared,
    request: Request<proto::SandboxWaitRequest>,
) -> Reply<proto::SandboxWaitResponse> {
    let deadline = Deadline::of(&request);
    let request = request.into_inner();
    let timeout = Deadline::shorten(deadline, seconds(request.timeout));
    let id = ids::sandbox(&request.sandbox_id)?;
    let info = shared.hold(shared.engine.wait(&id, Some(timeout))).await?.map_err(status::from_engine)?;
    let metadata = Some(metadata(&info));
    Ok(Response::new(proto::SandboxWaitResponse { result: result::of(&info), metadata }))
}

/// Answers when nothing of it runs any more, so that a wait right after it sees the end.
pub(super) async fn terminate(
    shared: &Shared,
    request: proto::SandboxTerminateRequest,
) -> Reply<proto::SandboxTerminateResponse> {
    let before = info(shared, &request.sandbox_id).await?;
    shared.engine.terminate(&before.id).await.map_err(status::from_engine)?;
    Ok(Response::new(proto::SandboxTerminateResponse { existing_result: result::of(&before) }))
}

/// Known from the start, because it follows from the id. `task_result` stays unset: clients take it for a refusal.
pub(super) async fn task_id(
    shared: &Shared,
    request: proto::SandboxGetTaskIdRequest,
) -> Reply<proto::SandboxGetTaskIdResponse> {
    let info = info(shared, &request.sandbox_id).await?;
    let task_id = Some(ids::task_of(&info.id));
    Ok(Response::new(proto::SandboxGetTaskIdResponse { task_id, task_result: None }))
}

pub(super) async fn list(
    shared: &Shared,
    request: proto::SandboxListRequest,
) -> Reply<proto::SandboxListResponse> {
    let before = request.before_timestamp;
    let filter = SandboxFilter {
        scope: (!request.app_id.is_empty()).then(|| request.app_id.clone()),
        before: margin_after(before),
        include_ended: request.include_finished,
        tags: tags(request.tags)?,
        limit: 0,
    };
    let mut found = shared.engine.sandboxes(&filter).await.map_err(status::from_engine)?;
    // The wire carries seconds as a double. The comparison must be made on these, or rounding shows one sandbox for ever.
    found.retain(|info| before <= 0.0 || unix(info.created_at) < before);
    if request.app_id.is_empty() {
        let name = named("environment", request.environment_name, true)?;
        let (_, environment) = shared.state.environment(&name).await?;
        let apps: HashSet<String> = shared.state.apps_of(environment).await?.into_iter().collect();
        found.retain(|info| apps.contains(&info.scope));
    }
    let mut ready = shared.state.ready_times().await?;
    let mut sandboxes = Vec::new();
    for info in page(found) {
        let (tunnels, ready_at) = (shared.reach.tunnels(&info.id).await, ready.remove(info.id.as_str()));
        sandboxes.push(proto::SandboxInfo { tunnels, ready_at, ..listed(info) });
    }
    Ok(Response::new(proto::SandboxListResponse { sandboxes }))
}

/// A time a little after `before`, as a bound for the engine; none when there is no bound.
fn margin_after(before: f64) -> Option<SystemTime> {
    if before <= 0.0 || !before.is_finite() {
        return None;
    }
    let since = Duration::try_from_secs_f64(before + 0.01).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Cuts a long list, never between two sandboxes of the same time: the next page starts strictly before the last.
fn page(mut found: Vec<SandboxInfo>) -> Vec<SandboxInfo> {
    if let Some(last) = found.get(PAGE - 1).map(|info| unix(info.created_at)) {
        let end = found.iter().rposition(|info| unix(info.created_at) >= last).map_or(PAGE, |at| at + 1);
        found.truncate(end);
    }
    found
}

fn listed(info: SandboxInfo) -> proto::SandboxInfo {
    let metadata = Some(metadata(&info));
    let note = Note::of(&info);
    let memory = info.limits.memory_bytes.map_or(0, |bytes| clamp(bytes >> 20));
    let cpu = info.limits.milli_cpus.map_or(0, clamp);
    proto::SandboxInfo {
        created_at: unix(info.created_at),
        task_info: Some(task_info(&info)),
        app_id: info.scope.clone(),
        tags: tag_list(&info),
        image_id: if note.modal_image.is_empty() { info.image.to_string() } else { note.modal_image },
        resource_info: Some(proto::ResourceInfo {
            memory_mb_max: memory,
            milli_cpu_max: cpu,
            ..Default::default()
        }),
        timeout_secs: clamp(info.lifetime.as_secs()),
        idle_timeout_secs: info.idle_timeout.map(|idle| clamp(idle.as_secs())),
        metadata,
        readiness_probe: note.reach.probe.map(|probe| probe.message()),
        id: info.id.to_string(),
        name: info.name.unwrap_or_default(),
        ..Default::default()
    }
}

fn clamp(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn task_info(info: &SandboxInfo) -> proto::TaskInfo {
    let finished_at = match &info.state {
        SandboxState::Ended(end) => unix(end.at),
        _ => 0.0,
    };
    proto::TaskInfo {
        id: ids::task_of(&info.id),
        started_at: unix(info.created_at),
        finished_at,
        result: result::of(info),
        enqueued_at: unix(info.created_at),
        sandbox_id: info.id.to_string(),
        ..Default::default()
    }
}

fn tag_list(info: &SandboxInfo) -> Vec<proto::SandboxTag> {
    let tag = |(name, value): (&String, &String)| proto::SandboxTag {
        tag_name: name.clone(),
        tag_value: value.clone(),
    };
    info.tags.iter().map(tag).collect()
}

pub(super) async fn from_name(
    shared: &Shared,
    request: proto::SandboxGetFromNameRequest,
) -> Reply<proto::SandboxGetFromNameResponse> {
    let unknown = || {
        Status::not_found(format!(
            "no sandbox named {:?} in app {:?}",
            request.sandbox_name, request.app_name
        ))
    };
    let environment = named("environment", request.environment_name.clone(), true)?;
    let (_, environment) = shared.state.environment(&environment).await?;
    let key = AppKey::Name { environment, name: request.app_name.clone() };
    let app = shared.state.app(key).await?.ok_or_else(unknown)?;
    let found =
        shared.engine.sandbox_by_name(&app.id, &request.sandbox_name, request.include_terminated).await;
    let info = found.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidArgument => unknown(),
        _ => status::from_engine(error),
    })?;
    let metadata = Some(metadata(&info));
    Ok(Response::new(proto::SandboxGetFromNameResponse { sandbox_id: info.id.to_string(), metadata }))
}

pub(super) async fn tags_get(
    shared: &Shared,
    request: proto::SandboxTagsGetRequest,
) -> Reply<proto::SandboxTagsGetResponse> {
    let info = info(shared, &request.sandbox_id).await?;
    Ok(Response::new(proto::SandboxTagsGetResponse { tags: tag_list(&info) }))
}

pub(super) async fn tags_set(shared: &Shared, request: proto::SandboxTagsSetRequest) -> Reply<()> {
    let id = ids::sandbox(&request.sandbox_id)?;
    shared.engine.set_tags(&id, tags(request.tags)?).await.map_err(status::from_engine)?;
    Ok(Response::new(()))
}

pub(super) async fn set_name(
    shared: &Shared,
    request: Request<proto::SandboxSetNameRequest>,
) -> Reply<proto::SandboxSetNameResponse> {
    let key = repeat::key(request.metadata().as_ref());
    let proto::SandboxSetNameRequest { sandbox_id, name } = request.into_inner();
    let id = ids::sandbox(&sandbox_id)?;
    let ours = repeat::came_before(shared, "SandboxSetName", key.as_deref(), &format!("{id} {name}")).await?;
    if !ours || info(shared, &sandbox_id).await?.name.as_deref() != Some(name.as_str()) {
        shared.engine.set_name(&id, &name).await.map_err(status::from_engine)?;
    }
    Ok(Response::new(proto::SandboxSetNameResponse {}))
}

/// The sandbox that a command router access is asked for; `FAILED_PRECONDITION` once it has ended.
pub(super) async fn living(shared: &Shared, id: &SandboxId) -> Result<SandboxInfo, Status> {
    let info = shared.engine.sandbox(id).await.map_err(status::from_engine)?;
    if info.is_living() {
        return Ok(info);
    }
    Err(Status::failed_precondition(format!("sandbox {id} has ended")))
}
