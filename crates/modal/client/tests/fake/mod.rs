//! A server of Modal's protocol for tests: it speaks the real wire on a free port, remembers what it was asked, and fails
//! as it is told to. It runs nothing.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test code of which each binary uses a part; only functions marked as tests are exempt by themselves"
)]

mod control;
mod router;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::modal_client_server::ModalClientServer;
use openlattice_modal_proto::task_command_router::task_command_router_server::TaskCommandRouterServer;
use openlattice_modal_proto::task_command_router::{
    TaskExecStartRequest, task_exec_wait_response::ExitStatus,
};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

/// One call that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: &'static str,
    pub metadata: BTreeMap<String, String>,
    /// The client's end of the connection.
    pub peer: Option<SocketAddr>,
}

/// A sandbox that was asked for.
#[derive(Debug, Clone)]
pub struct Created {
    pub id: String,
    pub definition: wire::Sandbox,
    pub tags: BTreeMap<String, String>,
    pub sources: Vec<wire::SecretSource>,
    pub ended: bool,
}

/// What one kind of command does.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

/// What the server remembers and what it shall do.
#[derive(Debug, Default)]
pub struct State {
    pub seen: Vec<Seen>,
    pub faults: HashMap<&'static str, VecDeque<Status>>,
    /// The number of the router token that is accepted; a call for access gives the next one.
    pub jwt: u32,
    pub created: Vec<Created>,
    pub stored: Vec<HashMap<String, String>>,
    pub started: Vec<TaskExecStartRequest>,
    /// Standard output of every command.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Bytes after which the next output streams break.
    pub cuts: VecDeque<usize>,
    pub asked_offsets: Vec<u64>,
    pub stdin: Vec<u8>,
    pub stdin_closed: bool,
    /// Bytes after which the next input streams break.
    pub stdin_cuts: VecDeque<usize>,
    pub exit: Option<ExitStatus>,
    /// Commands with an end and output of their own, by a text in one of their arguments.
    pub scripts: Vec<(&'static str, Script)>,
    /// How every sandbox of generation 1 ended before it had a machine.
    pub never_scheduled: Option<wire::GenericResult>,
    /// Whether commands run for ever.
    pub hold_waits: bool,
    pub end_trailer: Option<&'static str>,
    /// Images that were asked for.
    pub images: Vec<wire::Image>,
    /// Log streams of the next build; without one a build succeeds at once.
    pub build: VecDeque<Vec<wire::ImageJoinStreamingResponse>>,
    pub joined_from: Vec<String>,
    /// Log streams of generation 1, and from where they were asked for.
    pub logs: VecDeque<Vec<wire::TaskLogsBatch>>,
    pub logs_from: Vec<String>,
    /// Bytes of a main process's output that are no longer kept.
    pub forgotten: usize,
    /// What replies of `AppGetOrCreate` and `ClientHello` warn of.
    pub warning: Option<&'static str>,
    /// Networks that sandboxes were given while they ran.
    pub networks: Vec<wire::NetworkAccess>,
    /// Whether a list begins anew with each page.
    pub ignores_pages: bool,
    /// Whether create replies carry a sandbox token that cannot be sent.
    pub bad_token_on_create: bool,
    /// Whether create replies carry access to the router.
    pub access_on_create: bool,
}

/// The server; dropping it ends it.
#[derive(Debug)]
pub struct Fake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
    serving: JoinHandle<()>,
}

/// What the services share.
#[derive(Debug, Clone)]
pub struct Service {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
}

impl Fake {
    /// Listens on a free port and serves.
    pub async fn start() -> Self {
        Self::on(Server::builder()).await
    }

    /// As [`start`](Self::start), behind TLS with this identity.
    pub async fn start_with_tls(identity: Identity) -> Self {
        let tls = ServerTlsConfig::new().identity(identity);
        Self::on(Server::builder().tls_config(tls).unwrap()).await
    }

    async fn on(mut server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { exit: Some(ExitStatus::Code(0)), ..State::default() }));
        let released = Arc::new(Notify::new());
        let service = Service { address, state: Arc::clone(&state), released: Arc::clone(&released) };
        let serving = server
            .add_service(ModalClientServer::new(service.clone()))
            .add_service(TaskCommandRouterServer::new(service).max_decoding_message_size(100 << 20))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, state, released, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets the next calls of a method fail, one status each.
    pub fn fail(&self, method: &'static str, statuses: impl IntoIterator<Item = Status>) {
        self.state().faults.entry(method).or_default().extend(statuses);
    }

    /// The calls of a method so far.
    pub fn calls(&self, method: &str) -> Vec<Seen> {
        self.state().seen.iter().filter(|seen| seen.method == method).cloned().collect()
    }

    /// Lets the waits go on that were held.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// Refuses the router token in use from now on.
    pub fn revoke(&self) {
        self.state().jwt += 1;
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Service {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Remembers a call and fails it if that was asked for.
    fn enter<T>(&self, method: &'static str, request: &Request<T>) -> Result<(), Status> {
        let text = |value: &tonic::metadata::AsciiMetadataValue| value.to_str().unwrap().to_owned();
        let metadata = request.metadata().iter().filter_map(|entry| match entry {
            tonic::metadata::KeyAndValueRef::Ascii(key, value) => Some((key.to_string(), text(value))),
            tonic::metadata::KeyAndValueRef::Binary(..) => None,
        });
        let seen = Seen { method, metadata: metadata.collect(), peer: request.remote_addr() };
        let mut state = self.state();
        state.seen.push(seen);
        match state.faults.get_mut(method).and_then(VecDeque::pop_front) {
            // The good status lets a call through.
            Some(status) if status.code() != tonic::Code::Ok => Err(status),
            _ => Ok(()),
        }
    }

    /// As [`enter`](Self::enter), for the router: the token must be the one that is accepted.
    fn enter_router<T>(&self, method: &'static str, request: &Request<T>) -> Result<(), Status> {
        self.enter(method, request)?;
        let wanted = format!("Bearer jwt-{}", self.state().jwt);
        let given = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if given == Some(&wanted) { Ok(()) } else { Err(Status::unauthenticated("the token is not valid")) }
    }

    /// Access to the router: a new token and the address that official clients take.
    fn access(&self) -> (String, String) {
        (format!("https://{}", self.address), format!("jwt-{}", self.state().jwt))
    }
}

/// Answers calls that no test needs. Written out as `async_trait` would, since it does not look into macros.
macro_rules! refused {
    ($($name:ident: $request:ty => $reply:ty;)*) => {$(
        fn $name<'life, 'future>(
            &'life self,
            _: tonic::Request<$request>,
        ) -> std::pin::Pin<
            Box<dyn Future<Output = Result<tonic::Response<$reply>, tonic::Status>> + Send + 'future>,
        >
        where
            'life: 'future,
            Self: 'future,
        {
            Box::pin(async { Err(tonic::Status::unimplemented(stringify!($name))) })
        }
    )*};
}
pub(crate) use refused;
