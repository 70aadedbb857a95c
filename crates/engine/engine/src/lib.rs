//! The daemonless sandbox engine.
//!
//! A sandbox is a folder in a store plus one process, its agent. Any number of processes may open the same store at once
//! ([`Engine::open`]), see each other's sandboxes, and be killed at any moment.

#[path = "../../agent/src/protocol.rs"]
#[allow(dead_code, unreachable_pub, reason = "one file serves the agent and the engine; each uses its half")]
mod protocol;

mod agent;
mod cgroup;
mod check;
mod clock;
mod config;
mod connect;
mod engine;
mod error;
mod exec;
mod files;
mod id;
mod idmap;
mod image;
mod launch;
mod lifecycle;
mod ports;
mod probe;
mod rootfs;
mod sandbox;
mod seccomp;
mod store;
mod volume;
mod watch;

pub use check::{StoreFinding, StoreReport};
pub use config::{EngineConfig, GcReport, GcSpec};
pub use engine::Engine;
pub use error::{Error, ErrorKind, Result};
pub use exec::{
    DropReason, ExecEnd, ExecSpec, ExecState, OutputReader, OutputStream, StdinState, TerminalSize,
};
pub use files::{
    FileAttributes, FileEvent, FileEventKind, FileKind, FileReader, FileStat, FileWatch, Files, WatchSpec,
};
pub use id::{ExecId, ImageId, SandboxId, VolumeId};
pub use image::{ImageInfo, OnProgress, PullSpec, RegistryCredentials, SnapshotSpec};
pub use openlattice_sys::keep_freed_memory;
pub use ports::{PublishPort, PublishedPort};
pub use probe::Probe;
pub use rootfs::MINIMAL_KERNEL;
pub use sandbox::{
    EndReason, Limits, NetworkMode, Owner, SandboxEnd, SandboxFilter, SandboxInfo, SandboxSpec, SandboxState,
};
pub use volume::{VolumeInfo, VolumeMount, VolumeSpec};
