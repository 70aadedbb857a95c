//! Settings from the process environment over those of a profile.

use std::path::PathBuf;
use std::time::Duration;

use super::profile::{self, Flag, Profile};
use super::{Config, DEFAULT_SERVER_URL};
use crate::error::Error;
use crate::secret::Secret;

/// Where variables come from, so that tests need not change the process.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Everything read, not yet checked.
#[derive(Debug)]
pub(super) struct Settings {
    profile: Profile,
    extra_roots: Vec<Vec<u8>>,
    extra_headers: Vec<(String, Secret)>,
}

impl Settings {
    /// Reads this process's variables and the profile that they choose.
    pub(super) fn from_process() -> Result<Self, Error> {
        Self::from_lookup(&|name| std::env::var(name).ok())
    }

    /// Reads one section of the profile file and nothing else.
    pub(super) fn from_profile_only(name: &str) -> Result<Self, Error> {
        let sections = profile::read(&config_file(&|name| std::env::var(name).ok())?)?;
        let profile = profile::choose(&sections, Some(name))?.unwrap_or_default();
        Ok(Self { profile, extra_roots: Vec::new(), extra_headers: Vec::new() })
    }

    fn from_lookup(variables: Lookup<'_>) -> Result<Self, Error> {
        let set = |name: &str| variables(name).filter(|value| !value.is_empty());
        let sections = profile::read(&config_file(variables)?)?;
        let mut profile = profile::choose(&sections, set("MODAL_PROFILE").as_deref())?.unwrap_or_default();
        let text = |name: &str, slot: &mut Option<String>| {
            *slot = set(name).or_else(|| slot.take());
        };
        text("MODAL_SERVER_URL", &mut profile.server_url);
        text("MODAL_ENVIRONMENT", &mut profile.environment);
        text("MODAL_IMAGE_BUILDER_VERSION", &mut profile.image_builder_version);
        let secret = |name: &str, slot: &mut Option<Secret>| {
            *slot = set(name).map(Secret::new).or_else(|| slot.take());
        };
        secret("MODAL_TOKEN_ID", &mut profile.token_id);
        secret("MODAL_TOKEN_SECRET", &mut profile.token_secret);
        if let Some(value) = variables("MODAL_SANDBOX_V2") {
            profile.sandbox_v2 = Some(Flag::Text(value));
        }
        let seconds = |name: &str, slot: &mut Option<u64>| {
            let Some(value) = set(name) else { return Ok(()) };
            let wrong = |_| Error::config(format!("{name} is {value:?}; whole seconds are expected"));
            *slot = Some(value.parse().map_err(wrong)?);
            Ok::<(), Error>(())
        };
        seconds("MODAL_MAX_THROTTLE_WAIT", &mut profile.max_throttle_wait)?;
        seconds("MODAL_SANDBOX_CHANNEL_IDLE_TIMEOUT", &mut profile.sandbox_channel_idle_timeout)?;
        secret("MODAL_OAUTH_REFRESH_TOKEN", &mut profile.oauth_refresh_token);
        let extra_roots =
            set("SSL_CERT_FILE").map(|file| read_roots(&file)).transpose()?.into_iter().collect();
        let extra_headers =
            set("MODAL_OVERRIDE_HEADERS").map(|text| headers(&text)).transpose()?.unwrap_or_default();
        Ok(Self { profile, extra_roots, extra_headers })
    }

    /// Checks the settings and turns them into a configuration.
    pub(super) fn into_config(self) -> Result<Config, Error> {
        let Self { profile, extra_roots, extra_headers } = self;
        let (token_id, token_secret) = credentials(&profile)?;
        let server = profile.server_url.as_deref().unwrap_or(DEFAULT_SERVER_URL);
        let mut config = Config::new(token_id, token_secret).with_server_url(server)?;
        config.environment = profile.environment.unwrap_or_default();
        config.builder_version = profile.image_builder_version.filter(|version| !version.is_empty());
        config.sandbox_v2 = profile.sandbox_v2.is_none_or(|flag| flag.is_on());
        config.max_throttle_wait = profile.max_throttle_wait.map(Duration::from_secs);
        if let Some(seconds) = profile.sandbox_channel_idle_timeout {
            config.router_idle = Duration::from_secs(seconds);
        }
        config.extra_roots = extra_roots;
        config.extra_headers = extra_headers;
        Ok(config)
    }
}

