//! Who may call: token pairs for the control plane, signed tokens for both services.
//!
//! Clients read only `exp` of a token (modal-protocol, sections 1.5 and 1.6); everything else in it is for us. Keys are
//! in the store, so that tokens outlive the server.

use crate::config::Credentials;
use http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    time::{Duration, SystemTime},
};
use tonic::Status;

/// Life of a control-plane token.
const CONTROL_LIFE: Duration = Duration::from_secs(3600);
/// Life of a command router token.
const ROUTER_LIFE: Duration = Duration::from_secs(900);
const ISSUER: &str = "openlattice";

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Calls of the control plane.
    Control,
    /// Calls of the command router for one sandbox.
    Router,
}

impl Audience {
    fn name(self) -> &'static str {
        match self {
            Self::Control => "control-plane",
            Self::Router => "command-router",
        }
    }

    fn life(self) -> Duration {
        match self {
            Self::Control => CONTROL_LIFE,
            Self::Router => ROUTER_LIFE,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
}

/// Checks callers and signs tokens.
pub(crate) struct Guard {
    pairs: Option<Vec<Credentials>>,
    sign: EncodingKey,
    check: DecodingKey,
    life: Option<Duration>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("open", &self.pairs.is_none()).finish_non_exhaustive()
    }
}

impl Guard {
    /// Accepts `pairs`, or everybody when `None`; signs with `key`.
    pub(crate) fn new(pairs: Option<Vec<Credentials>>, key: &[u8]) -> Self {
        Self { pairs, sign: EncodingKey::from_secret(key), check: DecodingKey::from_secret(key), life: None }
    }

    /// Signs tokens that hold so long, whatever they are good for.
    pub(crate) fn with_life(self, life: Option<Duration>) -> Self {
        Self { life, ..self }
    }

    /// Checks the headers of a control-plane call: the pair always, a control token when there is one.
    pub(crate) fn control(&self, headers: &HeaderMap) -> Result<(), Status> {
        let Some(pairs) = &self.pairs else { return Ok(()) };
        let id = text(headers, "x-modal-token-id").unwrap_or_default();
        let secret = text(headers, "x-modal-token-secret").unwrap_or_default();
        // Every pair is compared, and digests instead of texts, so that time tells nothing of the secret.
        let known =
            pairs.iter().fold(false, |known, pair| known | (same(&pair.id, id) & same(&pair.secret, secret)));
        if !known {
            return Err(Status::unauthenticated(
                "token pair not accepted; set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET to a pair of this server",
            ));
        }
        match text(headers, "x-modal-auth-token") {
            Some(token) => self.verify(Audience::Control, token).map(drop),
            None => Ok(()),
        }
    }

    /// Checks the headers of a command router call and returns the sandbox id that its token is for.
    pub(crate) fn router(&self, headers: &HeaderMap) -> Result<String, Status> {
        let token = text(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let token =
            token.ok_or_else(|| Status::unauthenticated("no bearer token; ask the control plane for one"))?;
        self.verify(Audience::Router, token)
    }

    /// Signs a token for `subject`.
    pub(crate) fn issue(&self, audience: Audience, subject: &str) -> Result<String, Status> {
        self.issue_from(audience, subject, unix_seconds(SystemTime::now()))
    }

    fn issue_from(&self, audience: Audience, subject: &str, now: u64) -> Result<String, Status> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: audience.name().to_owned(),
            sub: subject.to_owned(),
            iat: now,
            exp: now + self.life.unwrap_or(audience.life()).as_secs(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
            .map_err(|error| Status::internal(format!("cannot sign a token: {error}")))
    }

    /// Checks signature, issuer, audience and time of a token and returns its subject.
    fn verify(&self, audience: Audience, token: &str) -> Result<String, Status> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_audience(&[audience.name()]);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        jsonwebtoken::decode::<Claims>(token, &self.check, &validation)
            .map(|data| data.claims.sub)
            .map_err(|error| Status::unauthenticated(format!("token not accepted: {error}")))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one) == Sha256::digest(other)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new(Some(vec![Credentials::new("ak-1", "as-1")]), b"key")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_pair_needs_both_halves() {
        let good = headers(&[("x-modal-token-id", "ak-1"), ("x-modal-token-secret", "as-1")]);
        let bad = headers(&[("x-modal-token-id", "ak-1"), ("x-modal-token-secret", "as-2")]);
        assert!(guard().control(&good).is_ok());
        for wrong in [bad, headers(&[]), headers(&[("x-modal-token-id", "ak-1")])] {
            assert_eq!(guard().control(&wrong).unwrap_err().code(), tonic::Code::Unauthenticated);
        }
    }

    #[test]
    fn tokens_hold_for_their_audience_only() {
        let token = guard().issue(Audience::Router, "sb-1").unwrap();
        let bearer = format!("Bearer {token}");
        assert_eq!(guard().router(&headers(&[("authorization", &bearer)])).unwrap(), "sb-1");
        assert!(guard().verify(Audience::Control, &token).is_err());
        assert!(Guard::new(None, b"other").verify(Audience::Router, &token).is_err());
    }

    #[test]
    fn an_expired_token_is_refused() {
        let now = unix_seconds(SystemTime::now());
        let old = guard().issue_from(Audience::Router, "sb-1", now - 901).unwrap();
        assert!(guard().verify(Audience::Router, &old).unwrap_err().message().contains("xpired"));
        let fresh = guard().issue_from(Audience::Router, "sb-1", now - 890).unwrap();
        assert!(guard().verify(Audience::Router, &fresh).is_ok());
    }

    #[test]
    fn an_unsigned_token_is_refused() {
        let token = guard().issue(Audience::Router, "sb-1").unwrap();
        let body = token.split('.').nth(1).unwrap();
        // {"alg":"none","typ":"JWT"}
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
        assert!(guard().verify(Audience::Router, &unsigned).is_err());
    }

    #[test]
    fn a_control_token_is_checked_when_sent() {
        let pair = [("x-modal-token-id", "ak-1"), ("x-modal-token-secret", "as-1")];
        let token = guard().issue(Audience::Control, "ak-1").unwrap();
        let good = headers(&[pair[0], pair[1], ("x-modal-auth-token", &token)]);
        let bad = headers(&[pair[0], pair[1], ("x-modal-auth-token", "a.b.c")]);
        assert!(guard().control(&good).is_ok());
        assert!(guard().control(&bad).is_err());
    }
}
