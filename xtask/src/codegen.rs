//! `codegen`: the Rust code of Modal's protocol subset, made from the .proto files.

use std::fs;
use std::path::Path;

use crate::failure::{Attempted, Failure, Result};
use crate::program;
use crate::workspace::Workspace;

const GENERATED: &str = "crates/modal/proto/src/generated";

/// Writes the generated code anew.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    generate(workspace, &workspace.root().join(GENERATED))
}

/// Fails if the committed code is not what the .proto files give.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let fresh = workspace.target().join("codegen-check");
    generate(workspace, &fresh)?;
    let committed = workspace.root().join(GENERATED);
    let names = names(&fresh)?;
    for name in &names {
        if read(&fresh.join(name))? != read(&committed.join(name))? {
            let text =
                format!("{GENERATED}/{name} is not what the .proto files give; run cargo xtask codegen");
            return Err(Failure::new(text));
        }
    }
    Ok(format!("{} generated files are what the .proto files give", names.len()))
}

/// Runs the generator, a package of its own outside the workspace: only this task pays for a protobuf compiler.
fn generate(workspace: &Workspace, out: &Path) -> Result<()> {
    fs::create_dir_all(out).attempted(format!("could not make {}", out.display()))?;
    let mut command = workspace.cargo();
    command
        .args(["run", "--quiet", "--locked", "--manifest-path", "xtask/codegen/Cargo.toml", "--target-dir"])
        .arg(workspace.target())
        .arg("--")
        .arg(workspace.root().join("crates/modal/proto/proto"))
        .arg(out);
    program::run(&mut command)
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).attempted(format!("could not list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.attempted(format!("could not list {}", folder.display()))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).attempted(format!("could not read {}", file.display()))
}
