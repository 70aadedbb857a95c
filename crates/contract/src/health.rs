//! Whether a provider answers.

use serde::{Deserialize, Serialize};

/// Says whether a provider answers, and how fast.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Health {
    /// Whether it would accept a request now.
    pub healthy: bool,
    /// How long the answer took, in milliseconds; absent where none came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// What is wrong, or what is worth knowing. Starts with `unreachable` where the provider could not be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Health {
    /// Builds a good report.
    pub fn healthy(latency: std::time::Duration) -> Self {
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        Self { healthy: true, latency_ms: Some(latency_ms), message: None }
    }

    /// Builds the report of a provider that answered, and not well.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self { healthy: false, latency_ms: None, message: Some(message.into()) }
    }

    /// Builds the report of a provider that could not be reached.
    pub fn unreachable(why: impl std::fmt::Display) -> Self {
        Self::unhealthy(format!("unreachable: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m25_m26_a_report_has_the_known_json_shape() {
        let good = Health::healthy(std::time::Duration::from_millis(12));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(text, r#"{"healthy":true,"latencyMs":12}"#);
        assert_eq!(serde_json::from_str::<Health>(&text).unwrap(), good);
        let bad = serde_json::to_string(&Health::unreachable("no route")).unwrap();
        assert_eq!(bad, r#"{"healthy":false,"message":"unreachable: no route"}"#);
        let error = serde_json::from_str::<Health>(r#"{"healthy":true,"latency":1}"#).unwrap_err();
        assert!(error.to_string().contains("`latency`"), "{error}");
    }
}
