//! The OpenLattice contract over Modal sandboxes.
//!
//! [`ModalProvider`] offers compute nodes on Modal's cloud, GPUs included, or on any server that speaks Modal's protocol, such as
//! this project's own `lattice serve`. It is built from a [`ModalConfig`]:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use openlattice_modal::contract::{Callbacks, ComputeProvider, ComputeProviderExt, ExecSpec, ProvisionSpec};
//! use openlattice_modal::{ModalConfig, ModalProvider};
//!
//! # async fn example() -> openlattice_modal::contract::Result<()> {
//! let provider: Arc<ModalProvider> = Arc::new(ModalConfig::from_env()?.build()?);
//! let made = provider.provision(ProvisionSpec::new("python:3.12-slim")).await?;
//! let result = provider.run(&made.id, ExecSpec::new(["python", "-V"]), Callbacks::none()).await?;
//! assert_eq!(result.exit_code(), 0);
//! provider.destroy(&made.id).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Capabilities describe the server that the configuration names. Modal's own offers GPUs, registries and filtered
//! networks; of another server only what this project's server gives is declared, and the rest is refused before anything is sent.
//!
//! [`operations`] has an example for each call.
//!
//! What is not here: the wire (`openlattice-modal-client`), retries beyond the wire's own (`openlattice-layers`).

mod account;
mod capability;
mod claim;
mod config;
mod end;
mod error;
mod exec;
mod files;
mod gc;
mod gpu;
mod health;
mod image;
mod inspect;
mod key;
mod lease;
mod list;
mod made;
mod network;
mod output;
mod owner;
mod plan;
mod provider;
mod provision;
mod secret;
mod session;
mod setup;
mod snapshot;
mod tag;
mod tags;
mod tailnet;
mod volumes;

#[doc = include_str!("operations.md")]
pub mod operations {}

/// The contract that the provider implements.
pub use openlattice as contract;

pub use config::ModalConfig;
pub use provider::{ModalProvider, PROVIDER_NAME};
