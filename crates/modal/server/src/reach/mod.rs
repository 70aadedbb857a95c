//! How living sandboxes are reached from outside: TLS listeners for their ports, and the probes that say that they are ready.
//!
//! What was asked is kept with the sandbox, the numbers of the listeners in the server's database. Listeners and probes
//! themselves live in this process: a successor makes them again, each server of a store its own. Plain ports are the
//! engine's, and answer without a server.

mod asked;
mod listen;
mod probe;
mod relay;

pub(crate) use asked::Asked;

use crate::{control::Note, shared::Shared, tls::Acceptors};
use openlattice_engine::{Engine, ErrorKind, SandboxFilter, SandboxId, SandboxInfo};
use openlattice_modal_proto::client::TunnelData;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Most connections to ports of all sandboxes at once; each holds two descriptors and enters a network.
const MOST_CONNECTIONS: usize = 2048;
/// Pause before the end of a sandbox is waited for again when that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether a sandbox is ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Readiness {
    /// Its probe has not passed yet, or it has none.
    Waiting,
    /// Its probe passed then, in Unix seconds.
    Since(f64),
}

/// What this process does for one living sandbox.
#[derive(Debug)]
pub(crate) struct Reached {
    /// The ways to its ports.
    pub(crate) tunnels: Vec<TunnelData>,
    readiness: watch::Receiver<Readiness>,
}

impl Reached {
    /// Waits until the probe has passed; `None` when it never will, because the sandbox has ended.
    pub(crate) async fn ready(&self) -> Option<f64> {
        let mut readiness = self.readiness.clone();
        let passed = readiness.wait_for(|now| matches!(now, Readiness::Since(_))).await.ok()?;
        match *passed {
            Readiness::Since(at) => Some(at),
            Readiness::Waiting => None,
        }
    }
}

/// The sandboxes that this process makes reachable.
pub(crate) struct Reach {
    table: Mutex<HashMap<SandboxId, Arc<Reached>>>,
    tls: Acceptors,
    connections: Arc<Semaphore>,
    cut: CancellationToken,
    /// Every task holds a receiver, so that the end of all of them can be waited for.
    tasks: watch::Sender<()>,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").finish_non_exhaustive()
    }
}

impl Reach {
    pub(crate) fn new(tls: Acceptors) -> Self {
        Self {
            table: Mutex::default(),
            tls,
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            cut: CancellationToken::new(),
            tasks: watch::Sender::new(()),
        }
    }

    /// Ends everything here when cancelled.
    pub(crate) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Waits until nothing runs here any more; after [`cut`](Self::cut).
    pub(crate) async fn over(&self) {
        self.tasks.closed().await;
    }

    /// The ways to the ports of a sandbox, as far as this process has made them.
    pub(crate) async fn tunnels(&self, id: &SandboxId) -> Vec<TunnelData> {
        self.table.lock().await.get(id).map(|reached| reached.tunnels.clone()).unwrap_or_default()
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let running = self.tasks.subscribe();
        drop(tokio::spawn(async move {
            work.await;
            drop(running);
        }));
    }
}

/// Makes a living sandbox reachable, once.
pub(crate) async fn attach(shared: &Arc<Shared>, info: &SandboxInfo) -> Result<Arc<Reached>, Status> {
    let asked = Note::of(info).reach;
    let (sender, readiness) = watch::channel(Readiness::Waiting);
    if asked.is_empty() || !info.is_living() {
        return Ok(Arc::new(Reached { tunnels: Vec::new(), readiness }));
    }
    let reach = &shared.reach;
    let mut table = reach.table.lock().await;
    if let Some(reached) = table.get(&info.id) {
        return Ok(reached.clone());
    }
    let listeners = listen::open(&shared.state, &shared.engine, &info.id, &asked.ports).await?;
    let tunnels = listeners.iter().map(listen::Listening::tunnel).collect();
    let reached = Arc::new(Reached { tunnels, readiness });
    table.insert(info.id.clone(), reached.clone());
    let until = reach.cut.child_token();
    for listening in listeners {
        let relay = listening.relay(&reach.tls);
        let (engine, id) = (shared.engine.clone(), info.id.clone());
        let (connections, until) = (reach.connections.clone(), until.clone());
        reach.spawn(async move { relay.run(engine, id, connections, until).await });
    }
    if let Some(probe) = asked.probe {
        let (shared, id, until) = (shared.clone(), info.id.clone(), until.clone());
        reach.spawn(async move { probe::run(shared, id, probe, sender, until).await });
    }
    let (shared, id) = (shared.clone(), info.id.clone());
    reach.spawn(async move { detach_at_end(shared, id, until).await });
    drop(table);
    Ok(reached)
}

/// Gives up what is there for a sandbox once it has ended.
async fn detach_at_end(shared: Arc<Shared>, id: SandboxId, until: CancellationToken) {
    tokio::select! {
        () = ended(&shared.engine, &id) => {}
        () = until.cancelled() => return,
    }
    until.cancel();
    shared.reach.table.lock().await.remove(&id);
    if let Err(error) = shared.state.forget_ports(id.as_str()).await {
        tracing::warn!(%error, "cannot forget the port numbers of a sandbox");
    }
}

async fn ended(engine: &Engine, id: &SandboxId) {
    loop {
        match engine.wait(id, None).await {
            Ok(_) => return,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => tracing::warn!(%error, "cannot wait for the end of a sandbox"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes the living sandboxes of the store reachable again, after a start.
pub(crate) async fn restore(shared: Arc<Shared>) {
    if let Err(error) = restore_all(&shared).await {
        tracing::warn!(%error, "cannot listen for the ports of earlier sandboxes");
    }
}

async fn restore_all(shared: &Arc<Shared>) -> Result<(), Status> {
    let living = shared.engine.sandboxes(&SandboxFilter::default()).await;
    let living = living.map_err(crate::status::from_engine)?;
    let ids: HashSet<String> = living.iter().map(|info| info.id.to_string()).collect();
    shared.state.keep_ports_of(ids).await?;
    for info in living {
        if let Err(error) = attach(shared, &info).await {
            tracing::warn!(%error, sandbox = %info.id, "cannot listen for the ports of a sandbox");
        }
    }
    Ok(())
}
