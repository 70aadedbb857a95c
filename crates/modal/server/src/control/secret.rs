//! Stored secrets.

use super::{Reply, app::named, env, repeat};
use crate::{
    shared::Shared,
    state::{Secret, SecretSpec},
};
use openlattice_modal_proto::client::{
    CreationInfo, ObjectCreationType, SecretGetInfoRequest, SecretGetInfoResponse, SecretGetOrCreateRequest,
    SecretGetOrCreateResponse, SecretMetadata,
};
use tonic::{Request, Response, Status};

pub(super) async fn get_or_create(
    shared: &Shared,
    request: Request<SecretGetOrCreateRequest>,
) -> Reply<SecretGetOrCreateResponse> {
    let key = repeat::key(request.metadata().as_ref());
    let request = request.into_inner();
    let creation = request.object_creation_type();
    let (_, environment) =
        shared.state.environment(&named("environment", request.environment_name, true)?).await?;
    let values: Vec<_> = request.env_dict.into_iter().collect();
    env::check(&values)?;
    let ephemeral =
        matches!(creation, ObjectCreationType::Ephemeral | ObjectCreationType::AnonymousOwnedByApp);
    let name = if ephemeral { None } else { Some(named("secret", request.deployment_name, false)?) };
    let secret = match (creation, name) {
        (ObjectCreationType::Unspecified, Some(name)) => {
            shared.state.secret_by_name(&environment, &name).await?.ok_or_else(|| {
                Status::not_found(format!("no secret {name:?} in environment {environment:?}"))
            })?
        }
        (_, name) => {
            let wanted = name.as_deref().unwrap_or_default();
            let ours = repeat::came_before(shared, "SecretGetOrCreate", key.as_deref(), wanted).await?;
            let overwrite = creation == ObjectCreationType::CreateOverwriteIfExists;
            let spec = SecretSpec { environment, name, values: values.into_iter().collect(), overwrite };
            let (secret, kept) = shared.state.keep_secret(spec).await?;
            if !kept && !ours && creation == ObjectCreationType::CreateFailIfExists {
                return Err(Status::already_exists(format!(
                    "secret {:?} exists",
                    secret.name.unwrap_or_default()
                )));
            }
            secret
        }
    };
    require(&secret, &request.required_keys)?;
    let secret_id = secret.id.clone();
    Ok(Response::new(SecretGetOrCreateResponse { secret_id, metadata: Some(metadata(secret)) }))
}

pub(super) async fn info(shared: &Shared, request: SecretGetInfoRequest) -> Reply<SecretGetInfoResponse> {
    let secret = shared.state.secret(&request.secret_id).await?;
    let secret = secret.ok_or_else(|| Status::not_found(format!("no secret {:?}", request.secret_id)))?;
    Ok(Response::new(SecretGetInfoResponse { metadata: Some(metadata(secret)) }))
}

/// Clients look for these words (modal-protocol, section 3.4).
fn require(secret: &Secret, keys: &[String]) -> Result<(), Status> {
    match keys.iter().find(|key| !secret.keys.contains(key)) {
        Some(missing) => Err(Status::failed_precondition(format!("Secret is missing key(s): {missing}"))),
        None => Ok(()),
    }
}

fn metadata(secret: Secret) -> SecretMetadata {
    SecretMetadata {
        name: secret.name.unwrap_or_default(),
        creation_info: Some(CreationInfo { created_at: secret.created_at, ..Default::default() }),
        keys: secret.keys,
        environment_name: secret.environment,
        ..Default::default()
    }
}
