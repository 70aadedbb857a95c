//! The OpenLattice contract: compute nodes through one trait.
//!
//! A *node* is an isolated place to run commands (a sandbox). A program asks a [`ComputeProvider`] for one
//! and does not care who supplies the machine:
//!
//! - [`ComputeProvider`] is the object-safe trait that every provider implements. Its documentation is the
//!   contract: what each call requires, and how it behaves.
//! - [`ComputeProviderExt`] adds what follows from it: [`run`](ComputeProviderExt::run) (start a command and
//!   collect it) and [`Node`], a handle that carries provider and id together.
//! - [`ProvisionSpec`], [`ExecSpec`] and [`SnapshotSpec`] say what is wanted; [`SandboxInfo`], [`ExecResult`],
//!   [`ExecStatus`], [`SnapshotRef`] and [`Health`] say what was observed. They serialise in camel case and
//!   refuse unknown fields by name.
//! - [`Capabilities`] say what a provider offers. What it does not offer is refused as
//!   [`ErrorKind::Unsupported`] by [`Capabilities::check_provision`] and its siblings before anything is
//!   sent; a field is never ignored.
//! - [`Error`] carries a kind, whether a retry is safe, and what was attempted on what.
//! - [`Extensions`] hold powers beyond the trait, found by the trait that describes them: [`Files`],
//!   [`Network`], [`Tags`], [`Volumes`], [`Metrics`], and whatever a provider adds.
//!
//! ```
//! use std::sync::Arc;
//! use openlattice::{ComputeProvider, ComputeProviderExt, ExecSpec, ProvisionSpec, Result};
//!
//! async fn greet(provider: Arc<dyn ComputeProvider>) -> Result<String> {
//!     let node = provider.provision_node(ProvisionSpec::new("host").with_max_seconds(60)).await?;
//!     let result = node.run(ExecSpec::new(["printf", "%s", "good day"])).await?;
//!     node.destroy().await?;
//!     Ok(result.stdout_text().into_owned())
//! }
//! ```
//!
//! The crate does no input or output, starts no task, reads no environment, and needs no runtime.

mod capability;
mod check;
mod error;
mod exec;
mod extension;
mod file_content;
mod file_time;
mod file_watch;
mod files;
mod gpu;
mod health;
mod id;
mod info;
mod metrics;
mod network;
mod node;
mod placement;
mod provider;
mod resources;
mod result;
mod run;
mod secret;
mod session;
mod snapshot;
mod spec;
mod stdin;
mod tags;
mod timestamp;
mod volumes;

pub use async_trait::async_trait;
pub use bytes::Bytes;

pub use capability::{
    Capabilities, Constraints, ExecCapabilities, ExtensionCapabilities, FileCapabilities,
    IdentityCapabilities, LifetimeCapabilities, LimitCapabilities, NetworkCapabilities,
    PlacementCapabilities, PolicyChanges, RuntimeCapabilities, SnapshotCapabilities,
};
pub use check::Operation;
pub use error::{Error, ErrorKind, Result, Retry, Subject};
pub use exec::{ExecOptions, ExecSpec, OnDrop, PtySize};
pub use extension::Extensions;
pub use file_content::FileContent;
pub use file_time::FileTime;
pub use file_watch::{FileEvent, FileEventKind, FileWatch, WatchOptions};
pub use files::{FileInfo, FileKind, Files, ListOptions, NodeFiles, WriteOptions};
pub use gpu::{Gpu, GpuType};
pub use health::Health;
pub use id::{ExecId, SandboxId};
pub use info::{EndReason, GcReport, ListFilter, Owner, SandboxEnd, SandboxInfo, SandboxState};
pub use metrics::{Metrics, Usage};
pub use network::{Network, NetworkPolicy, NetworkSpec, NodeNetwork, PortKind, PortSpec, PortUrl};
pub use node::{Node, NodeRef};
pub use placement::Placement;
pub use provider::ComputeProvider;
pub use resources::{Lifetime, Resources, VolumeMount};
pub use result::{ExecEnd, ExecResult, ExecStatus, ExitStatus, Signal};
pub use run::{Callbacks, ComputeProviderExt};
pub use secret::{Env, Secret, SecretSource};
pub use session::{DropReason, Dropped, ExecSession, OutputChunk, OutputReader, OutputStream, StdinStatus};
pub use snapshot::{SnapshotKind, SnapshotRef, SnapshotSpec};
pub use spec::{Attachment, ProvisionSpec, Readiness, RegistryCredentials, Runtime};
pub use stdin::Stdin;
pub use tags::{NodeTags, Tags};
pub use timestamp::Timestamp;
pub use volumes::{VolumeInfo, Volumes};
