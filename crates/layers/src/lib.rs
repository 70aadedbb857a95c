//! Wrappers around an OpenLattice provider.
//!
//! A layer is put over a provider and is a provider itself, with the same name, capabilities and extensions:
//!
//! - [`RetryLayer`] repeats what failed, where the error says that this is safe and the call can be repeated.
//! - [`TimeoutLayer`] bounds how long each call may take.
//! - [`LimitLayer`] bounds how many calls run at once, and how many sandboxes are asked for in a second.
//! - [`TraceLayer`] reports each call to [`tracing`].
//! - [`FaultLayer`] makes chosen calls fail, for tests of programs that must cope.
//!
//! ```
//! use std::sync::Arc;
//! use openlattice::ComputeProvider;
//! use openlattice_layers::{Layer as _, LimitLayer, RetryLayer, TimeoutLayer, TraceLayer};
//!
//! /// What a long-running service puts over its provider. The last one is the outermost.
//! fn hardened(provider: Arc<dyn ComputeProvider>) -> Arc<dyn ComputeProvider> {
//!     let provider = Arc::new(LimitLayer::default().with_provisions_per_second(5.0).over(provider));
//!     let provider = Arc::new(TimeoutLayer::default().over(provider));
//!     let provider = Arc::new(RetryLayer::default().over(provider));
//!     Arc::new(TraceLayer.over(provider))
//! }
//! ```
//!
//! In that order every attempt has its own deadline and counts against the limit, and a trace shows what the caller saw. With
//! [`TimeoutLayer`] outside of [`RetryLayer`] the deadline covers all attempts together.
//!
//! Sessions, their readers, and the extensions [`Files`](openlattice::Files), [`Network`](openlattice::Network) and
//! [`Metrics`](openlattice::Metrics) are covered too; an extension that a provider adds is passed through as it is. Dropping a
//! layer's future drops the provider's, so cancelling works as it does without layers.
//!
//! A layer of one's own is an implementation of [`Layer`]: one function that all calls go through.

mod about;
mod answer;
mod call;
mod content;
mod extension;
mod fault;
mod layer;
mod limit;
mod provider;
mod reader;
mod retry;
mod session;
mod timeout;
mod trace;

#[cfg(test)]
mod double;

pub use about::{About, Repeat};
pub use answer::Answer;
pub use call::Call;
pub use fault::{Fault, FaultLayer, Moment};
pub use layer::{BoxFuture, Layer, Layered};
pub use limit::LimitLayer;
pub use retry::RetryLayer;
pub use timeout::TimeoutLayer;
pub use trace::TraceLayer;
