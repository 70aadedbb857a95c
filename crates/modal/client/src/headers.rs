//! The metadata of a control plane call (protocol section 1.4).
//!
//! The values of client type, version and library version copy Modal's JavaScript client as a set: the service may gate
//! features by them, and one client's values taken together are the only pattern known to work. Who really speaks is
//! in `user-agent`.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use uuid::Uuid;

use crate::config::Config;
use crate::error::Error;
use crate::secret::Secret;

const CLIENT_TYPE: &str = "8";
const CLIENT_VERSION: &str = "1.0.0";
const LIBRARY_VERSION: &str = "modal-js/0.11.1";

/// The metadata that every call carries.
#[derive(Debug, Clone)]
pub(crate) struct Headers {
    base: MetadataMap,
}

impl Headers {
    /// Prepares the fixed part; fails when a token cannot travel in a header.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let mut base = MetadataMap::new();
        base.insert("x-modal-client-type", MetadataValue::from_static(CLIENT_TYPE));
        base.insert("x-modal-client-version", MetadataValue::from_static(CLIENT_VERSION));
        base.insert("x-modal-libmodal-version", MetadataValue::from_static(LIBRARY_VERSION));
        base.insert("x-modal-token-id", sensitive(&config.token_id, "the token id")?);
        base.insert("x-modal-token-secret", sensitive(&config.token_secret, "the token secret")?);
        let host =
            config.server.host().parse().map_err(|_| Error::config("the server's host is not plain text"))?;
        base.insert("x-modal-host", host);
        for (name, value) in &config.extra_headers {
            let key: MetadataKey<Ascii> =
                name.parse().map_err(|_| Error::config(format!("{name:?} is not a header's name")))?;
            base.insert(key, sensitive(value, "a header's value")?);
        }
        Ok(Self { base })
    }

    /// Gives a copy for one call.
    pub(crate) fn for_call(&self) -> MetadataMap {
        self.base.clone()
    }
}

/// A header value that neither `Debug` nor header compression keeps.
pub(crate) fn sensitive(secret: &Secret, what: &str) -> Result<MetadataValue<Ascii>, Error> {
    let mut value: MetadataValue<Ascii> =
        secret.reveal().parse().map_err(|_| Error::config(format!("{what} is not plain text")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// How often and how long one call has been tried, told to the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts {
    pub(crate) failed: u32,
    pub(crate) throttled: u32,
    pub(crate) throttled_for: Duration,
}

impl Attempts {
    /// Adds the idempotency key and the counters.
    pub(crate) fn describe(&self, metadata: &mut MetadataMap, key: Uuid, since_first: Duration) {
        insert(metadata, "x-idempotency-key", key.to_string());
        insert(metadata, "x-retry-attempt", self.failed.to_string());
        insert(metadata, "x-throttle-retry-attempt", self.throttled.to_string());
        if self.failed > 0 {
            insert(metadata, "x-retry-delay", seconds(since_first));
        }
        if !self.throttled_for.is_zero() {
            insert(metadata, "x-throttle-retry-delay", seconds(self.throttled_for));
        }
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

fn insert(metadata: &mut MetadataMap, key: &'static str, value: String) {
    if let Ok(value) = value.parse::<MetadataValue<Ascii>>() {
        metadata.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_travel_and_do_not_show() {
        let headers = Headers::new(&Config::new("ak-1", "as-hunter2")).unwrap();
        let metadata = headers.for_call();
        assert_eq!(metadata.get("x-modal-token-secret").unwrap(), "as-hunter2");
        assert_eq!(metadata.get("x-modal-host").unwrap(), "api.modal.com");
        assert!(!format!("{metadata:?} {headers:?}").contains("hunter2"));
        assert!(Headers::new(&Config::new("ak\n1", "s")).is_err());
        let extra = Headers::new(&Config::new("a", "s").with_header("x-extra", "hunter2")).unwrap();
        assert_eq!(extra.for_call().get("x-extra").unwrap(), "hunter2");
        assert!(!format!("{extra:?}").contains("hunter2"));
        assert!(Headers::new(&Config::new("a", "s").with_header("not a name", "v")).is_err());
    }

    #[test]
    fn the_delay_keys_come_with_the_first_retry() {
        let mut first = MetadataMap::new();
        Attempts::default().describe(&mut first, Uuid::nil(), Duration::from_secs(1));
        assert_eq!(first.get("x-retry-attempt").unwrap(), "0");
        assert!(first.get("x-retry-delay").is_none() && first.get("x-throttle-retry-delay").is_none());
        let mut later = MetadataMap::new();
        let attempts = Attempts { failed: 1, throttled: 2, throttled_for: Duration::from_millis(250) };
        attempts.describe(&mut later, Uuid::nil(), Duration::from_millis(1500));
        assert_eq!(later.get("x-retry-delay").unwrap(), "1.500");
        assert_eq!(later.get("x-throttle-retry-delay").unwrap(), "0.250");
    }
}
