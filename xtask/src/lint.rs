//! Formatting and clippy, warnings denied.

use crate::failure::Result;
use crate::program;
use crate::workspace::Workspace;

/// Checks the formatting of every crate, then runs clippy on every target.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    program::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    let mut clippy = workspace.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    program::run(&mut clippy)
}
