//! The image of a new sandbox.

use std::collections::BTreeMap;

use openlattice::{Error, ErrorKind, RegistryCredentials, Result, Runtime, Subject};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Finds or builds the image that a spec names: a registry reference, a name of the server's, or an id (`im-...`).
pub(crate) async fn resolve(
    account: &Account,
    runtime: &Runtime,
    attempt: Attempt,
) -> Result<modal::ImageId> {
    let name = runtime.image.as_deref().unwrap_or(&account.default_image);
    if is_id(name) {
        return existing(account, name, attempt, Subject::Image).await;
    }
    let mut spec = modal::ImageSpec::from_registry(name);
    if let Some(credentials) = &runtime.registry {
        spec = spec.with_registry_credentials(stored(account, credentials, attempt).await?);
    }
    let app = account.app(attempt).await?;
    let log = |line: &str| tracing::debug!(image = name, line = line.trim_end(), "image build");
    account.client.build_image(app, &spec, log).await.map_err(|error| unresolved(name, error, attempt))
}

/// Says whether a name is the id of an image.
pub(crate) fn is_id(name: &str) -> bool {
    name.starts_with("im-")
}

/// Checks that an image of this id exists.
pub(crate) async fn existing(
    account: &Account,
    id: &str,
    attempt: Attempt,
    subject: Subject,
) -> Result<modal::ImageId> {
    account.client.image(&modal::ImageId::new(id)).await.map_err(attempt.about(subject))
}

/// A build that is one `FROM` line fails because the image is not to be had.
fn unresolved(name: &str, error: modal::Error, attempt: Attempt) -> Error {
    if error.kind() != modal::ErrorKind::BuildFailed {
        return attempt.about(Subject::Image)(error).with_context("image", name);
    }
    Error::new(ErrorKind::NotFound, attempt.0, error.message())
        .with_subject(Subject::Image)
        .with_context("image", name)
        .with_source(error)
}

async fn stored(
    account: &Account,
    credentials: &RegistryCredentials,
    attempt: Attempt,
) -> Result<modal::SecretId> {
    let values = BTreeMap::from([
        ("REGISTRY_USERNAME".to_owned(), modal::Secret::new(credentials.username.as_str())),
        ("REGISTRY_PASSWORD".to_owned(), modal::Secret::new(credentials.password.expose())),
    ]);
    account.client.ephemeral_secret(&values).await.map_err(attempt.failed())
}
