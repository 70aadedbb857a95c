//! Where the server is, who we are, and how patient we are.

mod profile;
mod settings;

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::secret::Secret;
use crate::server_url::ServerUrl;

/// The address of Modal's own service.
pub const DEFAULT_SERVER_URL: &str = "https://api.modal.com:443";

/// How long a connection to a command router stays open without a call, as in Modal's clients.
const ROUTER_IDLE: Duration = Duration::from_secs(30);

/// How to reach a server that speaks Modal's protocol.
///
/// Made explicitly with [`Config::new`], from the process environment with [`Config::from_env`], or from one
/// section of `~/.modal.toml` with [`Config::from_profile`]. Settings and their order of precedence are those of Modal's own
/// clients (protocol section 1.1): what is set on this type, then the environment, then the profile, then the default.
///
/// | variable | key of the profile | default |
/// |---|---|---|
/// | `MODAL_SERVER_URL` | `server_url` | [`DEFAULT_SERVER_URL`]; of a list with commas the first |
/// | `MODAL_TOKEN_ID`, `MODAL_TOKEN_SECRET` | `token_id`, `token_secret` | none: both are needed |
/// | `MODAL_PROFILE` | the section with `active = true` | the section `default`; without one, no section |
/// | `MODAL_CONFIG_PATH` | | `~/.modal.toml` |
/// | `MODAL_ENVIRONMENT` | `environment` | the server's own default |
/// | `MODAL_IMAGE_BUILDER_VERSION` | `image_builder_version` | the server is asked |
/// | `MODAL_SANDBOX_V2` | `sandbox_v2` | on; empty, `0` and `false` are off |
/// | `MODAL_MAX_THROTTLE_WAIT` | `max_throttle_wait` | no bound; whole seconds, `0` does not wait at all |
/// | `MODAL_SANDBOX_CHANNEL_IDLE_TIMEOUT` | `sandbox_channel_idle_timeout` | 30 seconds; `0` is never |
/// | `MODAL_OVERRIDE_HEADERS` | | none; `name:value,name:value`, on every call to the control plane |
/// | `SSL_CERT_FILE` | | roots beside the built-in ones |
///
/// Where Modal's clients differ among themselves: an empty variable is unset (JavaScript, Go), a malformed file is an error (Python,
/// Go), two active sections are an error (Python), several without an active one are none (JavaScript, Go).
///
/// Not honoured: proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, and with them `NO_PROXY` and `MODAL_DISABLE_API_PROXY`):
/// connections are made directly, a proxy that is needed is reported as a server that cannot be reached; `MODAL_LOGLEVEL`: what happens
/// is reported to `tracing`, whose subscriber decides; `MODAL_IS_REMOTE`: the mode inside Modal's own containers; `override_headers`
/// and `disable_api_proxy` of a profile. OAuth credentials (`oauth_refresh_token` and its companions, `MODAL_OAUTH_REFRESH_TOKEN`) are
/// refused with an error.
#[derive(Clone)]
pub struct Config {
    pub(crate) server: ServerUrl,
    pub(crate) token_id: Secret,
    pub(crate) token_secret: Secret,
    pub(crate) environment: String,
    pub(crate) builder_version: Option<String>,
    pub(crate) sandbox_v2: bool,
    pub(crate) max_throttle_wait: Option<Duration>,
    pub(crate) router_idle: Duration,
    pub(crate) extra_roots: Vec<Vec<u8>>,
    pub(crate) extra_headers: Vec<(String, Secret)>,
}

impl Config {
    /// Makes a configuration for Modal's own service with a token pair.
    pub fn new(token_id: impl Into<Secret>, token_secret: impl Into<Secret>) -> Self {
        Self {
            server: ServerUrl::parse(DEFAULT_SERVER_URL).expect("the default URL is well formed"),
            token_id: token_id.into(),
            token_secret: token_secret.into(),
            environment: String::new(),
            builder_version: None,
            sandbox_v2: true,
            max_throttle_wait: None,
            router_idle: ROUTER_IDLE,
            extra_roots: Vec::new(),
            extra_headers: Vec::new(),
        }
    }