fn credentials(profile: &Profile) -> Result<(Secret, Secret), Error> {
    let present = |slot: &Option<Secret>| slot.clone().filter(|secret| !secret.is_empty());
    match (present(&profile.token_id), present(&profile.token_secret)) {
        (Some(_), Some(_)) if present(&profile.oauth_refresh_token).is_some() => {
            Err(Error::config("both a token pair and OAuth credentials are set; keep one of them"))
        }
        (Some(id), Some(secret)) => Ok((id, secret)),
        _ if present(&profile.oauth_refresh_token).is_some() => {
            Err(Error::config("OAuth credentials are not supported; set token_id and token_secret"))
        }
        (None, Some(_)) => Err(Error::config("a token secret is set without its id; set MODAL_TOKEN_ID")),
        (Some(_), None) => Err(Error::config("a token id is set without its secret; set MODAL_TOKEN_SECRET")),
        (None, None) => Err(Error::config(
            "no Modal credentials; set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET or make a profile in ~/.modal.toml",
        )),
    }
}

/// Reads `name:value,name:value`. Values may be credentials and are not repeated in the error.
fn headers(text: &str) -> Result<Vec<(String, Secret)>, Error> {
    let wrong = || Error::config("MODAL_OVERRIDE_HEADERS is malformed; name:value,name:value is expected");
    let pair = |entry: &str| {
        let (name, value) = entry.split_once(':').ok_or_else(wrong)?;
        Ok((name.trim().to_ascii_lowercase(), Secret::new(value.trim())))
    };
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(pair).collect()
}

fn config_file(variables: Lookup<'_>) -> Result<PathBuf, Error> {
    if let Some(path) = variables("MODAL_CONFIG_PATH").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let home =
        std::env::home_dir().ok_or_else(|| Error::config("no home directory; set MODAL_CONFIG_PATH"))?;
    Ok(home.join(".modal.toml"))
}

