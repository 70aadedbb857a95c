//! The documentation of every crate, built with warnings denied.

use crate::failure::Result;
use crate::program;
use crate::workspace::Workspace;

/// Builds the documentation of our own crates; a broken link or a missing text fails.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings");
    program::run(&mut cargo)
}
