//! A client for Modal sandboxes.
//!
//! Modal has official clients for Python, JavaScript and Go; this is one for Rust, for sandboxes: apps, images, sandboxes of
//! both generations, commands, their input and output, files, snapshots. It speaks to Modal's own service or to any server of the
//! same protocol, such as the local one of this project. It uses tokio, gRPC over rustls, and nothing of the system's.
//!
//! ```no_run
//! use openlattice_modal_client::{Client, Config, ExecSpec, IfMissing, ImageSpec, OutputStream, SandboxSpec};
//!
//! # async fn example() -> openlattice_modal_client::Result<()> {
//! let client = Client::new(Config::from_env()?)?;
//! let app = client.app("example", IfMissing::Create).await?;
//! let image = client.build_image(&app, &ImageSpec::from_registry("python:3.12-slim"), |_| ()).await?;
//! let sandbox = client.create_sandbox(&app, &SandboxSpec::new(image)).await?;
//! let exec = sandbox.exec(&ExecSpec::new(["python", "-c", "print(6 * 7)"])).await?;
//! let mut stdout = exec.output(OutputStream::Stdout, 0);
//! while let Some(chunk) = stdout.read().await? {
//!     assert_eq!(chunk, "42\n");
//! }
//! exec.wait().await?;
//! sandbox.terminate().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Retries inside a call are the protocol's own; beyond them an [`Error`] says its [`ErrorKind`] and whether trying again is
//! safe ([`Retry`]). Tokens and environment values never show in `Debug`, errors or logs.
//!
//! [`operations`] has an example for each of them.
//!
//! What is not here: functions, classes, queues, dicts, uploads of local folders into images, memory snapshots, sidecars.

mod app;
mod channel;
mod client;
mod config;
mod error;
mod exec;
mod files;
mod headers;
mod image;
mod jwt;
mod one_write;
mod output;
mod retry;
mod router;
mod sandbox;
mod secret;
mod server_url;
mod status;
mod stored_secret;
mod token;
mod upload;
mod volume;
mod warning;

#[doc = include_str!("operations.md")]
pub mod operations {}

pub use app::{App, Environment, IfMissing};
pub use client::Client;
pub use config::{Config, DEFAULT_SERVER_URL};
pub use error::{Error, ErrorKind, Result, Retry};
pub use exec::{ErrorOutput, Exec, ExecEnd, ExecSpec, ExecStatus, KillReason, PtySize, StdinStatus};
pub use files::{FileEntry, FileEvent, FileEventKind, FileReader, FileType, FileWatch, WatchSpec};
pub use image::{ImageId, ImageSpec};
pub use output::{DropReason, Dropped, Output, OutputStream};
pub use sandbox::{
    EndReason, Generation, Gpu, MainOutput, MainStdin, NetworkAccess, Port, PortKind, ReadinessProbe,
    Resources, Sandbox, SandboxEnd, SandboxFilter, SandboxSpec, SandboxStatus, SandboxSummary, SnapshotLife,
    Tunnel, VolumeMount,
};
pub use secret::Secret;
pub use stored_secret::{SecretId, SecretSource};
pub use volume::Volume;
