//! Pull of an image from its registry, by the OCI distribution specification.
//!
//! Own code on the HTTP and TLS libraries that the tree has anyway: the specification's client crate brings some fifty crates
//! more, follows the environment's proxies, and reads manifests of any length into memory.

mod address;
mod auth;
mod body;
mod client;
mod error;
mod pull;
mod reference;
mod send;

pub use auth::Credentials;
pub use error::PullError;
pub use pull::{Progress, Pulled, pull};
pub use reference::{InvalidReference, Reference};
