//! Apps and environments.

use super::{Reply, repeat};
use crate::{
    auth::Audience,
    ids,
    shared::Shared,
    state::{App, AppKey},
};
use openlattice_modal_proto::client::{
    AppGetOrCreateRequest, AppGetOrCreateResponse, AppHandleMetadata, AuthTokenGetResponse,
    ClientHelloResponse, EnvironmentGetOrCreateRequest, EnvironmentGetOrCreateResponse, EnvironmentMetadata,
    EnvironmentSettings, ObjectCreationType,
};
use tonic::{Request, Response, Status};

/// The builder whose images are the plainest: a registry image is one `FROM` line (modal-protocol, section 3.2).
pub(crate) const BUILDER_VERSION: &str = "2025.06";

pub(super) fn auth_token(shared: &Shared) -> Reply<AuthTokenGetResponse> {
    let token = shared.guard.issue(Audience::Control, "client")?;
    Ok(Response::new(AuthTokenGetResponse { token }))
}

pub(super) fn hello() -> Reply<ClientHelloResponse> {
    let image_builder_version = BUILDER_VERSION.to_owned();
    Ok(Response::new(ClientHelloResponse { image_builder_version, ..Default::default() }))
}

/// Environments only scope names, so one comes to be on first mention.
pub(super) async fn environment(
    shared: &Shared,
    request: EnvironmentGetOrCreateRequest,
) -> Reply<EnvironmentGetOrCreateResponse> {
    let (environment_id, name) =
        shared.state.environment(&named("environment", request.deployment_name, true)?).await?;
    let settings =
        EnvironmentSettings { image_builder_version: BUILDER_VERSION.to_owned(), ..Default::default() };
    let metadata = EnvironmentMetadata { name, settings: Some(settings), ..Default::default() };
    Ok(Response::new(EnvironmentGetOrCreateResponse { environment_id, metadata: Some(metadata) }))
}

pub(super) async fn get_or_create(
    shared: &Shared,
    request: Request<AppGetOrCreateRequest>,
) -> Reply<AppGetOrCreateResponse> {
    let key = repeat::key(request.metadata().as_ref());
    let request = request.into_inner();
    let creation = request.object_creation_type();
    let name = named("app", request.app_name, false)?;
    if ids::is_shaped("ap", &name) {
        return shared.state.app(AppKey::Id(name.clone())).await?.map(reply).ok_or_else(|| unknown(&name));
    }
    let (_, environment) =
        shared.state.environment(&named("environment", request.environment_name, true)?).await?;
    match creation {
        ObjectCreationType::Unspecified => {
            let key = AppKey::Name { environment, name: name.clone() };
            shared.state.app(key).await?.map(reply).ok_or_else(|| unknown(&name))
        }
        ObjectCreationType::CreateIfMissing => Ok(reply(shared.state.make_app(environment, name).await?.0)),
        ObjectCreationType::CreateFailIfExists => {
            let ours = repeat::came_before(shared, "AppGetOrCreate", key.as_deref(), &name).await?;
            match shared.state.make_app(environment, name).await? {
                (app, made) if made || ours => Ok(reply(app)),
                (app, _) => Err(Status::already_exists(format!("app {:?} exists", app.name))),
            }
        }
        other => Err(Status::invalid_argument(format!(
            "object_creation_type {} is not for apps",
            other.as_str_name()
        ))),
    }
}

/// The app of an id; `NOT_FOUND` when there is none.
pub(crate) async fn by_id(shared: &Shared, id: &str) -> Result<App, Status> {
    shared.state.app(AppKey::Id(id.to_owned())).await?.ok_or_else(|| unknown(id))
}

fn unknown(name: &str) -> Status {
    Status::not_found(format!("no app {name:?}; look it up with create_if_missing"))
}

fn reply(app: App) -> Response<AppGetOrCreateResponse> {
    let metadata = AppHandleMetadata {
        description: app.name,
        app_id: app.id.clone(),
        environment_name: app.environment,
        ..Default::default()
    };
    Response::new(AppGetOrCreateResponse { app_id: app.id, handle_metadata: Some(metadata) })
}

/// Checks a name: 1 to 64 letters, digits, `-`, `_`, `.`; empty only where that means the default.
pub(crate) fn named(what: &str, name: String, empty: bool) -> Result<String, Status> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if fits && name.len() <= 64 && (empty || !name.is_empty()) {
        return Ok(name);
    }
    Err(Status::invalid_argument(format!(
        "{what} name {name:?} must be 1 to 64 letters, digits, '-', '_' or '.'"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(named("app", "a-b_c.1".into(), false).is_ok());
        assert!(named("app", String::new(), true).is_ok());
        for wrong in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(named("app", wrong.to_owned(), false).is_err(), "{wrong:?}");
        }
    }
}
