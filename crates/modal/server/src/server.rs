//! The server: bound to an address, then serving until told to stop.

use crate::{
    auth::Guard,
    build::Builds,
    config::{Access, Credentials, ServerConfig},
    error::{Error, Result},
    front::Front,
    keys, listener,
    reach::{self, Reach},
    router::{
        files::{FileExecs, SWEEP},
        stdin::StdinStreams,
    },
    shared::Shared,
    state::State,
    tls,
};
use openlattice_engine::{Engine, EngineConfig};
use std::{fmt, future::Future, net::SocketAddr, path::Path, pin::pin, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Flow-control window of a connection, as the clients set theirs.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// That of a stream: so much of what a call has sent and nobody has taken yet is held in memory. On one machine more makes
/// nothing faster.
const STREAM_WINDOW: u32 = 4 << 20;
/// Largest frame that is taken: with the default of 16 KiB, input costs a wake-up and a system call per 16 KiB.
const FRAME: u32 = 1 << 20;
/// How long calls have to end by themselves once the server stops.
const GRACE: Duration = Duration::from_secs(3);
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(30);

/// Modal's two services, bound to an address and ready to [`serve`](Self::serve).
///
/// It holds nothing that a successor on the same store does not find again: it may be killed at any moment.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared>,
    credentials: Option<Credentials>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the store of `config` and listens. Calls wait until [`serve`](Self::serve) runs.
    ///
    /// # Errors
    /// [`Error::Config`] for an open server on an address that is not loopback and for empty credentials,
    /// [`Error::Listen`], [`Error::Engine`], [`Error::File`], [`Error::Tls`] and [`Error::Database`] by their cause.
    pub async fn bind(config: ServerConfig) -> Result<Self> {
        check(&config)?;
        let engine = Engine::open(EngineConfig::new(&config.state_dir)).await?;
        Self::bind_on(engine, config).await
    }

    /// As [`bind`](Self::bind), on an engine that is open already; it must be of `config.state_dir`.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub async fn bind_on(engine: Engine, config: ServerConfig) -> Result<Self> {
        check(&config)?;
        let folder = keys::folder(&config.state_dir)?;
        let pairs = accepted(&config.access, &folder)?;
        let guard = Guard::new(pairs.clone(), &keys::key(&folder.join("jwt.key"))?);
        let guard = guard.with_life(config.token_life);
        let state = State::open(&config.state_dir.join("modal.db"), keys::key(&folder.join("secrets.key"))?)?;
        let tls = tls::acceptors(&folder, config.tls.as_ref())?;
        let failed = |source| Error::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            engine,
            state,
            guard,
            file_execs: FileExecs::new(folder.join("files")),
            stdin_streams: StdinStreams::default(),
            reach: Reach::new(tls.clone()),
            builds: Builds::new(folder.join("builds")),
            stopping: CancellationToken::new(),
            address,
            advertise: config.advertise,
            recorder: config.recorder,
        };
        let credentials = pairs.and_then(|pairs| pairs.into_iter().next());
        Ok(Self { listener, tls: tls.server, shared: Arc::new(shared), credentials })
    }

    /// The address it listens on, with the real port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// What `MODAL_SERVER_URL` is set to by clients on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.shared.address;
        if address.ip().is_unspecified() {
            address.set_ip([127, 0, 0, 1].into());
        }
        format!("http://{address}")
    }

    /// A pair that is accepted; `None` when anybody is.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Serves until `shutdown` completes. Calls under way have three seconds then: waits and streams end at once with
    /// `UNAVAILABLE`, which clients retry. Dropping the future cuts every connection. Sandboxes and commands go on
    /// either way; their published ports are listened on while this runs.
    ///
    /// # Errors
    /// [`Error::Serve`] when the transport fails.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let stopping = self.shared.stopping.clone();
        let cut = CancellationToken::new();
        let guard = cut.clone().drop_guard();
        let shared = self.shared.clone();
        let unreached = shared.reach.cut().drop_guard();
        let unbuilt = shared.builds.cut().drop_guard();
        shared.engine.keep_tidy();
        tokio::spawn(sweep(self.shared.clone(), cut.clone()));
        tokio::spawn(reach::restore(self.shared.clone()));
        let incoming = listener::accept(self.listener, self.tls, stopping.clone(), cut.clone());
        let served = tonic::transport::Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(10_000)
            .http2_keepalive_interval(Some(PING_INTERVAL))
            .http2_keepalive_timeout(Some(PING_TIMEOUT))
            .serve_with_incoming_shutdown(
                Front::new(self.shared),
                incoming,
                stopping.clone().cancelled_owned(),
            );
        let mut served = pin!(served);
        tokio::select! {
            ended = &mut served => return ended.map_err(|error| Error::Serve(error.into())),
            () = shutdown => stopping.cancel(),
        }
        let ended = match tokio::time::timeout(GRACE, &mut served).await {
            Ok(ended) => ended,
            Err(_) => {
                drop(guard);
                served.await
            }
        };
        drop((unreached, unbuilt));
        shared.reach.over().await;
        shared.builds.over().await;
        ended.map_err(|error| Error::Serve(error.into()))
    }
}

/// Removes old output of file operations and what killed builds have left, now and then, until the server is cut.
async fn sweep(shared: Arc<Shared>, cut: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = cut.cancelled() => return,
        }
        shared.builds.sweep(&shared.engine).await;
        let shared = shared.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || shared.file_execs.sweep()).await {
            tracing::warn!(%error, "cannot look for old output");
        }
    }
}

fn check(config: &ServerConfig) -> Result<()> {
    match &config.access {
        Access::Open if !config.listen.ip().is_loopback() => Err(Error::Config(format!(
            "a server without credentials must listen on a loopback address, not {}; listen on 127.0.0.1 or require credentials",
            config.listen
        ))),
        _ if config.token_life.is_some_and(|life| life < Duration::from_secs(1)) => {
            Err(Error::Config("token_life is below a second; leave it out or give whole seconds".to_owned()))
        }
        Access::Pairs(pairs)
            if pairs.is_empty() || pairs.iter().any(|pair| pair.id.is_empty() || pair.secret.is_empty()) =>
        {
            Err(Error::Config("credentials must not be empty; give a token id and a token secret".to_owned()))
        }
        _ => Ok(()),
    }
}

fn accepted(access: &Access, folder: &Path) -> Result<Option<Vec<Credentials>>> {
    match access {
        Access::Open => Ok(None),
        Access::Pairs(pairs) => Ok(Some(pairs.clone())),
        Access::Generated => keys::credentials(&folder.join("token")).map(|pair| Some(vec![pair])),
    }
}
