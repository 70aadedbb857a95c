//! Secrets that the server stores.

use std::collections::BTreeMap;

use openlattice_modal_proto::client as wire;

use crate::client::{Client, ControlPlane};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use crate::status::Operation;

const SECRET_GET: Operation = Operation::repeatable("SecretGetOrCreate");
const SECRET_CREATE: Operation = Operation::creates("SecretGetOrCreate");

/// The id of a secret that the server stores, `st-...`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretId(String);

impl SecretId {
    /// Takes an id as it is.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Gives the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where variables come from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A secret that the server stores.
    Stored(SecretId),
    /// The variables themselves.
    Values(BTreeMap<String, Secret>),
}

impl From<SecretId> for SecretSource {
    fn from(id: SecretId) -> Self {
        Self::Stored(id)
    }
}

impl Client {
    /// Looks a stored secret up by its name in the configured environment.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when it does not exist or lacks one of `required_keys`.
    pub async fn secret(&self, name: &str, required_keys: &[&str]) -> Result<SecretId> {
        let request = wire::SecretGetOrCreateRequest {
            deployment_name: name.to_owned(),
            environment_name: self.config().environment().to_owned(),
            required_keys: required_keys.iter().map(|&key| key.to_owned()).collect(),
            ..Default::default()
        };
        self.secret_id(SECRET_GET, request).await.map_err(missing_key)
    }

    /// Stores values for as long as what uses them lives. Sandboxes of generation 2 and commands need no stored values.
    ///
    /// # Errors
    /// Those of any call, such as [`ErrorKind::Unsupported`] from a server without stored secrets.
    pub async fn ephemeral_secret(&self, values: &BTreeMap<String, Secret>) -> Result<SecretId> {
        let request = wire::SecretGetOrCreateRequest {
            environment_name: self.config().environment().to_owned(),
            object_creation_type: wire::ObjectCreationType::Ephemeral.into(),
            env_dict: values.iter().map(|(key, value)| (key.clone(), value.reveal().to_owned())).collect(),
            ..Default::default()
        };
        self.secret_id(SECRET_CREATE, request).await
    }

    async fn secret_id(
        &self,
        operation: Operation,
        request: wire::SecretGetOrCreateRequest,
    ) -> Result<SecretId> {
        let send = |mut stub: ControlPlane, request| async move { stub.secret_get_or_create(request).await };
        let reply = self.unary(operation, request, send).await?;
        if reply.secret_id.is_empty() {
            return Err(Error::unexpected("the server gave no secret id").during(operation.name));
        }
        Ok(SecretId(reply.secret_id))
    }
}

fn missing_key(error: Error) -> Error {
    let missing =
        error.kind() == ErrorKind::FailedPrecondition && error.message().contains("Secret is missing key");
    if missing { error.with_kind(ErrorKind::NotFound) } else { error }
}
