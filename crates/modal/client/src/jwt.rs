//! The expiry date inside a token. The token itself stays opaque: whoever issued it checks it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Reads how long a token will still be valid; nothing when it does not say.
pub(crate) fn remaining(token: &str, now: SystemTime) -> Option<Duration> {
    let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    let left = expiry(token)? - now;
    Some(Duration::try_from_secs_f64(left.max(0.0)).unwrap_or(Duration::MAX))
}

fn expiry(token: &str) -> Option<f64> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    claims.get("exp")?.as_f64().filter(|seconds| seconds.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn the_remaining_life_comes_from_exp() {
        let now = UNIX_EPOCH + Duration::from_secs(1000);
        assert_eq!(remaining(&token(r#"{"exp":1060}"#), now), Some(Duration::from_secs(60)));
        assert_eq!(remaining(&token(r#"{"exp":10}"#), now), Some(Duration::ZERO));
        assert_eq!(remaining(&token(r#"{"exp":1e300}"#), now), Some(Duration::MAX));
    }

    #[test]
    fn what_does_not_say_is_nothing() {
        let now = UNIX_EPOCH;
        for text in ["", "a.b", "a.b.c", "a.b.c.d", &token("{}"), &token(r#"{"exp":"soon"}"#)] {
            assert_eq!(remaining(text, now), None, "{text}");
        }
    }
}
