//! The client: one connection to the control plane, its credentials and its retries.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openlattice_modal_proto::client::modal_client_client::ModalClientClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::channel;
use crate::config::Config;
use crate::error::Result;
use crate::headers::{Attempts, Headers};
use crate::retry::{self, CONTROL_PLANE, Policy};
use crate::router::{Connections, Lease};
use crate::server_url::ServerUrl;
use crate::status::{self, Operation};
use crate::token::TokenCache;
use crate::warning::{self, Warnings};

/// The generated client of the control plane.
pub(crate) type ControlPlane = ModalClientClient<Channel>;

/// The shortest time between two warnings that the server asks to wait.
const WARNING_INTERVAL: Duration = Duration::from_secs(30);

const CLIENT_HELLO: Operation = Operation::repeatable("ClientHello");

/// A client of a server that speaks Modal's protocol. Cheap to clone; clones share the connections and the token.
///
/// There is one connection to the control plane, and one to each command router, which the sandboxes behind it share (another one
/// for each further hundred calls at once). Those to routers are closed when no call needed them for
/// [a while](Config::with_router_idle), and made again at the next call.
///
/// Nothing is sent before the first call. The connection belongs to the tokio runtime of that call and is made again when it breaks.
/// Every call may be dropped midway: what was sent may still be carried out by the server, nothing else happens.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    headers: Headers,
    channel: OnceLock<ControlPlane>,
    token: TokenCache,
    routers: Connections,
    warnings: Warnings,
    builder_versions: Mutex<HashMap<String, String>>,
    throttle_warned: Mutex<Option<Instant>>,
}

/// One call: what it is, how often it is tried and how long a try may take.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    operation: Operation,
    policy: Policy,
    per_try: Option<Duration>,
    sandbox_token: Option<MetadataValue<Ascii>>,
}

impl From<Operation> for Call {
    fn from(operation: Operation) -> Self {
        Self { operation, policy: CONTROL_PLANE, per_try: None, sandbox_token: None }
    }
}

impl Call {
    pub(crate) fn within(mut self, per_try: Duration) -> Self {
        self.per_try = Some(per_try);
        self
    }

    pub(crate) fn once(mut self) -> Self {
        self.policy.retries = 0;
        self
    }

    pub(crate) fn with_sandbox_token(mut self, token: Option<MetadataValue<Ascii>>) -> Self {
        self.sandbox_token = token;
        self
    }
}

