//! The token of `AuthTokenGet`: fetched once, used for about half its life, renewed in passing.

use std::time::{Duration, SystemTime};

use openlattice_modal_proto::client::AuthTokenGetRequest;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::client::ControlPlane;
use crate::error::{Error, Result};
use crate::headers::{Attempts, sensitive};
use crate::jwt;
use crate::retry::{self, CONTROL_PLANE, Policy};
use crate::secret::Secret;
use crate::status::{self, Operation};

const AUTH_TOKEN_GET: Operation = Operation::repeatable("AuthTokenGet");
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The life of a token that does not say when it ends.
const ASSUMED_LIFE: Duration = Duration::from_secs(20 * 60);
/// Longer lives are treated as this one, so that sums of times stay in range.
const LONGEST_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Pauses between tries to renew a token that still holds.
const RENEWAL: Policy =
    Policy { retries: u32::MAX, first: Duration::from_millis(500), cap: Duration::from_secs(60) };

/// The cached token. One call fetches it; the others wait for that call.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failed_renewals: u32,
    next_renewal: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Token {
    value: MetadataValue<Ascii>,
    renew_at: Instant,
    expires_at: Instant,
}

impl TokenCache {
    /// Gives a token that still holds, fetching or renewing it where needed.
    ///
    /// # Errors
    /// The fetch's own error when there is no token that still holds. Refused credentials are an error at once.
    pub(crate) async fn get(
        &self,
        stub: &ControlPlane,
        base: &MetadataMap,
        throttle_cap: Option<Duration>,
    ) -> Result<MetadataValue<Ascii>> {
        let mut state = self.0.lock().await;
        let now = Instant::now();
        match state.token.clone() {
            Some(token) if now < token.renew_at => Ok(token.value),
            Some(token) if now < token.expires_at => state.renew(token, stub, base).await,
            _ => state.fetch(stub, base, throttle_cap).await,
        }
    }

    /// Forgets the token if it is still the given one, which the server has refused.
    pub(crate) async fn forget(&self, refused: &MetadataValue<Ascii>) {
        let mut state = self.0.lock().await;
        state.token.take_if(|token| token.value == *refused);
    }
}

impl State {
    /// Fetches a first token, with the retries of a control plane call and the pauses that the server asks for.
    async fn fetch(
        &mut self,
        stub: &ControlPlane,
        base: &MetadataMap,
        throttle_cap: Option<Duration>,
    ) -> Result<MetadataValue<Ascii>> {
        let mut attempts = Attempts::default();
        loop {
            let status = match request(stub, base).await {
                Ok(text) => return self.keep(text),
                Err(status) => status,
            };
            match retry::next_pause(&CONTROL_PLANE, throttle_cap, &mut attempts, &status) {
                Some(pause) => sleep(pause).await,
                None => return Err(status::error(AUTH_TOKEN_GET, &status)),
            }
        }
    }

    /// Tries once to replace a token that still holds; keeps it when that fails for now.
    async fn renew(
        &mut self,
        old: Token,
        stub: &ControlPlane,
        base: &MetadataMap,
    ) -> Result<MetadataValue<Ascii>> {
        if self.next_renewal.is_some_and(|next| Instant::now() < next) {
            return Ok(old.value);
        }
        match request(stub, base).await {
            Ok(text) => self.keep(text),
            Err(status) if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                self.token = None;
                Err(status::error(AUTH_TOKEN_GET, &status))
            }
            Err(_) => {
                self.failed_renewals = self.failed_renewals.saturating_add(1);
                self.next_renewal = RENEWAL.pause(self.failed_renewals).map(|pause| Instant::now() + pause);
                Ok(old.value)
            }
        }
    }

    fn keep(&mut self, text: Secret) -> Result<MetadataValue<Ascii>> {
        if text.is_empty() {
            return Err(Error::unexpected("the server gave an empty token").during(AUTH_TOKEN_GET.name));
        }
        let life = jwt::remaining(text.reveal(), SystemTime::now()).unwrap_or(ASSUMED_LIFE).min(LONGEST_LIFE);
        let value =
            sensitive(&text, "the server's token").map_err(|error| error.during(AUTH_TOKEN_GET.name))?;
        let now = Instant::now();
        let token =
            Token { value: value.clone(), renew_at: now + life.mul_f64(0.55), expires_at: now + life };
        *self = Self { token: Some(token), failed_renewals: 0, next_renewal: None };
        Ok(value)
    }
}

async fn request(stub: &ControlPlane, base: &MetadataMap) -> Result<Secret, Status> {
    let mut request = tonic::Request::new(AuthTokenGetRequest {});
    *request.metadata_mut() = base.clone();
    let mut stub = stub.clone();
    let reply = timeout(FETCH_TIMEOUT, stub.auth_token_get(request)).await;
    let reply = reply.map_err(|_| Status::deadline_exceeded("no token within 5 s"))?;
    Ok(Secret::new(reply?.into_inner().token))
}
