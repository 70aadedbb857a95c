//! The behaviour suite that every OpenLattice provider passes.
//!
//! One test per behaviour of the contract, named after the row of the mission (`m13_...`) or the promise (`g4_...`) that it proves. The suite
//! knows only the contract. Capabilities decide in both directions: what a provider claims must work, and what it does
//! not claim must be refused as `Unsupported`, with the field's name, before anything is made.
//!
//! One call runs it, from a test without a harness. In the provider's `Cargo.toml`:
//!
//! ```toml
//! [[test]]
//! name = "conformance"
//! harness = false
//! ```
//!
//! and the whole of `tests/conformance.rs`, here for the provider of the local engine:
//!
//! ```no_run
//! use std::sync::Arc;
//! use openlattice_conformance::{Candidate, Settings};
//! use openlattice_local::LocalProvider;
//!
//! fn main() -> std::process::ExitCode {
//!     openlattice_conformance::run(async || {
//!         let provider = LocalProvider::open("/tmp/conformance-store").await?;
//!         Ok(Candidate::new(Arc::new(provider), Settings::new("local", "host")))
//!     })
//! }
//! ```
//!
//! The judgements themselves, in a program:
//!
//! ```
//! use std::sync::Arc;
//! use openlattice_conformance::{Candidate, Judgement, Settings, judge};
//! use openlattice_local::LocalProvider;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if !rustix::process::geteuid().is_root() {
//! #     println!("skip: nodes on this machine need root");
//! #     return Ok(());
//! # }
//! let store = tempfile::tempdir()?;
//! let provider = LocalProvider::open(store.path()).await?;
//! let candidate = Candidate::new(Arc::new(provider), Settings::new("local", "host")).keeping(store);
//! for judged in judge(candidate, &["m13_a_non_zero_exit", "m21_an_unknown"]).await {
//!     assert_eq!(judged.judgement, Judgement::Holds, "{}", judged.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `cargo test --test conformance` runs all behaviours, `cargo test --test conformance m13` some. A program that looks at the judgements
//! itself uses [`judge`]. Where a service behind a provider is known to differ, the differences are data: see [`Differences`].
//!
//! Images must have `/bin/sh`, `cat`, `chmod`, `dd`, `env`, `head`, `id`, `ln`, `ls`, `mkdir`, `printf`, `pwd`, `sleep` and `true`; where ports
//! are claimed, one without `perl` leaves the test that reaches a port unjudged.
//! The usual arguments of a test binary work (a filter, `--list`, `--test-threads`). A test that cannot be judged is reported as ignored, with its
//! reason. Each test ends the sandboxes that it made, and fails where one stays.

mod behaviour;
mod candidate;
mod case;
mod difference;
mod judge;
mod runner;
mod verdict;

pub use candidate::{Candidate, Settings};
pub use difference::Differences;
pub use judge::{Judged, Judgement, judge};
pub use runner::run;