fn read_roots(file: &str) -> Result<Vec<u8>, Error> {
    std::fs::read(file)
        .map_err(|error| Error::config(format!("cannot read SSL_CERT_FILE {file}")).with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(file: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("modal.toml");
        std::fs::write(&path, file).unwrap();
        let lookup = |name: &str| match name {
            "MODAL_CONFIG_PATH" => Some(path.display().to_string()),
            _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        };
        Settings::from_lookup(&lookup)?.into_config()
    }

    const FILE: &str = "[one]\ntoken_id = \"ak-file\"\ntoken_secret = \"as-file\"\nenvironment = \"dev\"\nactive = true\n\
                        [two]\ntoken_id = \"ak-two\"\ntoken_secret = \"as-two\"\nserver_url = \"http://127.0.0.1:9\"\n";

    #[test]
    fn the_environment_wins_over_the_profile_and_the_profile_over_the_default() {
        let from_file = config(FILE, &[]).unwrap();
        assert_eq!(from_file.token_id.reveal(), "ak-file");
        assert_eq!((from_file.environment(), from_file.server_url().as_str()), ("dev", DEFAULT_SERVER_URL));
        let set =
            [("MODAL_TOKEN_ID", "ak-env"), ("MODAL_TOKEN_SECRET", "as-env"), ("MODAL_ENVIRONMENT", "prod")];
        let from_env = config(FILE, &set).unwrap();
        assert_eq!((from_env.token_id.reveal(), from_env.environment()), ("ak-env", "prod"));
    }

    #[test]
    fn an_empty_variable_is_unset_and_the_profile_can_be_named() {
        let empty = config(FILE, &[("MODAL_TOKEN_ID", ""), ("MODAL_PROFILE", "two")]).unwrap();
        assert_eq!(empty.token_id.reveal(), "ak-two");
        assert_eq!(empty.server_url(), "http://127.0.0.1:9");
    }

    #[test]
    fn v1_is_chosen_by_the_three_false_values() {
        for value in ["", "0", "false", "False"] {
            assert!(!config(FILE, &[("MODAL_SANDBOX_V2", value)]).unwrap().sandbox_v2, "{value:?}");
        }
        assert!(config(FILE, &[("MODAL_SANDBOX_V2", "1")]).unwrap().sandbox_v2);
        assert!(config(FILE, &[]).unwrap().sandbox_v2);
    }

    #[test]
    fn missing_and_mixed_credentials_say_what_to_set() {
        let missing = config("", &[]).unwrap_err().to_string();
        assert!(missing.contains("MODAL_TOKEN_ID") && missing.contains("MODAL_TOKEN_SECRET"), "{missing}");
        let half = config("", &[("MODAL_TOKEN_ID", "ak-1")]).unwrap_err().to_string();
        assert!(half.contains("MODAL_TOKEN_SECRET"), "{half}");
        let mixed = format!("{FILE}oauth_refresh_token = \"r\"\n");
        assert!(config(&mixed, &[("MODAL_PROFILE", "two")]).unwrap_err().to_string().contains("keep one"));
        for (file, variables) in [
            ("[a]\nactive = true\noauth_refresh_token = \"hush\"\noauth_client_id = \"c\"\n", &[][..]),
            ("", &[("MODAL_OAUTH_REFRESH_TOKEN", "hush")]),
        ] {
            let oauth = config(file, variables).unwrap_err().to_string();
            assert!(
                oauth.contains("OAuth") && oauth.contains("token_id") && !oauth.contains("hush"),
                "{oauth}"
            );
        }
    }

    #[test]
    fn the_throttle_cap_is_whole_seconds() {
        let set = config(FILE, &[("MODAL_MAX_THROTTLE_WAIT", "7")]).unwrap();
        assert_eq!(set.max_throttle_wait, Some(Duration::from_secs(7)));
        assert!(config(FILE, &[("MODAL_MAX_THROTTLE_WAIT", "soon")]).is_err());
    }

    #[test]
    fn the_idle_time_of_router_connections_is_whole_seconds() {
        let idle = |file: &str, variables: &[(&str, &str)]| {
            config(&format!("{FILE}{file}"), variables).map(|config| config.router_idle)
        };
        assert_eq!(idle("", &[]).unwrap(), Duration::from_secs(30));
        let in_file = "sandbox_channel_idle_timeout = 5\n";
        assert_eq!(idle(in_file, &[("MODAL_PROFILE", "two")]).unwrap(), Duration::from_secs(5));
        let zero = [("MODAL_PROFILE", "two"), ("MODAL_SANDBOX_CHANNEL_IDLE_TIMEOUT", "0")];
        assert_eq!(idle(in_file, &zero).unwrap(), Duration::ZERO);
        assert!(idle("", &[("MODAL_SANDBOX_CHANNEL_IDLE_TIMEOUT", "1.5")]).is_err());
    }

    #[test]
    fn extra_headers_are_pairs() {
        let set = config(FILE, &[("MODAL_OVERRIDE_HEADERS", "X-One: 1, x-two:a:b,")]).unwrap();
        let pairs: Vec<_> =
            set.extra_headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(pairs, [("x-one", "1"), ("x-two", "a:b")]);
        let error = config(FILE, &[("MODAL_OVERRIDE_HEADERS", "hush")]).unwrap_err();
        assert!(!error.to_string().contains("hush"));
    }

    #[test]
    fn of_several_addresses_the_first_is_used() {
        let set =
            config(FILE, &[("MODAL_SERVER_URL", "https://api.modal.com,https://api.modal2.com")]).unwrap();
        assert_eq!(set.server_url(), DEFAULT_SERVER_URL);
    }

    #[test]
    fn no_token_shows_in_debug() {
        let config = config(FILE, &[]).unwrap();
        let text = format!("{config:?}");
        assert!(!text.contains("ak-file") && !text.contains("as-file"), "{text}");
    }
}
