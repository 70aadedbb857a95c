//! The OpenLattice contract over the local engine: sandboxes on this machine, no account and no daemon.
//!
//! ```no_run
//! use std::sync::Arc;
//! use openlattice::{ComputeProviderExt, ExecSpec, ProvisionSpec};
//! use openlattice_local::LocalProvider;
//!
//! # async fn example() -> openlattice::Result<()> {
//! let provider = Arc::new(LocalProvider::open("/var/lib/my-program/nodes").await?);
//! let node = provider.provision_node(ProvisionSpec::new("host")).await?;
//! let result = node.run(ExecSpec::new(["uname", "-n"])).await?;
//! assert_eq!(result.exit_code(), 0);
//! node.destroy().await
//! # }
//! ```
//!
//! A provider is a handle on a store folder. Any number of processes may have one on the same folder; each sees the
//! sandboxes of all, those of `lattice` and of `lattice serve` included. What this crate does not do: isolation, storage
//! and output, which are the engine's.
//!
//! Calls need a tokio runtime. [`operations`] has an example for each of them.

mod capability;
mod config;
mod error;
mod exec;
mod files;
mod info;
mod key;
mod network;
mod note;
mod owner;
mod pending;
mod provider;
mod provision;
mod removal;
mod session;
mod tags;
mod volumes;

#[doc = include_str!("operations.md")]
pub mod operations {}

pub use config::LocalConfig;
pub use provider::{LocalProvider, PROVIDER_NAME};
pub use removal::Removal;
