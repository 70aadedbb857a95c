//! The server over the wire, with a raw client: the traps that official clients would fall into.
//!
//! Tests that need sandboxes say why they are skipped on a host that cannot make any.

#![expect(clippy::unwrap_used, reason = "a test that meets an unexpected None or Err stops right there")]
#![expect(clippy::print_stdout, reason = "a skip prints its reason")]

mod auth;
mod control;
mod exec;
mod files;
mod fixture;
mod image;
mod listener;
mod reach;
mod sandbox;
mod volume;
