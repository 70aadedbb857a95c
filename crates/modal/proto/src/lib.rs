//! Modal's sandbox protocol: our subset and its generated code.
//!
//! Two gRPC services: [`client`] is the control plane (`modal.client.ModalClient`), [`task_command_router`] the
//! data plane of one sandbox (`modal.task_command_router.TaskCommandRouter`). The .proto files in this crate's
//! `proto` folder hold the subset that sandboxes need; `cargo xtask codegen` turns them into the committed code,
//! and `cargo xtask drift` compares them with the descriptors inside the official Python package.
//!
//! Messages that carry tokens, environment values, keys or a stream's bytes hide them in `Debug`.
//!
//! What is not here: connections, retries, meaning. Those are `openlattice-modal-client`'s and
//! `openlattice-modal-server`'s.

mod debug;

/// Holds the messages, client and server of the control plane, `modal.client.ModalClient`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    let_underscore_drop,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code"
)]
#[rustfmt::skip]
pub mod client {
    include!("generated/modal.client.rs");
}

/// Holds the messages, client and server of a sandbox's command router, `modal.task_command_router.TaskCommandRouter`.
#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    let_underscore_drop,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code"
)]
#[rustfmt::skip]
pub mod task_command_router {
    include!("generated/modal.task_command_router.rs");
}

pub use prost_types::{Any, FileDescriptorSet, Timestamp};

/// The subset as an encoded `google.protobuf.FileDescriptorSet`, for the drift check and for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");
