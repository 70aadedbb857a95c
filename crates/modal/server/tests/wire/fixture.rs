//! A server on a store of its own, and clients for it.

use openlattice_engine::{Engine, EngineConfig, SandboxFilter};
use openlattice_modal_proto::{
    client::{self as proto, modal_client_client::ModalClientClient as ControlClient},
    task_command_router::task_command_router_client::TaskCommandRouterClient as RouterClient,
};
use openlattice_modal_server::{Access, Server, ServerConfig};
use std::{path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Adds one header to every call.
#[derive(Clone)]
pub(crate) struct Header(pub(crate) &'static str, pub(crate) String);

impl Interceptor for Header {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert(self.0, MetadataValue::try_from(&self.1).unwrap());
        Ok(request)
    }
}

pub(crate) type Control = ControlClient<Channel>;
pub(crate) type Router = RouterClient<InterceptedService<Channel, Header>>;

/// A running server.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<openlattice_modal_server::Credentials>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<openlattice_modal_server::Result<()>>,
}

impl Running {
    /// Starts on the store in `path`.
    pub(crate) async fn on(path: &Path, access: Access) -> Self {
        let mut config = ServerConfig::new(path);
        config.access = access;
        Self::start(Server::bind(config).await.unwrap())
    }

    /// Starts on the store in `path`, for anybody, on the port of a server that is gone.
    pub(crate) async fn on_port(path: &Path, port: u16) -> Self {
        let mut config = ServerConfig::new(path);
        config.access = Access::Open;
        config.listen = ([127, 0, 0, 1], port).into();
        loop {
            match Server::bind(config.clone()).await {
                // The connections of the one before are still being closed.
                Err(openlattice_modal_server::Error::Listen { .. }) => tokio::task::yield_now().await,
                server => return Self::start(server.unwrap()),
            }
        }
    }

    /// Starts on the store in `path`, where an output keeps `quota` bytes.
    pub(crate) async fn with_quota(path: &Path, quota: u64) -> Self {
        let mut engine = EngineConfig::new(path);
        engine.output_quota = quota;
        let engine = Engine::open(engine).await.unwrap();
        let mut config = ServerConfig::new(path);
        config.access = Access::Open;
        Self::start(Server::bind_on(engine, config).await.unwrap())
    }

    fn start(server: Server) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (url, port) = (server.url(), server.local_addr().port());
        let credentials = server.credentials().cloned();
        let served = tokio::spawn(server.serve(async {
            stopped.await.unwrap_or_default();
        }));
        Self { url, port, credentials, stop: Some(stop), served }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url.clone()).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn control(&self) -> Control {
        ControlClient::new(self.channel().await).max_encoding_message_size(100 << 20)
    }

    pub(crate) async fn router(&self, jwt: &str) -> Router {
        RouterClient::with_interceptor(self.channel().await, Header("authorization", format!("Bearer {jwt}")))
    }

    /// Stops it in good order.
    pub(crate) async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(20), self.served).await.expect("it stops").unwrap().unwrap();
    }

    /// Drops it in the middle of everything, as a kill does.
    pub(crate) async fn cut(self) {
        self.served.abort();
        assert!(self.served.await.unwrap_err().is_cancelled());
    }
}

/// A store that removes its sandboxes at its end.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server that anybody may call.
    pub(crate) async fn open(&self) -> Running {
        Running::on(self.path(), Access::Open).await
    }
}

impl Drop for Store {
    /// Ends what a failed test left alive. On a thread of its own, because a test's runtime cannot be waited on here.
    fn drop(&mut self) {
        let path = self.folder.path().to_owned();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let engine = Engine::open(EngineConfig::new(path)).await.unwrap();
                for info in engine.sandboxes(&SandboxFilter::default()).await.unwrap() {
                    engine.remove(&info.id).await.unwrap();
                }
            });
        });
        if ended.join().is_err() && !std::thread::panicking() {
            panic!("sandboxes were left alive");
        }
    }
}

/// An app, the image `host` and a client.
pub(crate) struct Scene {
    pub(crate) control: Control,
    pub(crate) app: String,
    pub(crate) image: String,
    pub(crate) store: Arc<Store>,
}

impl Scene {
    pub(crate) async fn new(server: &Running, store: Arc<Store>) -> Self {
        let mut control = server.control().await;
        let app = app(&mut control, "a").await;
        let image = build(&mut control, &["FROM host"]).await.image_id;
        Self { control, app, image, store }
    }

    /// A definition with nothing special that runs `command`.
    pub(crate) fn definition(&self, command: &[&str]) -> proto::Sandbox {
        proto::Sandbox {
            image_id: self.image.clone(),
            timeout_secs: 300,
            entrypoint_args: command.iter().map(|word| (*word).to_owned()).collect(),
            network_access: Some(proto::NetworkAccess { network_access_type: 1, ..Default::default() }),
            ..Default::default()
        }
    }

    pub(crate) fn request(&self, command: &[&str]) -> proto::SandboxCreateV2Request {
        let definition = Some(self.definition(command));
        proto::SandboxCreateV2Request { app_id: self.app.clone(), definition, ..Default::default() }
    }

    /// Makes a sandbox; `None`, with the reason printed, on a host that cannot.
    pub(crate) async fn create(&mut self, command: &[&str]) -> Option<Made> {
        match self.control.sandbox_create_v2(self.request(command)).await {
            Ok(reply) => Some(Made::from(reply.into_inner())),
            Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) => {
                println!("skipped: this host cannot make sandboxes: {}", status.message());
                None
            }
            Err(status) => panic!("{status:?}"),
        }
    }

    pub(crate) async fn terminate(&mut self, id: &str) {
        let request = proto::SandboxTerminateRequest { sandbox_id: id.to_owned() };
        self.control.sandbox_terminate_v2(request).await.unwrap();
    }

    pub(crate) async fn wait(&mut self, id: &str, timeout: f32) -> Option<proto::GenericResult> {
        let request = proto::SandboxWaitRequest { sandbox_id: id.to_owned(), timeout };
        self.control.sandbox_wait_v2(request).await.unwrap().into_inner().result
    }
}

/// What a create gave.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) task: String,
    pub(crate) jwt: String,
    pub(crate) url: String,
}

impl From<proto::SandboxCreateV2Response> for Made {
    fn from(reply: proto::SandboxCreateV2Response) -> Self {
        let access = reply.command_router_access.unwrap();
        Self { id: reply.sandbox_id, task: reply.task_id, jwt: access.jwt, url: access.url }
    }
}

pub(crate) async fn app(control: &mut Control, name: &str) -> String {
    let request = proto::AppGetOrCreateRequest {
        app_name: name.to_owned(),
        object_creation_type: proto::ObjectCreationType::CreateIfMissing.into(),
        ..Default::default()
    };
    control.app_get_or_create(request).await.unwrap().into_inner().app_id
}

pub(crate) async fn build(control: &mut Control, lines: &[&str]) -> proto::ImageGetOrCreateResponse {
    let dockerfile_commands = lines.iter().map(|line| (*line).to_owned()).collect();
    let image = Some(proto::Image { dockerfile_commands, ..Default::default() });
    let request = proto::ImageGetOrCreateRequest { image, ..Default::default() };
    control.image_get_or_create(request).await.unwrap().into_inner()
}

/// A text that no other call sends.
pub(crate) fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    format!("00000000-0000-4000-8000-{:012}", COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}
