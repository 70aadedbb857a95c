//! The server's own error: what stops it from starting or serving.

use std::{io, net::SocketAddr, path::PathBuf};

/// Shorthand.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What stops a server from starting or serving; failures of single calls are gRPC statuses instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(clippy::error_impl_error, reason = "it is the crate's one error, always named through the crate")]
pub enum Error {
    /// A value of the configuration is wrong; the text names it and the remedy.
    #[error("{0}")]
    Config(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file of the store or of the configuration cannot be used.
    #[error("cannot use {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The server's database cannot be opened.
    #[error("cannot open the server's database")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The certificate or key cannot be used.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The engine's store cannot be opened.
    #[error("cannot open the store")]
    Engine(#[from] openlattice_engine::Error),
    /// The transport failed.
    #[error("cannot serve")]
    Serve(#[source] Box<dyn std::error::Error + Send + Sync>),
}
