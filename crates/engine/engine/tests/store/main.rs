//! The engine for real: needs root and a kernel that can; elsewhere every test prints why it is skipped.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of this is tests: they stop where something is wrong, and say what they skip"
)]

mod support;

mod check;
mod connect;
mod crash;
mod exec;
mod files;
mod flow;
mod gc;
mod image;
mod lifecycle;
mod ports;
mod pull;
mod smoke;
mod volumes;
mod watch;
