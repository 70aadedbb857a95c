//! Volumes: the engine's, under their names in an environment.
//!
//! Both versions of Modal's volume file system are one here: everything is at once, so a client is answered the version it asks for.

use super::{Reply, app::named, repeat};
use crate::{shared::Shared, state::DEFAULT_ENVIRONMENT, status, status::unsupported};
use openlattice_engine::{ErrorKind, VolumeId, VolumeInfo, VolumeSpec};
use openlattice_modal_proto::client as proto;
use proto::{ObjectCreationType, VolumeFsVersion};
use std::time::{Duration, SystemTime};
use tonic::{Request, Response, Status};

/// How long a volume without a name lives on after its client has last said that it needs it; clients say so every 5 minutes.
const EPHEMERAL: Duration = Duration::from_secs(15 * 60);
/// Most volumes of one page.
const PAGE: usize = 100;

pub(super) async fn get_or_create(
    shared: &Shared,
    request: Request<proto::VolumeGetOrCreateRequest>,
) -> Reply<proto::VolumeGetOrCreateResponse> {
    let key = repeat::key(request.metadata().as_ref());
    let creation = request.get_ref().object_creation_type();
    let version = request.get_ref().version();
    // Every field is named, so that a new one does not compile until it is decided here.
    let proto::VolumeGetOrCreateRequest {
        deployment_name,
        environment_name,
        object_creation_type: _,
        app_id,
        version: _,
        create_options,
    } = request.into_inner();
    if create_options.is_some_and(|options| !options.experimental_options.is_empty()) {
        return Err(unsupported("experimental_options of a volume", "leave experimental options out"));
    }
    if !app_id.is_empty() {
        return Err(unsupported("app_id of a volume", "look the volume up by name"));
    }
    let scope = scope(shared, environment_name).await?;
    let volume = match creation {
        ObjectCreationType::Unspecified => by_name(shared, &scope, &deployment_name).await?,
        ObjectCreationType::Ephemeral => ephemeral(shared, scope, key.as_deref()).await?,
        ObjectCreationType::CreateIfMissing | ObjectCreationType::CreateFailIfExists => {
            let name = named("volume", deployment_name, false)?;
            let ours = repeat::came_before(shared, "VolumeGetOrCreate", key.as_deref(), &name).await?;
            let existing = ours || creation == ObjectCreationType::CreateIfMissing;
            create(shared, scope, name, existing).await?
        }
        other => {
            let what = format!("object_creation_type {} of a volume", other.as_str_name());
            return Err(unsupported(&what, "create it by name, or delete the existing one first"));
        }
    };
    let (volume_id, version) = (volume.id.to_string(), answered(version));
    let metadata = Some(metadata(volume, version));
    Ok(Response::new(proto::VolumeGetOrCreateResponse { volume_id, version: version.into(), metadata }))
}

/// Makes a volume; one of the same name is taken where `existing` is fine.
async fn create(shared: &Shared, scope: String, name: String, existing: bool) -> Result<VolumeInfo, Status> {
    let mut spec = VolumeSpec::default();
    (spec.name, spec.scope) = (Some(name.clone()), scope.clone());
    match shared.engine.create_volume(spec).await {
        Err(error) if existing && error.kind() == ErrorKind::AlreadyExists => {
            by_name(shared, &scope, &name).await
        }
        made => made.map_err(status::from_engine),
    }
}

/// Makes a volume without a name; a repeated call finds the one of its first try.
async fn ephemeral(shared: &Shared, scope: String, key: Option<&str>) -> Result<VolumeInfo, Status> {
    const METHOD: &str = "VolumeGetOrCreate ephemeral";
    let mut spec = VolumeSpec::default();
    (spec.scope, spec.ttl) = (scope, Some(EPHEMERAL));
    let made = shared.engine.create_volume(spec).await.map_err(status::from_engine)?;
    let Some(key) = key else { return Ok(made) };
    let (known, repeated) = shared.state.reserve(METHOD, key, made.id.to_string()).await?;
    if !repeated {
        return Ok(made);
    }
    shared.engine.remove_volume(&made.id).await.map_err(status::from_engine)?;
    shared.engine.volume(&id(&known)?).await.map_err(status::from_engine)
}

