//! What a provider is built from.

use std::fmt;
use std::time::Duration;

use openlattice::{Error, ErrorKind, Result, Secret, Subject};
use openlattice_modal_client as modal;
use serde::{Deserialize, Serialize};

use crate::error::Attempt;
use crate::provider::ModalProvider;

const BUILD: &str = "build modal provider";
const DEFAULT_APP: &str = "openlattice";
/// The image of a node for which none is asked: what every server of this project has, and a small one for Modal's.
const DEFAULT_IMAGE_HERE: &str = "host";
const DEFAULT_IMAGE_MODAL: &str = "debian:stable-slim";

/// Where the server is, who we are, and defaults; unknown fields are refused by name.
///
/// What is set here wins over the profile or environment that [`from_env`](Self::from_env) and
/// [`from_profile`](Self::from_profile) read.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ModalConfig {
    /// The server's address; without one Modal's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Secret>,
    /// The token's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<Secret>,
    /// Modal's environment; without one the account's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The app that holds the sandboxes, made when it is missing; without one `openlattice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// The image of a node for which none is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_image: Option<String>,
    /// The version of Modal's image builder; without one the server is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_builder_version: Option<String>,
    /// Whether sandboxes without a GPU are of generation 2; they are, unless this says no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_v2: Option<bool>,
    /// The longest time, in seconds, that one call waits because the server asks it to; without one there is no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_throttle_wait_seconds: Option<u64>,
    /// Root certificates (PEM) to trust beside the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_certificates: Option<String>,
    #[serde(skip)]
    base: Option<modal::Config>,
}

impl ModalConfig {
    /// Makes a configuration with a token pair, for Modal's own service.
    pub fn new(token_id: impl Into<Secret>, token_secret: impl Into<Secret>) -> Self {
        Self { token_id: Some(token_id.into()), token_secret: Some(token_secret.into()), ..Self::default() }
    }

    /// Reads the process environment (`MODAL_*`) and `~/.modal.toml`, as Modal's own clients do.
    ///
    /// # Errors
    /// `InvalidArgument` with subject `Provider` when no complete token pair is found or a setting is malformed.
    pub fn from_env() -> Result<Self> {
        Ok(Self::from(modal::Config::from_env().map_err(Attempt(BUILD).failed())?))
    }

    /// Reads one section of `~/.modal.toml`; of the environment only `MODAL_CONFIG_PATH` is looked at.
    ///
    /// # Errors
    /// `InvalidArgument` with subject `Provider` when the section or a complete token pair is missing.
    pub fn from_profile(name: &str) -> Result<Self> {
        Ok(Self::from(modal::Config::from_profile(name).map_err(Attempt(BUILD).failed())?))
    }

    /// Sets the server's address.
    #[must_use]
    pub fn with_server_url(mut self, url: impl Into<String>) -> Self {
        self.server_url = Some(url.into());
        self
    }

