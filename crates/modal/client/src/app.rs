//! Apps and environments: the names under which sandboxes are kept.

use std::sync::PoisonError;

use openlattice_modal_proto::client as wire;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::status::Operation;

const APP_GET_OR_CREATE: Operation = Operation::repeatable("AppGetOrCreate");
const ENVIRONMENT_GET_OR_CREATE: Operation = Operation::repeatable("EnvironmentGetOrCreate");

/// An app that the server knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    id: String,
    name: String,
}

impl App {
    /// Gives the id, `ap-...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Gives the name that it was looked up by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What to do about a name that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Make it.
    Create,
    /// Answer [`ErrorKind::NotFound`](crate::ErrorKind::NotFound).
    Fail,
}

impl IfMissing {
    pub(crate) fn on_wire(self) -> i32 {
        match self {
            Self::Create => wire::ObjectCreationType::CreateIfMissing.into(),
            Self::Fail => wire::ObjectCreationType::Unspecified.into(),
        }
    }
}

/// An environment and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The id, `en-...`.
    pub id: String,
    /// The name, also when it was asked for as the default one.
    pub name: String,
    /// The image builder version that the environment is set to.
    pub image_builder_version: String,
}

impl Client {
    /// Looks an app up by its name in the configured environment.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name that is not 1 to 64 of letters, digits, `-`, `_` and `.`;
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) for a missing app with [`IfMissing::Fail`].
    pub async fn app(&self, name: &str, if_missing: IfMissing) -> Result<App> {
        check_name(name)?;
        let request = wire::AppGetOrCreateRequest {
            app_name: name.to_owned(),
            environment_name: self.config().environment().to_owned(),
            object_creation_type: if_missing.on_wire(),
        };
        let send = |mut stub: crate::client::ControlPlane, request| async move {
            stub.app_get_or_create(request).await
        };
        let reply = self.unary(APP_GET_OR_CREATE, request, send).await?;
        if reply.app_id.is_empty() {
            return Err(Error::unexpected("the server gave no app id").during(APP_GET_OR_CREATE.name));
        }
        Ok(App { id: reply.app_id, name: name.to_owned() })
    }

    /// Looks an environment up; an empty name means the server's default one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when it does not exist.
    pub async fn environment(&self, name: &str) -> Result<Environment> {
        let request = wire::EnvironmentGetOrCreateRequest {
            deployment_name: name.to_owned(),
            object_creation_type: IfMissing::Fail.on_wire(),
        };
        let send = |mut stub: crate::client::ControlPlane, request| async move {
            stub.environment_get_or_create(request).await
        };
        let reply = self.unary(ENVIRONMENT_GET_OR_CREATE, request, send).await?;
        let metadata = reply.metadata.unwrap_or_default();
        let image_builder_version = metadata.settings.unwrap_or_default().image_builder_version;
        Ok(Environment { id: reply.environment_id, name: metadata.name, image_builder_version })
    }

    /// Gives the image builder version: the configured one, else the environment's, asked once per environment.
    pub(crate) async fn builder_version(&self) -> Result<String> {
        if let Some(version) = &self.config().builder_version {
            return Ok(version.clone());
        }
        let name = self.config().environment();
        let known = self.builder_versions().lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(version) = known {
            return Ok(version);
        }
        let version = self.environment(name).await?.image_builder_version;
        let mut versions = self.builder_versions().lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert(name.to_owned(), version.clone());
        Ok(version)
    }
}

fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "app name {name:?} is not 1 to 64 letters, digits, dashes, underscores and dots"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_are_checked() {
        assert!(check_name("openlattice").is_ok() && check_name("a.b-c_1").is_ok());
        assert!(
            check_name("").is_err() && check_name("a b").is_err() && check_name(&"a".repeat(65)).is_err()
        );
    }
}
