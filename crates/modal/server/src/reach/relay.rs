//! Connections from a listener to a port inside a sandbox.

use openlattice_engine::{Engine, SandboxId};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Most connections of one listener at once; more wait in the listener's queue.
const MOST_CONNECTIONS: usize = 256;
/// How long a TLS handshake, and a connection inside, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener and where its connections lead.
pub(super) struct Relay {
    pub(super) listener: TcpListener,
    /// Ends TLS here.
    pub(super) tls: TlsAcceptor,
    /// Number inside the sandbox.
    pub(super) port: u16,
}

impl Relay {
    /// Relays until told to stop; then every connection is closed, since each would hold the sandbox's network.
    pub(super) async fn run(
        self,
        engine: Engine,
        id: SandboxId,
        connections: Arc<Semaphore>,
        until: CancellationToken,
    ) {
        let own = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept([&own, &connections]) => accepted,
                () = until.cancelled() => return,
            };
            let Some((outside, permits)) = accepted else { return };
            let (engine, id, until) = (engine.clone(), id.clone(), until.clone());
            let (tls, port) = (self.tls.clone(), self.port);
            drop(tokio::spawn(async move {
                let relayed = tokio::select! {
                    relayed = relay(&engine, &id, port, outside, tls) => relayed,
                    () = until.cancelled() => Ok(()),
                };
                if let Err(error) = relayed {
                    tracing::debug!(%error, sandbox = %id, port, "connection to a port");
                }
                drop(permits);
            }));
        }
    }

    /// The next connection and its right to exist; `None` never comes while the semaphores are open.
    async fn accept(&self, bounds: [&Arc<Semaphore>; 2]) -> Option<(TcpStream, [OwnedSemaphorePermit; 2])> {
        let [own, all] = bounds.map(|bound| Arc::clone(bound).acquire_owned());
        let permits = [own.await.ok()?, all.await.ok()?];
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return Some((stream, permits)),
                // Out of descriptors, or the peer is gone already: neither ends the listener.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept for a port");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

async fn relay(
    engine: &Engine,
    id: &SandboxId,
    port: u16,
    outside: TcpStream,
    tls: TlsAcceptor,
) -> io::Result<()> {
    outside.set_nodelay(true)?;
    let mut outside = patiently(tls.accept(outside)).await?;
    let mut inside = inside(engine, id, port).await?;
    copy_bidirectional(&mut outside, &mut inside).await.map(drop)
}

async fn inside(engine: &Engine, id: &SandboxId, port: u16) -> io::Result<TcpStream> {
    let stream = patiently(async { engine.connect(id, port).await.map_err(io::Error::other) }).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
