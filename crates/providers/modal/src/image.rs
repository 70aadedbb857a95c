//! The image of a new sandbox: the one that is named, without a command of its own.

use std::collections::BTreeMap;

use openlattice::{Error, ErrorKind, RegistryCredentials, Result, Runtime, Subject};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Lines that take an image's own command away. Left to itself Modal runs it as the main process, with whose end the sandbox ends, and
/// puts the entry point before a main process that is asked for.
const NO_COMMAND: [&str; 2] = ["ENTRYPOINT []", "CMD []"];

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
    build(account, name, spec, attempt, Subject::Image).await
}

/// Says whether a name is the id of an image.
pub(crate) fn is_id(name: &str) -> bool {
    name.starts_with("im-")
}

/// Gives the image of an id.
pub(crate) async fn existing(
    account: &Account,
    id: &str,
    attempt: Attempt,
    subject: Subject,
) -> Result<modal::ImageId> {
    let found = account.client.image(&modal::ImageId::new(id)).await.map_err(attempt.about(subject))?;
    build(account, id, modal::ImageSpec::from_image(found), attempt, subject).await
}

async fn build(
    account: &Account,
    name: &str,
    base: modal::ImageSpec,
    attempt: Attempt,
    subject: Subject,
) -> Result<modal::ImageId> {
    let app = account.app(attempt).await?;
    let spec = base.with_dockerfile_lines(NO_COMMAND);
    let log = |line: &str| tracing::debug!(image = name, line = line.trim_end(), "image build");
    account
        .client
        .build_image(app, &spec, log)
        .await
        .map_err(|error| unresolved(name, error, attempt, subject))
}

/// A build that runs nothing fails because the image that it stands on is not to be had.
fn unresolved(name: &str, error: modal::Error, attempt: Attempt, subject: Subject) -> Error {
    if error.kind() != modal::ErrorKind::BuildFailed {
        return attempt.about(subject)(error).with_context("image", name);
    }
    Error::new(ErrorKind::NotFound, attempt.0, error.message())
        .with_subject(subject)
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