    /// Sets the app that holds the sandboxes.
    #[must_use]
    pub fn with_app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = Some(name.into());
        self
    }

    /// Sets the image of a node for which none is asked.
    #[must_use]
    pub fn with_default_image(mut self, image: impl Into<String>) -> Self {
        self.default_image = Some(image.into());
        self
    }

    /// Builds the provider; nothing is sent.
    ///
    /// # Errors
    /// `InvalidArgument` with subject `Provider` when a token is missing or the address is malformed.
    pub fn build(self) -> Result<ModalProvider> {
        let client = self.client_config()?;
        let here = !client.is_modal_service();
        let default_image = if here { DEFAULT_IMAGE_HERE } else { DEFAULT_IMAGE_MODAL };
        let app_name = self.app_name.unwrap_or_else(|| DEFAULT_APP.to_owned());
        let default_image = self.default_image.unwrap_or_else(|| default_image.to_owned());
        let client = modal::Client::new(client).map_err(Attempt(BUILD).failed())?;
        Ok(ModalProvider::on(client, app_name, default_image))
    }

    /// Lays what is set here over what was read.
    fn client_config(&self) -> Result<modal::Config> {
        let mut config = match (&self.base, self.tokens()?) {
            (Some(base), Some((id, secret))) => base.clone().with_tokens(id, secret),
            (None, Some((id, secret))) => modal::Config::new(id, secret),
            (Some(base), None) => base.clone(),
            (None, None) => {
                return Err(missing("no credentials", "set tokenId and tokenSecret, or use from_env"));
            }
        };
        if let Some(url) = &self.server_url {
            config = config.with_server_url(url).map_err(Attempt(BUILD).failed())?;
        }
        if let Some(name) = &self.environment {
            config = config.with_environment(name);
        }
        if let Some(version) = &self.image_builder_version {
            config = config.with_image_builder_version(version);
        }
        if let Some(enabled) = self.sandbox_v2 {
            config = config.with_sandbox_v2(enabled);
        }
        if let Some(seconds) = self.max_throttle_wait_seconds {
            config = config.with_max_throttle_wait(Duration::from_secs(seconds));
        }
        if let Some(pem) = &self.root_certificates {
            config = config.with_root_certificates(pem.as_bytes());
        }
        Ok(config)
    }

    fn tokens(&self) -> Result<Option<(String, String)>> {
        match (&self.token_id, &self.token_secret) {
            (Some(id), Some(secret)) => Ok(Some((id.expose().to_owned(), secret.expose().to_owned()))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(missing("tokenId is set without tokenSecret", "set both")),
            (None, Some(_)) => Err(missing("tokenSecret is set without tokenId", "set both")),
        }
    }
}

fn missing(what: &str, remedy: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, BUILD, what).with_subject(Subject::Provider).with_hint(remedy)
}

impl From<modal::Config> for ModalConfig {
    /// Takes a configuration of the client as it is, with this provider's defaults.
    fn from(base: modal::Config) -> Self {
        Self { base: Some(base), ..Self::default() }
    }
}

impl fmt::Debug for ModalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModalConfig")
            .field("server_url", &self.server_url)
            .field("token_id", &self.token_id)
            .field("token_secret", &self.token_secret)
            .field("environment", &self.environment)
            .field("app_name", &self.app_name)
            .field("default_image", &self.default_image)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m32_unknown_fields_are_refused_by_name() {
        let config: ModalConfig = serde_json::from_str(r#"{"tokenId":"ak-1","tokenSecret":"as-1"}"#).unwrap();
        assert_eq!(config.token_id.as_ref().unwrap().expose(), "ak-1");
        let error = serde_json::from_str::<ModalConfig>(r#"{"token":"x"}"#).unwrap_err().to_string();
        assert!(error.contains("`token`"), "{error}");
    }

    #[test]
    fn m32_half_a_token_pair_is_refused_with_the_remedy() {
        let half = ModalConfig { token_id: Some("ak-1".into()), ..ModalConfig::default() };
        let error = half.build().unwrap_err();
        assert_eq!((error.kind(), error.subject()), (ErrorKind::InvalidArgument, Some(Subject::Provider)));
        assert!(ModalConfig::default().build().is_err());
        assert!(ModalConfig::new("a", "b").with_server_url("nowhere").build().is_err());
    }

    #[test]
    fn m32_new_tokens_keep_all_else_that_was_read() {
        let base = modal::Config::new("ak-old", "as-old")
            .with_server_url("http://127.0.0.1:1")
            .unwrap()
            .with_environment("lab")
            .with_image_builder_version("2025.06")
            .with_sandbox_v2(false)
            .with_max_throttle_wait(Duration::from_secs(7));
        let read = format!("{base:?}");
        let config = ModalConfig {
            token_id: Some("ak-new".into()),
            token_secret: Some("as-new".into()),
            ..ModalConfig::from(base)
        };
        assert_eq!(format!("{:?}", config.client_config().unwrap()), read, "tokens are hidden in both");
    }

    #[test]
    fn g8_tokens_do_not_show() {
        let text = format!("{:?}", ModalConfig::new("ak-hush", "as-hush"));
        assert!(!text.contains("hush"), "{text}");
    }
}
