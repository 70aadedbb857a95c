//! Measurements. Goals are gates of `--check` only; they are never asserts in tests.

mod client;
mod contender;
mod gate;
mod memory;
mod table;

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;
use crate::{clients, program};

/// Runs the benchmark that the arguments name.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["engine"] => engine(workspace, false),
        ["engine", "--check"] => engine(workspace, true),
        ["client"] => client::measure(workspace, false),
        ["client", "--check"] => client::measure(workspace, true),
        other => Err(Failure::new(format!("no benchmark {:?} (there are: engine, client)", other.join(" ")))),
    }
}

/// The engine and whole processes of `lattice` beside crun, bubblewrap and a plain spawn, as they are shipped.
fn engine(workspace: &Workspace, check: bool) -> Result<()> {
    if !clients::is_root() {
        return Err(Failure::new(
            "the engine benchmark needs root: crun with limits and the engine's own limits do",
        ));
    }
    clients::system_program("crun")?;
    clients::bubblewrap()?;
    program::run(workspace.cargo().args([
        "build",
        "--quiet",
        "--profile",
        "dist",
        "--package",
        "openlattice-cli",
    ]))?;
    let mut cargo = workspace.cargo();
    cargo.env("OPENLATTICE_BENCH_LATTICE", workspace.shipped("lattice"));
    cargo.args([
        "bench",
        "--quiet",
        "--profile",
        "dist",
        "--package",
        "openlattice-engine",
        "--bench",
        "engine",
        "--",
    ]);
    if check {
        cargo.arg("--check");
    }
    program::run(&mut cargo)
}
