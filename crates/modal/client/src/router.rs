//! The command router of one sandbox: its connection and its calls (protocol sections 1.6, 2.3 and 2.4).

mod access;
mod connections;

use std::fmt;
use std::time::Duration;

use openlattice_modal_proto::task_command_router::TaskExecStdinWriteStreamRequest;
use openlattice_modal_proto::task_command_router::task_command_router_client::TaskCommandRouterClient;
use tokio::time::{Instant, sleep};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::client::limited;
use crate::error::Result;
use crate::headers::Attempts;
use crate::retry::{self, Policy, ROUTER};
use crate::sandbox::Sandbox;
use crate::status::{self, Operation};
use crate::upload::{Prepared, Transport};
use access::AccessCache;

pub(crate) use access::Source;
pub(crate) use connections::{Connections, Lease};

/// The generated client of a command router.
pub(crate) type RouterStub = TaskCommandRouterClient<Transport>;

/// One sandbox's command router. The connection is made at the first call, with access asked for where it is not given.
pub(crate) struct Router {
    sandbox_id: String,
    task_id: String,
    access: AccessCache,
}

/// One call: what it is, how often it is tried and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouterCall {
    operation: Operation,
    policy: Policy,
    per_try: Option<Duration>,
    in_all: Option<Duration>,
}

impl From<Operation> for RouterCall {
    fn from(operation: Operation) -> Self {
        Self { operation, policy: ROUTER, per_try: None, in_all: None }
    }
}

impl RouterCall {
    /// Bounds each try; a try that takes longer counts as failed and is tried again by the policy.
    pub(crate) fn within(mut self, per_try: Duration) -> Self {
        self.per_try = Some(per_try);
        self
    }

    /// Bounds all tries together; what takes longer has timed out for good.
    pub(crate) fn in_all(mut self, limit: Duration) -> Self {
        self.in_all = Some(limit);
        self
    }

    /// Does without retries, but for a refused token and a pause that the server asks for.
    pub(crate) fn once(mut self) -> Self {
        self.policy.retries = 0;
        self
    }

    /// Says whether a status ends a call that has one deadline for all tries.
    fn is_over(&self, status: &Status) -> bool {
        let over = matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled);
        self.in_all.is_some() && over && !status::is_lost(status)
    }
}

impl Router {
    /// Makes a router whose access is asked for at the first call.
    pub(crate) fn new(sandbox: &Sandbox, task_id: &str) -> Self {
        let access = AccessCache::new(sandbox.router_source(task_id));
        Self { sandbox_id: sandbox.id().to_owned(), task_id: task_id.to_owned(), access }
    }

    /// Makes a router with the access that a create reply carried.
    pub(crate) fn with_access(sandbox: &Sandbox, task_id: &str, url: String, jwt: String) -> Result<Self> {
        let access = AccessCache::with(sandbox.router_source(task_id), &url, jwt)?;
        Ok(Self { sandbox_id: sandbox.id().to_owned(), task_id: task_id.to_owned(), access })
    }

    pub(crate) fn task_id(&self) -> &str {
        &self.task_id
    }

    pub(crate) fn sandbox_id(&self) -> &str {
        &self.sandbox_id
    }

    /// Makes a unary call with the protocol's retries; one refused token per try is renewed.
    pub(crate) async fn unary<Q, R, F, Fut>(
        &self,
        call: impl Into<RouterCall>,
        message: Q,
        send: F,
    ) -> Result<Response<R>>
    where
        Q: Clone,
        F: Fn(RouterStub, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<R>, Status>>,
    {
        let call = call.into();
        let started = Instant::now();
        let (mut attempts, mut renewed) = (Attempts::default(), false);
        loop {
            let left = call.in_all.map(|limit| limit.saturating_sub(started.elapsed()));
            let limit = [call.per_try, left].into_iter().flatten().min();
            let (lease, bearer) = self.access.get().await?;
            let request = authorised(message.clone(), &bearer);
            let status = match limited(limit, request, |request| send(lease.stub.clone(), request)).await {
                Ok(reply) => return Ok(reply),
                Err(status) => status,
            };
            if status.code() == Code::Unauthenticated && !renewed {
                renewed = true;
                self.access.renew(&bearer).await?;
                continue;
            }
            if call.is_over(&status) {
                return Err(status::error(call.operation, &status));
            }
            match retry::next_pause(&call.policy, self.throttle_cap(), &mut attempts, &status) {
                Some(pause) => sleep(pause).await,
                None => return Err(status::error(call.operation, &status)),
            }
            renewed = false;
        }
    }

    /// Opens a stream once, to be read while the lease is held. The caller decides about another try, since it knows how far it got.
    pub(crate) async fn stream<Q, R, F, Fut>(
        &self,
        message: Q,
        send: F,
    ) -> Result<Result<(Streaming<R>, Lease), Refused>>
    where
        F: Fn(RouterStub, Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<Streaming<R>>, Status>>,
    {
        let (lease, bearer) = self.access.get().await?;
        let reply = send(lease.stub.clone(), authorised(message, &bearer)).await;
        Ok(reply.map(|reply| (reply.into_inner(), lease)).map_err(|status| Refused { status, bearer }))
    }

    /// Sends the messages of an input stream once.
    pub(crate) async fn send_input(
        &self,
        messages: impl Iterator<Item = TaskExecStdinWriteStreamRequest> + Send + Unpin + 'static,
    ) -> Result<Result<(), Refused>> {
        let (lease, bearer) = self.access.get().await?;
        let mut request = authorised(tokio_stream::empty(), &bearer);
        request.extensions_mut().insert(Prepared::new(messages));
        let reply = lease.stub.clone().task_exec_stdin_write_stream(request).await;
        Ok(reply.map(|_taken| ()).map_err(|status| Refused { status, bearer }))
    }

    /// Replaces the token that was refused, unless another call has done so already.
    pub(crate) async fn renew(&self, refused: &MetadataValue<Ascii>) -> Result<()> {
        self.access.renew(refused).await
    }

    /// The most that one call waits because the server asks it to.
    pub(crate) fn throttle_cap(&self) -> Option<Duration> {
        self.access.throttle_cap()
    }

    /// Gives the token in use, to be named in [`renew`](Self::renew) when it is refused later.
    pub(crate) async fn bearer(&self) -> Result<MetadataValue<Ascii>> {
        Ok(self.access.get().await?.1)
    }
}

/// A stream that was not opened: the status, and the token that was used.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) status: Status,
    pub(crate) bearer: MetadataValue<Ascii>,
}

fn authorised<Q>(message: Q, bearer: &MetadataValue<Ascii>) -> Request<Q> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("sandbox_id", &self.sandbox_id)
            .field("task_id", &self.task_id)
            .finish_non_exhaustive()
    }
}
