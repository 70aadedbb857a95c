//! Connections: one to the control plane, one to each command router.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tower::ServiceExt;

use crate::error::Error;
use crate::one_write::OneWrite;
use crate::server_url::ServerUrl;

/// The largest message in either direction (protocol section 1.3).
pub(crate) const MAX_MESSAGE: usize = 100 << 20;
/// The window of a stream and of a connection. Well below what our own server keeps of an output behind its reader (32 MiB): what is lost
/// with a connection is still there to be asked for again.
const WINDOW: u32 = 16 << 20;
/// The largest frame that we take. The default of 16 KiB costs a wake-up and a system call per 16 KiB of output.
const FRAME: u32 = 1 << 20;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepares a connection. It is made at the first call and made again when it breaks.
pub(crate) fn open(server: &ServerUrl, extra_roots: &[Vec<u8>]) -> Result<Channel, Error> {
    let unusable =
        |error: tonic::transport::Error| Error::config(format!("cannot use {server}")).with_source(error);
    let mut endpoint = Endpoint::from_shared(server.to_string())
        .and_then(|endpoint| {
            endpoint.user_agent(concat!("openlattice-modal-client/", env!("CARGO_PKG_VERSION")))
        })
        .map_err(unusable)?
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    if server.tls {
        let roots = extra_roots.iter().map(Certificate::from_pem);
        let tls = ClientTlsConfig::new().with_webpki_roots().ca_certificates(roots);
        endpoint = endpoint.tls_config(tls).map_err(unusable)?;
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Divided among the addresses of a name; the endpoint's own is for all of them and TLS together.
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let tcp = tcp.map_response(|stream| TokioIo::new(OneWrite::new(stream.into_inner())));
    Ok(endpoint.connect_with_connector_lazy(tcp))
}