    /// Reads the process environment (`MODAL_*`) and the profile file.
    ///
    /// `MODAL_PROFILE` names the section, else the one with `active = true`; `MODAL_CONFIG_PATH` names the file, else
    /// `~/.modal.toml`; a missing file is an empty one, a malformed one is an error. An empty variable counts as unset, except for `MODAL_SANDBOX_V2`.
    /// `SSL_CERT_FILE` adds trusted certificates to the built-in ones.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) when no complete token pair is found, or a value cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        settings::Settings::from_process()?.into_config()
    }

    /// Reads one section of the profile file; `MODAL_*` variables are left aside except for `MODAL_CONFIG_PATH`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) when the file, the section or a complete token pair is missing.
    pub fn from_profile(name: &str) -> Result<Self, Error> {
        settings::Settings::from_profile_only(name)?.into_config()
    }

    /// Replaces the token pair; all else stays.
    #[must_use]
    pub fn with_tokens(mut self, token_id: impl Into<Secret>, token_secret: impl Into<Secret>) -> Self {
        self.token_id = token_id.into();
        self.token_secret = token_secret.into();
        self
    }

    /// Sets the server's address: `http://host[:port]` (HTTP/2 without TLS) or `https://host[:port]`.
    ///
    /// Of several addresses with commas between, as Modal's Python client takes them, the first is used.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) for any other form.
    pub fn with_server_url(mut self, url: &str) -> Result<Self, Error> {
        self.server = ServerUrl::parse(url.split(',').next().unwrap_or_default().trim())?;
        Ok(self)
    }

    /// Sets the environment's name; empty means the server's default one.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }

    /// Sets the image builder version; without one the server is asked.
    #[must_use]
    pub fn with_image_builder_version(mut self, version: impl Into<String>) -> Self {
        self.builder_version = Some(version.into());
        self
    }

    /// Chooses the generation of new sandboxes: V2 (the default) or V1. A GPU always means V1, as in Modal's clients.
    #[must_use]
    pub fn with_sandbox_v2(mut self, enabled: bool) -> Self {
        self.sandbox_v2 = enabled;
        self
    }

    /// Bounds the time that one call waits because the server asks it to; zero means not at all.
    #[must_use]
    pub fn with_max_throttle_wait(mut self, cap: Duration) -> Self {
        self.max_throttle_wait = Some(cap);
        self
    }

    /// Sets how long a connection to a command router stays open without a call (30 s); zero keeps it for the client's life.
    #[must_use]
    pub fn with_router_idle(mut self, idle: Duration) -> Self {
        self.router_idle = idle;
        self
    }

    /// Trusts further root certificates (PEM) beside the built-in ones.
    #[must_use]
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.extra_roots.push(pem.into());
        self
    }

    /// Adds a header to every call to the control plane, replacing one of the same name.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<Secret>) -> Self {
        self.extra_headers.push((name.into(), value.into()));
        self
    }

    /// Gives the server's address.
    #[must_use]
    pub fn server_url(&self) -> String {
        self.server.to_string()
    }

    /// Says whether the server is Modal's own service, by its name.
    #[must_use]
    pub fn is_modal_service(&self) -> bool {
        ["modal.com", "modal2.com"].iter().any(|domain| self.server.is_within(domain))
    }

    /// Gives the environment's name; empty means the server's default one.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.environment
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("server", &self.server)
            .field("token_id", &self.token_id)
            .field("token_secret", &self.token_secret)
            .field("environment", &self.environment)
            .field("builder_version", &self.builder_version)
            .field("sandbox_v2", &self.sandbox_v2)
            .field("max_throttle_wait", &self.max_throttle_wait)
            .field("router_idle", &self.router_idle)
            .finish_non_exhaustive()
    }
}
