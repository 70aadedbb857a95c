//! Sandboxes: made, found, watched and ended.

mod create;
mod definition;
mod end;
mod generation;
mod list;
mod lookup;
mod main_output;
mod main_stdin;
mod network;
mod ready;
mod snapshot;
mod spec;
mod tags;
mod task;
mod tunnels;

use std::fmt;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tonic::metadata::{Ascii, MetadataValue};

use crate::client::{Call, Client};
use crate::error::Result;
use crate::exec::{Exec, ExecSpec};
use crate::router::Router;
use crate::status::Operation;

pub(crate) use definition::{secret_sources, whole_seconds};
pub use end::{EndReason, SandboxEnd, SandboxStatus};
pub use generation::Generation;
pub use list::{SandboxFilter, SandboxSummary};
pub use main_output::MainOutput;
pub use main_stdin::MainStdin;
pub use snapshot::SnapshotLife;
pub use spec::{Gpu, NetworkAccess, Port, PortKind, ReadinessProbe, Resources, SandboxSpec, VolumeMount};
pub use tunnels::Tunnel;

/// A handle to one sandbox. Cheap to clone; clones share the connection to its command router.
///
/// Dropping it does nothing to the sandbox.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    id: String,
    generation: Generation,
    /// A capability that some create replies carry.
    token: Option<MetadataValue<Ascii>>,
    /// What the server wanted to be told to the user when it made the sandbox.
    warnings: Vec<String>,
    task_id: OnceCell<String>,
    router: OnceCell<Arc<Router>>,
}

impl Client {
    /// Makes a handle to a sandbox known by its id; nothing is sent.
    #[must_use]
    pub fn sandbox(&self, id: &str) -> Sandbox {
        Sandbox::new(self.clone(), id, None, Vec::new())
    }
}

impl Sandbox {
    fn new(client: Client, id: &str, token: Option<MetadataValue<Ascii>>, warnings: Vec<String>) -> Self {
        let inner = Inner {
            client,
            id: id.to_owned(),
            generation: Generation::of_id(id),
            token,
            warnings,
            task_id: OnceCell::new(),
            router: OnceCell::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Gives the id, `sb-...`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Gives the warnings with which the server made the sandbox; none on a handle made from an id.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.inner.warnings
    }

    /// Gives the generation, which the shape of the id tells.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.inner.generation
    }

    /// Starts a command and returns once it runs.
    ///
    /// The argument vector, variables and working directory travel as data: no shell is involved. When the future is dropped the
    /// command may run or not; starting the same [`ExecSpec`] with the same id again does not run it twice.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the sandbox has ended or never was;
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty argument vector, and usually for a program that does not exist.
    pub async fn exec(&self, spec: &ExecSpec) -> Result<Exec> {
        Exec::start(self.router().await?, spec).await
    }

    /// Makes a handle to a command started earlier, by its id; whether it exists shows at the first call.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the sandbox has ended or never was.
    pub async fn attach(&self, exec_id: &str) -> Result<Exec> {
        Ok(Exec::new(self.router().await?, exec_id, None))
    }

    fn client(&self) -> &Client {
        &self.inner.client
    }

    fn call(&self, operation: Operation) -> Call {
        Call::from(operation).with_sandbox_token(self.inner.token.clone())
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("id", &self.inner.id).finish_non_exhaustive()
    }
}

/// Sends one request to the V1 or the V2 name of a call; both share their messages.
macro_rules! by_generation {
    ($sandbox:expr, $v1:literal $first:ident, $v2:literal $second:ident, $request:expr $(, $limit:expr)?) => {{
        use $crate::sandbox::Generation;
        use $crate::status::Operation;
        let sandbox: &$crate::sandbox::Sandbox = $sandbox;
        let operation = match sandbox.generation() {
            Generation::V1 => Operation::repeatable($v1),
            Generation::V2 => Operation::repeatable($v2),
        };
        let call = sandbox.call(operation)$(.within($limit))?;
        let generation = sandbox.generation();
        let send = move |mut stub: $crate::client::ControlPlane, request| async move {
            match generation {
                Generation::V1 => stub.$first(request).await,
                Generation::V2 => stub.$second(request).await,
            }
        };
        sandbox.client().unary(call, $request, send).await
    }};
}
pub(crate) use by_generation;
