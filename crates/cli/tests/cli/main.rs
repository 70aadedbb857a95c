//! The real binary, on stores of its own. Most cases make nodes, which needs root; they say so when they are skipped.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up fails its test")]

mod cp;
mod cp_rules;
mod doctor;
mod help;
mod images;
mod names;
mod nodes;
mod run;
mod serve;
mod signals;
mod store;
mod streams;
mod terminal;
mod volumes;
mod watch;
