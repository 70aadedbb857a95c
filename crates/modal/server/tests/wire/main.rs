//! The server over the wire, with a raw client: the traps that official clients would fall into.
//!
//! Tests that need sandboxes say why they are skipped on a host that cannot make any.

mod auth;
mod control;
mod exec;
mod files;
mod fixture;
mod listener;
mod sandbox;
