//! What a server is started with.

use crate::record::Recorder;
use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

/// How to start a [`crate::Server`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The store's folder; the same one that the engine uses.
    pub state_dir: PathBuf,
    /// Where to listen. Default `127.0.0.1:0`: loopback, any free port.
    pub listen: SocketAddr,
    /// Who may call. Default: one generated pair, kept in the store.
    pub access: Access,
    /// Host name or address that clients are told to reach the command router at. Default: the listening address, or
    /// for `0.0.0.0` and `::` the name under which the client reached the control plane.
    pub advertise: Option<String>,
    /// Certificate and key. Default: a self-signed pair, kept in the store.
    pub tls: Option<TlsFiles>,
    /// How long the tokens hold that it signs, in whole seconds and at least one. Default: an hour for the control plane, a quarter
    /// of an hour for the command router of a sandbox.
    pub token_life: Option<Duration>,
    /// Receives what every call looks like, for tests. Default: nobody does.
    pub recorder: Option<Recorder>,
}

impl ServerConfig {
    /// Defaults for the store in `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            access: Access::default(),
            advertise: None,
            tls: None,
            token_life: None,
            recorder: None,
        }
    }
}

/// Who may call the control plane.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// The holder of one pair that is made once and kept in the store, in a file that only its owner reads.
    #[default]
    Generated,
    /// Holders of one of these pairs.
    Pairs(Vec<Credentials>),
    /// Anybody who reaches the port. Only a loopback address may be served so.
    Open,
}

/// A token pair as Modal's clients send it. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `MODAL_TOKEN_ID`.
    pub id: String,
    /// `MODAL_TOKEN_SECRET`.
    pub secret: String,
}

impl Credentials {
    /// A pair; both texts must not be empty, which [`crate::Server::bind`] checks.
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Files in PEM form.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
