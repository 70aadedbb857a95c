//! A proxy between one client and the server that knows where frames begin, and does what its plan says.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::fault::{LATE, Line, Plan, Verdict, Way};
use crate::frame::{self, Frame, PREFACE};

/// A listening proxy; its connections break when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// Both ends' addresses. The server names its own for the command router: the proxy puts its own there, which is as long,
/// so that no length in a message changes.
#[derive(Clone, Copy, Debug)]
struct Route {
    server: SocketAddr,
    proxy: SocketAddr,
}

impl Proxy {
    pub(crate) async fn start(server: SocketAddr, plan: Arc<Plan>) -> io::Result<Self> {
        let (listener, address) = listen(server).await?;
        let route = Route { server, proxy: address };
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if !plan.refuses() {
                    connections.spawn(connection(client, route, Arc::clone(&plan)));
                }
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, accepting })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Listens on a free port whose number has as many digits as the server's.
async fn listen(server: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        if address.to_string().len() == server.to_string().len() {
            return Ok((listener, address));
        }
    }
}

/// Carries one connection until either end, or the plan, ends it.
async fn connection(client: TcpStream, route: Route, plan: Arc<Plan>) -> io::Result<()> {
    let server = TcpStream::connect(route.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let carrier = Carrier {
        route,
        plan,
        line: Mutex::default(),
        sent: Mutex::default(),
        to_client: tokio::sync::Mutex::new(to_client),
        to_server: tokio::sync::Mutex::new(to_server),
    };
    tokio::select! {
        ended = carrier.carry_to_server(from_client) => ended,
        ended = carrier.carry_to_client(from_server) => ended,
    }
}

struct Carrier {
    route: Route,
    plan: Arc<Plan>,
    line: Mutex<Line>,
    /// What went to the server, where the plan repeats it.
    sent: Mutex<Vec<u8>>,
    to_client: tokio::sync::Mutex<OwnedWriteHalf>,
    to_server: tokio::sync::Mutex<OwnedWriteHalf>,
}

impl Carrier {
    async fn carry_to_server(&self, mut from: OwnedReadHalf) -> io::Result<()> {
        let mut next = frame::exactly(&mut from, PREFACE).await?;
        while let Some(frame) = next {
            if !self.pass(Way::ToServer, frame).await? {
                // What the client still sends is read, since a reset could overtake what it was sent.
                while from.read(&mut [0; 4096]).await? > 0 {}
                return Ok(());
            }
            next = frame::next(&mut from).await?;
        }
        Ok(())
    }

    async fn carry_to_client(&self, mut from: OwnedReadHalf) -> io::Result<()> {
        while let Some(mut frame) = frame::next(&mut from).await? {
            if frame.is_data() {
                self.redirect(&mut frame);
            }
            if !self.pass(Way::ToClient, frame).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts the proxy's address in the place of the server's.
    fn redirect(&self, frame: &mut Frame) {
        let (server, proxy) = (self.route.server.to_string(), self.route.proxy.to_string());
        let found = frame.0.windows(server.len()).position(|window| window == server.as_bytes());
        if let Some(at) = found {
            frame.0[at..at + proxy.len()].copy_from_slice(proxy.as_bytes());
        }
    }

    /// Does what the plan says with a frame; says whether the connection goes on.
    async fn pass(&self, way: Way, frame: Frame) -> io::Result<bool> {
        let verdict = {
            let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
            self.plan.judge(way, &frame, &mut line)
        };
        match verdict {
            Verdict::Pass => self.send(way, &frame.0).await?,
            Verdict::Late => {
                sleep(LATE).await;
                self.send(way, &frame.0).await?;
            }
            Verdict::Swallow => {}
            Verdict::Repeat(stream) => {
                self.repeat(stream).await?;
                self.send(way, &frame.0).await?;
            }
            Verdict::Cut(part) => {
                self.send(way, &frame.0[..part]).await?;
                self.to_client.lock().await.shutdown().await?;
                return Ok(false);
            }
            Verdict::Answer(bytes) => {
                self.send(Way::ToClient, &bytes).await?;
                self.to_client.lock().await.shutdown().await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends everything to the server once more, and reads until it has answered the call on the stream.
    async fn repeat(&self, stream: u32) -> io::Result<()> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner));
        let mut again = TcpStream::connect(self.route.server).await?;
        again.write_all(&sent).await?;
        while let Some(frame) = frame::next(&mut again).await? {
            if frame.end_of() == Some(stream) {
                break;
            }
        }
        Ok(())
    }

    async fn send(&self, way: Way, bytes: &[u8]) -> io::Result<()> {
        if way == Way::ToServer && self.plan.repeats() {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
        let to = match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        };
        to.lock().await.write_all(bytes).await
    }
}