impl Client {
    /// Makes a client; nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) when a token cannot travel in a header.
    pub fn new(config: Config) -> Result<Self> {
        let headers = Headers::new(&config)?;
        let inner = Inner {
            config,
            headers,
            channel: OnceLock::new(),
            token: TokenCache::default(),
            routers: Connections::default(),
            warnings: Warnings::default(),
            builder_versions: Mutex::default(),
            throttle_warned: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Gives the configuration that the client was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Asks the server for a sign of life, once, without retries, and gives the time that it took.
    ///
    /// The token is fetched first where there is none; that time does not count.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) or [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) when it cannot be reached within `limit`;
    /// [`ErrorKind::Unauthenticated`](crate::ErrorKind::Unauthenticated) when it refuses the credentials.
    pub async fn hello(&self, limit: Duration) -> Result<Duration> {
        let late = |_| {
            status::error(CLIENT_HELLO, &Status::deadline_exceeded(format!("no answer within {limit:?}")))
        };
        timeout(limit, self.timed_hello()).await.map_err(late)?
    }

    async fn timed_hello(&self) -> Result<Duration> {
        self.token().await?;
        let started = Instant::now();
        let call = Call::from(CLIENT_HELLO).once();
        let send = |mut stub: ControlPlane, request| async move { stub.client_hello(request).await };
        let reply = self.unary(call, (), send).await?;
        let took = started.elapsed();
        let texts = reply.server_warnings.into_iter().map(|warning| warning.message);
        self.inner.warnings.note(texts.chain([reply.warning]).collect());
        Ok(took)
    }

    /// Gives a connection to a command router.
    pub(crate) fn router_connection(&self, server: &ServerUrl) -> Result<Lease> {
        let config = &self.inner.config;
        self.inner.routers.lease(server, &config.extra_roots, config.router_idle)
    }

    /// Gives the warnings that replies of the server carried so far, each once, the latest 64; each was reported to `tracing` too
    /// when it came.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.inner.warnings.all()
    }

    pub(crate) fn builder_versions(&self) -> &Mutex<HashMap<String, String>> {
        &self.inner.builder_versions
    }

    /// Makes a unary call and gives its message.
    pub(crate) async fn unary<Q, R, F, Fut>(&self, call: impl Into<Call>, message: Q, send: F) -> Result<R>
    where
        Q: Clone,
        F: Fn(ControlPlane, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        Ok(self.unary_reply(call, message, send).await?.into_inner())
    }

    /// Makes a unary call with the protocol's retries (sections 2.1 and 2.2) and one idempotency key for all tries.
    pub(crate) async fn unary_reply<Q, R, F, Fut>(
        &self,
        call: impl Into<Call>,
        message: Q,
        send: F,
    ) -> Result<Response<R>>
    where
        Q: Clone,
        F: Fn(ControlPlane, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let call = call.into();
        let (key, started) = (Uuid::new_v4(), Instant::now());
        let (mut attempts, mut token_refused) = (Attempts::default(), false);
        let stub = self.stub()?;
        loop {
            let token = self.token().await?;
            let mut request = Request::new(message.clone());
            *request.metadata_mut() = self.metadata(&call, &token);
            attempts.describe(request.metadata_mut(), key, started.elapsed());
            let status = match limited(call.per_try, request, |request| send(stub.clone(), request)).await {
                Ok(reply) => {
                    self.inner.warnings.note(warning::read(reply.metadata()));
                    return Ok(reply);
                }
                Err(status) => status,
            };
            if status.code() == Code::Unauthenticated && !token_refused {
                token_refused = true;
                self.inner.token.forget(&token).await;
                continue;
            }
            let cap = self.inner.config.max_throttle_wait;
            match retry::next_pause(&call.policy, cap, &mut attempts, &status) {
                Some(pause) => self.pause(&call, &attempts, &status, pause).await,
                None => return Err(status::error(call.operation, &status)),
            }
        }
    }

    /// Opens a server stream. Streams carry no retry keys and are not tried again here.
    pub(crate) async fn stream<Q, R, F, Fut>(
        &self,
        call: impl Into<Call>,
        message: Q,
        send: F,
    ) -> Result<Streaming<R>>
    where
        F: Fn(ControlPlane, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<Streaming<R>>, Status>>,
    {
        let call = call.into();
        let token = self.token().await?;
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata(&call, &token);
        let reply = send(self.stub()?, request).await;
        reply.map(Response::into_inner).map_err(|status| status::error(call.operation, &status))
    }

    async fn token(&self) -> Result<MetadataValue<Ascii>> {
        let cap = self.inner.config.max_throttle_wait;
        self.inner.token.get(&self.stub()?, &self.inner.headers.for_call(), cap).await
    }

    fn metadata(&self, call: &Call, token: &MetadataValue<Ascii>) -> MetadataMap {
        let mut metadata = self.inner.headers.for_call();
        metadata.insert("x-modal-auth-token", token.clone());
        if let Some(token) = &call.sandbox_token {
            metadata.insert("x-modal-sandbox-token", token.clone());
        }
        metadata
    }

    fn stub(&self) -> Result<ControlPlane> {
        if let Some(stub) = self.inner.channel.get() {
            return Ok(stub.clone());
        }
        let channel = channel::open(&self.inner.config.server, &self.inner.config.extra_roots)?;
        let stub = ControlPlane::new(channel)
            .max_decoding_message_size(channel::MAX_MESSAGE)
            .max_encoding_message_size(channel::MAX_MESSAGE);
        Ok(self.inner.channel.get_or_init(|| stub).clone())
    }

    async fn pause(&self, call: &Call, attempts: &Attempts, status: &Status, pause: Duration) {
        let operation = call.operation.name;
        if status::requested_pause(status).is_some() && self.may_warn() {
            tracing::warn!(operation, ?pause, "the server asks to wait");
        }
        tracing::debug!(operation, code = ?status.code(), failed = attempts.failed, ?pause, "trying again");
        sleep(pause).await;
    }

    /// Says whether the last warning about waiting is long enough ago.
    fn may_warn(&self) -> bool {
        let now = Instant::now();
        let mut warned = self.inner.throttle_warned.lock().unwrap_or_else(PoisonError::into_inner);
        let due = warned.is_none_or(|last| now.duration_since(last) >= WARNING_INTERVAL);
        if due {
            *warned = Some(now);
        }
        due
    }
}

/// Makes one try; a limit is told to the server and kept here as well.
pub(crate) async fn limited<Q, T, Fut>(
    limit: Option<Duration>,
    mut request: Request<Q>,
    send: impl FnOnce(Request<Q>) -> Fut,
) -> Result<T, Status>
where
    Fut: Future<Output = Result<T, Status>>,
{
    let Some(limit) = limit else { return send(request).await };
    request.set_timeout(limit);
    let started = Instant::now();
    match timeout(limit, send(request)).await {
        Ok(Err(status)) if status.code() == Code::Cancelled && started.elapsed() >= limit => Err(late(limit)),
        Ok(reply) => reply,
        Err(_) => Err(late(limit)),
    }
}

fn late(limit: Duration) -> Status {
    Status::deadline_exceeded(format!("no answer within {limit:?}"))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.inner.config).finish_non_exhaustive()
    }
}
