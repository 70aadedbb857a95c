//! One request on a connection of its own.
//!
//! A pull is a handful of requests, most of them long: a pool of connections would save nothing that is worth its state.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::Address;

/// How long a connection, and the head of an answer, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the registry is told of who asks.
const AGENT: &str = concat!("openlattice/", env!("CARGO_PKG_VERSION"));

/// The certificate authorities of the Mozilla list, as of the crate's version.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.expect("the provider has the default versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
});

/// An answer whose body is still to be read. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: http::response::Parts,
    pub(super) body: Incoming,
    /// Ends the task that drives the connection.
    _connection: Connection,
}

/// Ends a connection's task when dropped.
#[derive(Debug)]
pub(super) struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks for `address` with GET. Redirects are not followed.
pub(super) async fn get(
    address: &Address,
    accept: Option<&str>,
    authorization: Option<&HeaderValue>,
) -> io::Result<Answer> {
    let slow = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer for 30 seconds");
    timeout(PATIENCE, exchange(address, accept, authorization)).await.map_err(slow)?
}

async fn exchange(
    address: &Address,
    accept: Option<&str>,
    authorization: Option<&HeaderValue>,
) -> io::Result<Answer> {
    let request = request(address, accept, authorization)?;
    let tcp = TcpStream::connect((address.authority.host.as_str(), address.port())).await?;
    if !address.tls {
        return send(tcp, request).await;
    }
    let name = ServerName::try_from(address.authority.host.clone()).map_err(io::Error::other)?;
    let tls = TlsConnector::from(Arc::clone(&TLS)).connect(name, tcp).await?;
    send(tls, request).await
}

fn request(
    address: &Address,
    accept: Option<&str>,
    authorization: Option<&HeaderValue>,
) -> io::Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(&address.path).header(HOST, address.host()).header(USER_AGENT, AGENT);
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.body(Empty::new()).map_err(io::Error::other)
}

async fn send<S>(stream: S, request: Request<Empty<Bytes>>) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    // What the connection dies of, the answer or its body reports.
    let task = tokio::spawn(async move { drop(connection.await) });
    let connection = Connection(task.abort_handle());
    let response: Response<Incoming> = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    Ok(Answer { head, body, _connection: connection })
}
