//! One server on one store for all cases, and what its engine says is there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openlattice_engine::{Engine, EngineConfig, SandboxFilter, SandboxInfo, SandboxState};
use openlattice_modal::{ModalConfig, ModalProvider};
use openlattice_modal_server::{Credentials, Server, ServerConfig};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::fault::{Fault, Plan};
use crate::proxy::Proxy;
use crate::{Failure, Result};

/// The label by which the sandboxes of a case are found.
pub(crate) const CASE: &str = "case";

const UNDONE: Duration = Duration::from_secs(20);

/// The server and its store.
pub(crate) struct World {
    engine: Engine,
    server: SocketAddr,
    credentials: Credentials,
    stop: oneshot::Sender<()>,
    served: JoinHandle<openlattice_modal_server::Result<()>>,
    store: TempDir,
    kept: Mutex<Vec<Path>>,
}

/// A client's way to the server, with a fault on it.
pub(crate) struct Path {
    pub(crate) plan: Arc<Plan>,
    pub(crate) provider: Arc<ModalProvider>,
    _proxy: Proxy,
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// Starts a server that is configured further.
    pub(crate) async fn start_with(configure: impl FnOnce(&mut ServerConfig)) -> Result<Self> {
        let store = tempfile::tempdir().map_err(Failure::of("make a folder"))?;
        let engine =
            Engine::open(EngineConfig::new(store.path())).await.map_err(Failure::of("open the store"))?;
        let mut config = ServerConfig::new(store.path());
        configure(&mut config);
        let server = Server::bind_on(engine.clone(), config).await;
        let server = server.map_err(Failure::of("start the server"))?;
        let credentials = server.credentials().cloned().expect("a server makes a pair by itself");
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(server.serve(async move { stopped.await.unwrap_or_default() }));
        Ok(Self { engine, server: address, credentials, stop, served, store, kept: Mutex::default() })
    }

    /// Makes a client of its own, with a proxy of its own before it.
    pub(crate) async fn path(&self, fault: Fault, second_generation: bool) -> Result<Path> {
        let plan = Arc::new(Plan::new(fault));
        let proxy =
            Proxy::start(self.server, Arc::clone(&plan)).await.map_err(Failure::of("start a proxy"))?;
        let mut config = ModalConfig::new(self.credentials.id.as_str(), self.credentials.secret.as_str())
            .with_server_url(proxy.url());
        config.sandbox_v2 = Some(second_generation);
        let provider = Arc::new(config.build()?);
        Ok(Path { plan, provider, _proxy: proxy })
    }

    /// Gives the sandboxes of a case, ended ones too, as the store knows them.
    pub(crate) async fn all(&self, case: &str) -> Result<Vec<SandboxInfo>> {
        let tags = BTreeMap::from([(CASE.to_owned(), case.to_owned())]);
        let filter = SandboxFilter { tags, include_ended: true, ..SandboxFilter::default() };
        self.engine.sandboxes(&filter).await.map_err(Failure::of("list the store"))
    }

    /// Gives the ids of a case's sandboxes that have not ended.
    pub(crate) async fn alive(&self, case: &str) -> Result<Vec<String>> {
        let all = self.all(case).await?.into_iter();
        Ok(all.filter(is_alive).map(|info| info.id.to_string()).collect())
    }

    /// Waits until nothing at all is alive.
    async fn quiet(&self) -> Result<()> {
        let living = SandboxFilter::default();
        while !self.engine.sandboxes(&living).await.map_err(Failure::of("list the store"))?.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Keeps a client's way to the server open until the world ends.
    pub(crate) fn keep(&self, path: Path) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// Stops the server, then removes what is left; gives the ids of what was still alive.
    pub(crate) async fn end(self) -> Result<Vec<String>> {
        // What is still being undone in the background has this long.
        timeout(UNDONE, self.quiet()).await.unwrap_or(Ok(()))?;
        drop(self.stop);
        self.served.await.map_err(Failure::of("stop"))?.map_err(Failure::of("stop"))?;
        let living = self.engine.sandboxes(&SandboxFilter::default()).await;
        let living = living.map_err(Failure::of("list the store"))?;
        for info in &living {
            self.engine.remove(&info.id).await.map_err(Failure::of("remove a sandbox"))?;
        }
        self.store.close().map_err(Failure::of("remove the store"))?;
        Ok(living.iter().map(|info| info.id.to_string()).collect())
    }
}

fn is_alive(info: &SandboxInfo) -> bool {
    !matches!(info.state, SandboxState::Ended(_))
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("server", &self.server).finish_non_exhaustive()
    }
}
