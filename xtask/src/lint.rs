//! Formatting and clippy, warnings denied.

use std::process::Command;

use crate::failure::Result;
use crate::program;
use crate::workspace::Workspace;

/// Packages that are no members of the workspace: the agent, the code generator, the program that uses us from outside.
const OUTSIDE: [&str; 3] = ["crates/engine/agent", "xtask/codegen", "tests/outside"];

/// Checks the formatting of every package, then runs clippy on every target.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    program::run(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    for folder in OUTSIDE {
        program::run(of(workspace, "fmt", folder).arg("--check"))?;
    }
    let warnings = ["--", "-D", "warnings"];
    program::run(workspace.cargo().args(["clippy", "--workspace", "--all-targets"]).args(warnings))?;
    for folder in OUTSIDE {
        program::run(
            of(workspace, "clippy", folder).arg("--target-dir").arg(workspace.target()).args(warnings),
        )?;
    }
    Ok(())
}

/// A cargo command for a package outside the workspace.
fn of(workspace: &Workspace, command: &str, folder: &str) -> Command {
    let manifest = workspace.root().join(folder).join("Cargo.toml");
    let mut cargo = workspace.cargo();
    cargo.arg(command).arg("--manifest-path").arg(manifest);
    cargo
}
