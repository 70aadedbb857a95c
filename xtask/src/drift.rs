//! `drift`: our protocol subset against the descriptors inside the official Python package.

use std::path::PathBuf;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::program;
use crate::workspace::Workspace;

/// The release that our subset describes; `check.py` refuses any other.
const PINNED: &str = "modal==1.6.4";

/// Fails on any message, field, enum value or method of the subset that differs from the official one.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let python = python(workspace)?;
    let proto = workspace.root().join("crates/modal/proto");
    let mut command = Command::new(python);
    command.arg(proto.join("drift/check.py")).arg(proto.join("src/generated/descriptors.bin"));
    let mut last = None;
    program::watch(&mut command, |line| last = Some(line.to_owned()))?;
    last.ok_or_else(|| Failure::new("the drift check said nothing"))
}

/// The Python of the virtual environment `target/venv`, made with the pinned package if it is not there.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let venv = workspace.target().join("venv");
    let python = venv.join("bin/python");
    if !installed(&python) {
        program::capture(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        program::capture(Command::new(&python).args(["-m", "pip", "install", "--quiet", PINNED]))?;
    }
    Ok(python)
}

fn installed(python: &std::path::Path) -> bool {
    let wanted = PINNED.rsplit('=').next().unwrap_or_default();
    let probe = "import importlib.metadata as m; print(m.version('modal'))";
    program::capture(Command::new(python).args(["-c", probe])).is_ok_and(|version| version.trim() == wanted)
}
