//! The development tasks of OpenLattice; `cargo xtask` is the only menu.
//!
//! Everything here runs other programs (cargo, the official Modal clients, the `lattice` binary) and reads what they
//! say. It depends on two small parsers only, so that it builds in seconds on a clean checkout.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks on its terminal")]

mod bench;
mod clients;
mod codegen;
mod cycles;
mod deny;
mod docs;
mod drift;
mod failure;
mod interop;
mod layering;
mod leaks;
mod lint;
mod menu;
mod metadata;
mod plant;
mod process;
mod program;
mod record;
mod registries;
mod restart;
mod rows;
mod server;
mod soak;
mod spdx;
mod stage;
mod test;
mod trace;
mod transcript;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match menu::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
