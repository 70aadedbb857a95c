//! Modal's sandbox protocol served on the local engine.
//!
//! [`Server`] answers Modal's two gRPC services, the control plane (`modal.client.ModalClient`) and the command router
//! (`modal.task_command_router.TaskCommandRouter`), on one port, in TLS and in plaintext, so that Modal's official
//! clients work unchanged against a store on this machine. What the engine does not offer is refused by name; nothing
//! that a request asks for is left out in silence.
//!
//! What is not here: sandboxes, images, output, files. Those are `openlattice-engine`'s. All state is in the store, so
//! that a server may be killed at any moment and the next one on the same store answers the same ids.

mod auth;
mod build;
mod config;
mod control;
mod deadline;
mod error;
mod front;
mod ids;
mod keys;
mod listener;
mod reach;
mod record;
mod result;
mod router;
mod server;
mod shared;
mod state;
mod status;
mod terminal;
mod tls;
mod trailers;

pub use config::{Access, Credentials, ServerConfig, TlsFiles};
pub use error::{Error, Result};
pub use record::{RecordedCall, Recorder};
pub use server::Server;
