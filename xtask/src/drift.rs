//! `drift`: our protocol subset against the descriptors inside the official Python package.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;
use crate::{clients, program};

/// Fails on any message, field, enum value or method of the subset that differs from the official one.
///
/// The release compared with is the one that the interop tests run; `check.py` refuses any other.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let python = clients::python(workspace)?;
    let proto = workspace.root().join("crates/modal/proto");
    let mut command = Command::new(python);
    command.arg(proto.join("drift/check.py")).arg(proto.join("src/generated/descriptors.bin"));
    let mut last = None;
    program::watch(&mut command, |line| last = Some(line.to_owned()))?;
    last.ok_or_else(|| Failure::new("the drift check said nothing"))
}