async fn by_name(shared: &Shared, scope: &str, name: &str) -> Result<VolumeInfo, Status> {
    shared.engine.volume_by_name(scope, name).await.map_err(status::from_engine)
}

pub(super) async fn heartbeat(shared: &Shared, request: proto::VolumeHeartbeatRequest) -> Reply<()> {
    shared.engine.renew_volume(&id(&request.volume_id)?, EPHEMERAL).await.map_err(status::from_engine)?;
    Ok(Response::new(()))
}

pub(super) async fn get_by_id(
    shared: &Shared,
    request: proto::VolumeGetByIdRequest,
) -> Reply<proto::VolumeGetByIdResponse> {
    let volume = shared.engine.volume(&id(&request.volume_id)?).await.map_err(status::from_engine)?;
    let metadata = Some(metadata(volume, answered(VolumeFsVersion::Unspecified)));
    Ok(Response::new(proto::VolumeGetByIdResponse { volume_id: request.volume_id, metadata }))
}

pub(super) async fn list(
    shared: &Shared,
    request: proto::VolumeListRequest,
) -> Reply<proto::VolumeListResponse> {
    let proto::ListPagination { max_objects, created_before } = request.pagination.unwrap_or_default();
    let (_, environment_name) =
        shared.state.environment(&named("environment", request.environment_name, true)?).await?;
    let most = usize::try_from(max_objects).ok().filter(|most| (1..PAGE).contains(most)).unwrap_or(PAGE);
    let all = shared.engine.volumes(Some(scope_of(&environment_name))).await.map_err(status::from_engine)?;
    let before = |volume: &VolumeInfo| created_before == 0.0 || seconds(volume.created_at) < created_before;
    let named = all.into_iter().filter(|volume| volume.name.is_some() && before(volume));
    let items = named.take(most).map(item).collect();
    Ok(Response::new(proto::VolumeListResponse { items, environment_name }))
}

/// A volume that the same call has removed at its first try is gone as asked for.
pub(super) async fn delete(shared: &Shared, request: Request<proto::VolumeDeleteRequest>) -> Reply<()> {
    let key = repeat::key(request.metadata().as_ref());
    let proto::VolumeDeleteRequest { volume_id, environment_name: _ } = request.into_inner();
    let ours = repeat::came_before(shared, "VolumeDelete", key.as_deref(), &volume_id).await?;
    match shared.engine.remove_volume(&id(&volume_id)?).await {
        Err(error) if ours && error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(status::from_engine)?,
    }
    Ok(Response::new(()))
}

pub(super) async fn rename(shared: &Shared, request: proto::VolumeRenameRequest) -> Reply<()> {
    let name = named("volume", request.name, false)?;
    shared.engine.rename_volume(&id(&request.volume_id)?, &name).await.map_err(status::from_engine)?;
    Ok(Response::new(()))
}

/// A volume id as a client sent it; `NOT_FOUND` for a text that cannot be one.
pub(super) fn id(text: &str) -> Result<VolumeId, Status> {
    VolumeId::parse(text).map_err(|_| Status::not_found(format!("no volume {text:?}")))
}

async fn scope(shared: &Shared, environment: String) -> Result<String, Status> {
    let (_, name) = shared.state.environment(&named("environment", environment, true)?).await?;
    Ok(scope_of(&name).to_owned())
}

/// The default environment has the volumes that the command line and the provider `local` have.
fn scope_of(environment: &str) -> &str {
    if environment == DEFAULT_ENVIRONMENT { "" } else { environment }
}

fn answered(asked: VolumeFsVersion) -> VolumeFsVersion {
    if asked == VolumeFsVersion::Unspecified { VolumeFsVersion::V1 } else { asked }
}

fn item(volume: VolumeInfo) -> proto::VolumeListItem {
    proto::VolumeListItem {
        label: volume.name.clone().unwrap_or_default(),
        volume_id: volume.id.to_string(),
        created_at: seconds(volume.created_at),
        metadata: Some(metadata(volume, answered(VolumeFsVersion::Unspecified))),
    }
}

fn metadata(volume: VolumeInfo, version: VolumeFsVersion) -> proto::VolumeMetadata {
    let creation_info =
        Some(proto::CreationInfo { created_at: seconds(volume.created_at), ..Default::default() });
    proto::VolumeMetadata { version: version.into(), name: volume.name.unwrap_or_default(), creation_info }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
